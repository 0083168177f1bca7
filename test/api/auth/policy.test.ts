import { describe, expect, test } from 'vitest'
import { evaluate, parsePolicy, type Policy } from '../../../src/api/auth/index.ts'

const FACTS: Readonly<Record<string, string | null>> = {
  'aws:username': 'cam',
  'aws:sourceip': '10.1.2.3',
  'aws:currenttime': '2026-11-20T12:00:00.000Z',
  'aws:epochtime': '1795176000',
  'aws:securetransport': 'false',
  'aws:principalarn': 'arn:aws:iam::1:user/cam',
  'aws:referer': null,
}
const REQUEST = {
  principals: ['arn:aws:iam::1:user/a', '1'],
  action: 'kinesis:PutRecord',
  resource: 'arn:aws:kinesis:us-east-1:1:stream/cam',
  facts: (key: string) => FACTS[key],
}
const ALLOW = { Effect: 'Allow', Action: '*', Resource: '*' }

function policyOf(...Statement: object[]): Policy {
  return parsePolicy(JSON.stringify({ Statement })) as Policy
}

describe('identity policies', () => {
  test.each([
    { rule: 'nothing said is nothing allowed', statements: [], verdict: 'none' },
    { rule: 'stars allow all', statements: [ALLOW], verdict: 'allow' },
    {
      rule: 'actions are compared without case',
      statements: [{ ...ALLOW, Action: 'KINESIS:putrecord' }],
      verdict: 'allow',
    },
    {
      rule: 'resources with it',
      statements: [{ ...ALLOW, Resource: REQUEST.resource.toUpperCase() }],
      verdict: 'none',
    },
    {
      rule: 'a question mark is one character',
      statements: [{ ...ALLOW, Resource: '*:stream/ca?' }],
      verdict: 'allow',
    },
    {
      rule: 'and not none',
      statements: [{ ...ALLOW, Resource: '*:stream/cam?' }],
      verdict: 'none',
    },
    {
      rule: 'a dot is a dot',
      statements: [{ ...ALLOW, Resource: '*:stream.cam' }],
      verdict: 'none',
    },
    {
      rule: 'NotAction leaves out',
      statements: [{ Effect: 'Allow', NotAction: 'kinesis:Put*', Resource: '*' }],
      verdict: 'none',
    },
    {
      rule: 'NotResource leaves out',
      statements: [{ Effect: 'Allow', Action: '*', NotResource: '*:stream/other' }],
      verdict: 'allow',
    },
    {
      rule: 'a deny wins, wherever it stands',
      statements: [{ ...ALLOW, Effect: 'Deny' }, ALLOW],
      verdict: 'deny',
    },
    {
      rule: 'a condition that nobody evaluates does not allow',
      statements: [{ ...ALLOW, Condition: { Bool: { 'aws:MultiFactorAuthPresent': 'false' } } }],
      verdict: 'none',
    },
    {
      rule: 'but denies',
      statements: [ALLOW, { ...ALLOW, Effect: 'Deny', Condition: { Maybe: { a: 'b' } } }],
      verdict: 'deny',
    },
    {
      rule: 'prefixes of names',
      statements: [{ ...ALLOW, Resource: 'arn:aws:kinesis:*:*:stream/ca*' }],
      verdict: 'allow',
    },
    {
      rule: 'a variable stands for its value',
      statements: [{ ...ALLOW, Resource: 'arn:*:stream/${aws:username}' }],
      verdict: 'allow',
    },
    {
      rule: 'one that nobody knows does not allow',
      statements: [{ ...ALLOW, Resource: 'arn:*:stream/${aws:PrincipalTag/team}' }],
      verdict: 'none',
    },
    {
      rule: 'but denies',
      statements: [ALLOW, { Effect: 'Deny', Action: '*', Resource: '${aws:PrincipalTag/team}' }],
      verdict: 'deny',
    },
    {
      rule: 'unless it has a default',
      statements: [{ ...ALLOW, Resource: "arn:*:stream/${aws:PrincipalTag/team, 'cam'}" }],
      verdict: 'allow',
    },
  ])('$rule', ({ statements, verdict }) => {
    expect(evaluate([policyOf(...statements)], REQUEST, 'identity')).toBe(verdict)
  })
})

const FAR_STARS = `${'*a'.repeat(200)}*b`

test('a policy of many stars costs no more than its length', () => {
  const resource = 'a'.repeat(5000)
  const policy = policyOf({ ...ALLOW, Resource: FAR_STARS })

  expect(evaluate([policy], { ...REQUEST, resource }, 'identity')).toBe('none')
})

