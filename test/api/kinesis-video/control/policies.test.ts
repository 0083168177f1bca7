import { expect, test } from 'vitest'
import { parsePolicy, type Policy } from '../../../../src/api/auth/index.ts'
import { runControl } from './run-control.ts'

const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: '*', Resource: '*' },
    {
      Effect: 'Deny',
      Action: 'kinesisvideo:*',
      Resource: [
        'arn:aws:kinesisvideo:us-west-2:123456789012:stream/x/*',
        'arn:aws:kinesisvideo:us-west-2:123456789012:channel/*',
      ],
    },
  ],
})
const CHANNEL = 'arn:aws:kinesisvideo:us-west-2:123456789012:channel/c/1'

test.each([
  { rule: 'by its name', spell: () => ({ StreamName: 'x' }) },
  { rule: 'by its ARN', spell: (arn: string) => ({ StreamARN: arn }) },
  {
    rule: 'of another region and account',
    spell: (arn: string) => ({
      StreamARN: arn.replace('us-west-2:123456789012', 'eu-west-1:999999999999'),
    }),
  },
  {
    rule: 'of another partition',
    spell: (arn: string) => ({ StreamARN: arn.replace('arn:aws:', 'arn:aws-cn:') }),
  },
  {
    rule: 'with zeros before its time',
    spell: (arn: string) => ({ StreamARN: arn.replace(/(\d+)$/, '000$1') }),
  },
])('a policy holds for a stream however it is named: $rule', async ({ spell }) => {
  const { call, streamArn } = await runControl({ identityPolicies: () => policy() })
  const answer = await call('/describeStream', spell(streamArn()))

  expect(answer).toMatchObject({ status: 401, type: 'NotAuthorizedException' })
})

test.each([
  {
    path: '/describeSignalingChannel',
    input: { ChannelARN: CHANNEL },
    expected: { status: 401, type: 'AccessDeniedException' },
    member: 'Message',
  },
  {
    path: '/TagResource',
    input: { ResourceARN: CHANNEL, Tags: [{ Key: 'a', Value: '' }] },
    expected: { status: 401, type: 'AccessDeniedException' },
    member: 'Message',
  },
  {
    path: '/joinStorageSession',
    input: { channelArn: CHANNEL },
    expected: { status: 403, type: 'AccessDeniedException' },
    member: 'message',
  },
])('$path says as its model does that the caller may not', async (operation) => {
  const { path, input, expected, member } = operation
  const { call } = await runControl({ identityPolicies: () => policy() })
  const answer = await call(path, input)

  expect(answer).toMatchObject(expected)
  expect(Object.keys(answer.body)).toEqual([member])
})

function policy(): Policy {
  const parsed = parsePolicy(POLICY)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed
}
