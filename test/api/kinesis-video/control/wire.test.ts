import { describe, expect, test } from 'vitest'
import { runControl } from './run-control.ts'

describe('an error', () => {
  test('is a status, a type and a message, with the request and no stack', async () => {
    const { call } = await runControl()
    const answer = await call('/describeStream', { StreamName: 'nobody' })

    expect(answer).toMatchObject({ status: 404, type: 'ResourceNotFoundException' })
    expect(answer.body).toEqual({ Message: 'The requested stream is not found or not active.' })
    expect(answer.headers['x-amzn-requestid']).toMatch(/^[0-9a-f-]{36}$/)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers.connection).toBe('keep-alive') // a producer asks CreateStream next
  })

  test('of constraints names every one that failed', async () => {
    const { call } = await runControl()
    const { status, type, body } = await call('/createStream', {
      ...{ StreamName: 'a b', DeviceName: '', DataRetentionInHours: -1, MediaType: 'video' },
      StreamStorageConfiguration: { DefaultStorageTier: 'COLD' },
    })

    expect({ status, type }).toEqual({ status: 400, type: 'InvalidArgumentException' })
    expect(String(body.Message).split(/; |: (?=Value)/)).toEqual([
      '6 validation errors detected',
      "Value '' at 'deviceName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
      "Value '' at 'deviceName' failed to satisfy constraint: Member must have length greater than or equal to 1",
      "Value 'a b' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
      expect.stringMatching(/^Value 'video' at 'mediaType' failed to satisfy constraint/),
      "Value '-1' at 'dataRetentionInHours' failed to satisfy constraint: Member must have value greater than or equal to 0",
      "Value 'COLD' at 'streamStorageConfiguration.defaultStorageTier' failed to satisfy constraint: Member must satisfy enum value set: [HOT, WARM]",
    ])
  })

  test('of a member that is missing says so', async () => {
    const { call } = await runControl()
    const { body } = await call('/updateStream', { StreamName: 'x' })

    expect(body.Message).toBe(
      "1 validation error detected: Value null at 'currentVersion' failed to satisfy constraint: Member must not be null",
    )
  })
})

describe('a body', () => {
  test.each([
    { rule: 'that is no JSON', path: '/createStream', body: '{"StreamName":' },
    { rule: 'that is a list', path: '/createStream', body: [] },
    { rule: 'that is nothing', path: '/createStream', body: 'null' },
    { rule: 'with a number for a name', path: '/createStream', body: { StreamName: 7 } },
    { rule: 'with a list for a name', path: '/createStream', body: { StreamName: ['x'] } },
    { rule: 'with a text for a number', path: '/listStreams', body: { MaxResults: '7' } },
    { rule: 'with a list for a map', path: '/tagStream', body: { StreamName: 'x', Tags: [{}] } },
    { rule: 'with a map for a list', path: '/TagResource', body: { ResourceARN: 'a', Tags: {} } },
    { rule: 'with a tag of a tag', path: '/tagStream', body: { StreamName: 'x', Tags: { a: {} } } },
    {
      rule: 'with a text for a configuration',
      path: '/updateNotificationConfiguration',
      body: { StreamName: 'x', NotificationConfiguration: 'https://hooks.test/' },
    },
  ])('$rule is refused', async ({ path, body }) => {
    const { call, registry } = await runControl()
    const before = registry.list()
    const answer = await call(path, body)

    expect(answer).toMatchObject({ status: 400, type: 'SerializationException' })
    expect(registry.list()).toEqual(before)
  })

  test('of nothing is an empty one', async () => {
    const { call } = await runControl()
    const { status, body } = await call('/listStreams', '')

    expect(status).toBe(200)
    expect(body.StreamInfoList).toHaveLength(1)
  })

  test('with members that nobody knows is read without them', async () => {
    const { call } = await runControl()
    const input = { StreamName: 'x', Unheard: { of: 1 }, ['__proto__']: { StreamARN: 'y' } }

    expect(await call('/describeStream', JSON.stringify(input))).toMatchObject({ status: 200 })
  })

  test.each([
    { rule: 'a list of very many keys', body: { StreamName: 'x', TagKeyList: many('k', 10_000) } },
    { rule: 'a text of 100,000 letters', body: { StreamName: 'x'.repeat(100_000) } },
    {
      rule: 'a nest of 20,000 lists',
      body: `{"StreamName":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
    },
  ])('of $rule is refused, and the service goes on', async ({ body }) => {
    const { call } = await runControl()
    const answer = await call('/untagStream', body)

    expect(answer.status).toBe(400)
    expect(await call('/describeStream', { StreamName: 'x' })).toMatchObject({ status: 200 })
  })

  test('of over 256 KiB is not read to its end', async () => {
    const { call } = await runControl()
    const answer = await call('/tagStream', { StreamName: 'x', Tags: { k: 'v'.repeat(262_144) } })

    expect(answer).toMatchObject({ status: 400, type: 'ClientLimitExceededException' })
    expect(answer.headers.connection).toBe('close')
  })
})

test.each([
  { rule: 'of another operation', path: '/listSignalingChannels' },
  { rule: 'that is no text of the alphabet', path: '/listStreams', change: (t: string) => `${t}-` },
  {
    rule: 'that was changed',
    path: '/listStreams',
    change: (t: string) => `${t.slice(0, -4)}AAA=`,
  },
  { rule: 'that is too long', path: '/listStreams', change: (t: string) => t.padEnd(1025, 'A') },
])('a token $rule is refused', async ({ path, change = (token: string) => token }) => {
  const { call, registry } = await runControl()
  await registry.create({ name: 'y', retentionHours: 1 })
  const { body } = await call('/listStreams', { MaxResults: 1 })
  const answer = await call(path, { NextToken: change(body.NextToken as string) })

  expect(answer).toMatchObject({ status: 400, type: 'InvalidArgumentException' })
})

function many(text: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${text}${i}`)
}