describe('conditions', () => {
  const IP = 'aws:SourceIp'
  const NOW = 'aws:CurrentTime'
  test.each([
    { holds: true, condition: {} },
    { holds: true, condition: { StringEquals: { 'aws:username': 'cam' } } },
    { holds: true, condition: { StringEquals: { 'AWS:UserName': ['x', 'cam'] } } },
    { holds: false, condition: { StringEquals: { 'aws:username': 'CAM' } } },
    { holds: false, condition: { StringEquals: { 'aws:username': 'c*' } } },
    { holds: true, condition: { StringEqualsIgnoreCase: { 'aws:username': 'CAM' } } },
    { holds: false, condition: { StringNotEquals: { 'aws:username': ['x', 'cam'] } } },
    { holds: true, condition: { StringNotEquals: { 'aws:username': ['x', 'y'] } } },
    { holds: true, condition: { StringLike: { 'aws:username': 'c?m*' } } },
    { holds: false, condition: { StringNotLike: { 'aws:username': 'c*' } } },
    { holds: true, condition: { StringEquals: { 'aws:username': '${aws:username}' } } },
    { holds: true, condition: { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:user/c*' } } },
    { holds: false, condition: { ArnLike: { 'aws:PrincipalArn': 'arn:aws:*:1:user/cam:' } } },
    { holds: true, condition: { ArnLike: { 'aws:PrincipalArn': '*' } } },
    { holds: true, condition: { ArnNotEquals: { 'aws:PrincipalArn': 'arn:aws:iam::1:user/x' } } },
    { holds: true, condition: { IpAddress: { [IP]: '10.0.0.0/8' } } },
    { holds: true, condition: { IpAddress: { [IP]: ['192.168.0.0/16', '10.1.2.3'] } } },
    { holds: false, condition: { IpAddress: { [IP]: '10.1.2.4/32' } } },
    { holds: false, condition: { IpAddress: { [IP]: '2001:db8::/32' } } },
    { holds: true, condition: { NotIpAddress: { [IP]: '2001:db8::/32' } } },
    { holds: true, condition: { DateGreaterThan: { [NOW]: '2026-11-20T11:59:59Z' } } },
    { holds: false, condition: { DateLessThan: { [NOW]: '2026-11-20T12:00:00Z' } } },
    { holds: true, condition: { DateLessThanEquals: { [NOW]: '2026-11-20T12:00:00Z' } } },
    { holds: true, condition: { DateLessThan: { 'aws:EpochTime': '1795176001' } } },
    { holds: true, condition: { NumericLessThan: { 'aws:EpochTime': 1795176001 } } },
    { holds: true, condition: { Bool: { 'aws:SecureTransport': false } } },
    { holds: false, condition: { Bool: { 'aws:SecureTransport': 'true' } } },
    { holds: false, condition: { StringLike: { 'aws:Referer': '*' } } },
    { holds: true, condition: { StringLikeIfExists: { 'aws:Referer': 'x' } } },
    { holds: true, condition: { StringNotEquals: { 'aws:Referer': 'x' } } },
    { holds: true, condition: { Null: { 'aws:Referer': 'true', [IP]: 'false' } } },
    { holds: false, condition: { Null: { [IP]: 'true' } } },
    { holds: true, condition: { 'ForAllValues:StringEquals': { 'aws:Referer': 'x' } } },
    { holds: false, condition: { 'ForAnyValue:StringEquals': { 'aws:Referer': 'x' } } },
    {
      holds: false,
      condition: { StringEquals: { 'aws:username': 'cam' }, Bool: { 'aws:SecureTransport': true } },
    },
    { holds: false, condition: { StringEquals: { 'aws:username': 'x', 'what:ever': 'y' } } },
    { holds: null, condition: { StringEquals: { 'aws:username': 'cam', 'what:ever': 'y' } } },
    { holds: null, condition: { StringEqualsIfExists: { 'what:ever': 'y' } } },
    { holds: null, condition: { BinaryEquals: { 'aws:username': 'Y2Ft' } } },
    { holds: null, condition: { IpAddress: { [IP]: '10.0.0.0/33' } } },
    { holds: null, condition: { IpAddress: { [IP]: 'here' } } },
    { holds: null, condition: { DateLessThan: { [NOW]: 'tomorrow' } } },
    { holds: null, condition: { Bool: { 'aws:SecureTransport': 'yes' } } },
    { holds: null, condition: { ArnLike: { 'aws:PrincipalArn': 'user/cam' } } },
    { holds: null, condition: { Null: { [IP]: 'no' } } },
    { holds: null, condition: { StringEquals: 'cam' } },
    { holds: null, condition: 'always' },
  ])('$condition: $holds', ({ condition, holds }) => {
    const verdictOf = (Effect: string) =>
      evaluate([policyOf({ ...ALLOW, Effect, Condition: condition })], REQUEST, 'identity')

    expect(verdictOf('Allow')).toBe(holds === true ? 'allow' : 'none')
    expect(verdictOf('Deny')).toBe(holds === false ? 'none' : 'deny')
  })
})

describe('resource policies', () => {
  test.each([
    { rule: 'without a principal they speak of nobody', principal: {}, verdict: 'none' },
    { rule: 'of everybody', principal: { Principal: '*' }, verdict: 'allow' },
    { rule: 'of an account', principal: { Principal: { AWS: '1' } }, verdict: 'allow' },
    {
      rule: 'of one of several',
      principal: { Principal: { AWS: ['x', REQUEST.principals[0]] } },
      verdict: 'allow',
    },
    {
      rule: 'of a service, which nobody here is',
      principal: { Principal: { Service: 'x.amazonaws.com' } },
      verdict: 'none',
    },
    { rule: 'of all but some', principal: { NotPrincipal: { AWS: '1' } }, verdict: 'none' },
  ])('$rule', ({ principal, verdict }) => {
    expect(evaluate([policyOf({ ...ALLOW, ...principal })], REQUEST, 'resource')).toBe(verdict)
  })
})
