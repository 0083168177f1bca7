import { describe, expect, test } from 'vitest'
import { evaluate, parsePolicy, type Policy } from '../../../src/api/auth/index.ts'

const REQUEST = {
  principals: ['arn:aws:iam::1:user/a', '1'],
  action: 'kinesis:PutRecord',
  resource: 'arn:aws:kinesis:us-east-1:1:stream/cam',
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
      statements: [{ ...ALLOW, Condition: { Bool: { 'aws:SecureTransport': 'true' } } }],
      verdict: 'none',
    },
    {
      rule: 'but denies',
      statements: [ALLOW, { ...ALLOW, Effect: 'Deny', Condition: {} }],
      verdict: 'deny',
    },
  ])('$rule', ({ statements, verdict }) => {
    expect(evaluate([policyOf(...statements)], REQUEST, 'identity')).toBe(verdict)
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
