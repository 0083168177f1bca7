import { describe, expect, test } from 'vitest'
import { ACCOUNT_ID, runKinesisApi } from './running-api.ts'
import { call, JSON_TYPE } from './signed-call.ts'

describe('answers', () => {
  test('carry a request id and the id of 64 bytes, and the content type of the request', async () => {
    const api = await runKinesisApi()
    const { status, headers } = await call(api, 'ListStreams', {})

    expect(status).toBe(200)
    expect(headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(headers.get('x-amz-id-2')).toMatch(/^[A-Za-z0-9+/]{64,80}$/)
    expect(headers.get('content-type')).toBe(JSON_TYPE)
  })

  test('of operations without output members are empty', async () => {
    const api = await runKinesisApi()
    const { status, text } = await call(api, 'CreateStream', { StreamName: 's', ShardCount: 1 })

    expect([status, text]).toEqual([200, ''])
  })

  test('write blobs as base64 and times as seconds with a fraction', async () => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 1 })
    await call(api, 'PutRecord', { StreamName: 's', Data: 'AP+A', PartitionKey: 'k' })
    const iterator = await call(api, 'GetShardIterator', {
      StreamName: 's',
      ShardId: 'shardId-000000000000',
      ShardIteratorType: 'TRIM_HORIZON',
    })
    const { text } = await call(api, 'GetRecords', JSON.parse(iterator.text))

    const [record] = (JSON.parse(text) as { Records: Record<string, unknown>[] }).Records
    expect(record).toMatchObject({
      Data: 'AP+A',
      PartitionKey: 'k',
      ApproximateArrivalTimestamp: api.clock.now() / 1000,
    })
    expect(Object.keys(record!)).not.toContain('EncryptionType')
  })
})

describe('order of checks', () => {
  const stream = { StreamName: 's' }
  test.each([
    {
      rule: 'a content type not known comes before all but the size',
      request: ['Nothing', '{', { type: 'text/plain', sign: false }],
      status: 404,
      text: '<UnknownOperationException/>\n',
    },
    {
      rule: 'a body that does not parse before the operation',
      request: ['Nothing', '{', { sign: false }],
      status: 400,
      type: 'SerializationException',
    },
    {
      rule: 'an empty body does not parse',
      request: ['ListStreams', '', { sign: false }],
      status: 400,
      type: 'SerializationException',
    },
    {
      rule: 'an unknown operation before the signature',
      request: ['Nothing', '{}', { sign: false }],
      status: 400,
      type: 'UnknownOperationException',
    },
    {
      rule: 'the signature before the types',
      request: ['DescribeStream', { StreamName: 5 }, { sign: false }],
      status: 403,
      type: 'MissingAuthenticationTokenException',
    },
    {
      rule: 'the types before the constraints',
      request: ['DescribeStream', { StreamName: '', Limit: 'x' }, {}],
      status: 400,
      type: 'SerializationException',
    },
    {
      rule: 'the constraints before the operation',
      request: ['DescribeStream', { ...stream, Limit: 0 }, {}],
      status: 400,
      type: 'ValidationException',
    },
    {
      rule: 'then the operation',
      request: ['DescribeStream', stream, {}],
      status: 400,
      type: 'ResourceNotFoundException',
    },
  ] as const)('$rule', async ({ request, status, ...expected }) => {
    const api = await runKinesisApi()
    const [operation, body, change] = request

    const answer = await call(api, operation, body, change)

    expect(answer.status).toBe(status)
    if ('text' in expected) expect(answer.text).toBe(expected.text)
    else expect(JSON.parse(answer.text)).toMatchObject({ __type: expected.type })
  })

  test('a body over the limit is refused before anything else', async () => {
    const api = await runKinesisApi()
    const { status } = await call(api, 'PutRecord', 'x'.repeat((16 << 20) + 1), { sign: false })

    expect(status).toBe(413)
  })

  test('SerializationException alone has a capital Message', async () => {
    const api = await runKinesisApi()
    const serialization = await call(api, 'DescribeStream', { StreamName: 5 })
    const validation = await call(api, 'DescribeStream', { StreamName: '' })

    expect(JSON.parse(serialization.text)).toEqual({
      __type: 'SerializationException',
      Message: 'NUMBER_VALUE can not be converted to a String',
    })
    expect(Object.keys(JSON.parse(validation.text) as object)).toEqual(['__type', 'message'])
  })

  test('errors of plain JSON requests are wrapped', async () => {
    const api = await runKinesisApi()
    const { text } = await call(
      api,
      'DescribeStream',
      { StreamName: 'x' },
      { type: 'application/json' },
    )

    expect(JSON.parse(text)).toEqual({
      Output: {
        __type: 'com.amazon.coral.service#ResourceNotFoundException',
        message: `Stream x under account ${ACCOUNT_ID} not found.`,
      },
      Version: '1.0',
    })
  })
})

describe('validation messages', () => {
  const member = 'failed to satisfy constraint: Member must'
  const record = { Data: '', PartitionKey: 'k' }
  test.each([
    {
      rule: 'a missing member',
      request: ['CreateStream', {}],
      message: `1 validation error detected: Value null at 'streamName' ${member} not be null`,
    },
    {
      rule: 'every failure in one message',
      request: ['DescribeStream', { StreamName: 'a b', Limit: 100_000 }],
      message:
        `2 validation errors detected: Value 'a b' at 'streamName' ${member} satisfy regular expression pattern: [a-zA-Z0-9_.-]+; ` +
        `Value '100000' at 'limit' ${member} have value less than or equal to 10000`,
    },
    {
      rule: 'a length',
      request: ['PutRecord', { StreamName: 's', ...record, PartitionKey: '' }],
      message: `1 validation error detected: Value '' at 'partitionKey' ${member} have length greater than or equal to 1`,
    },
    {
      rule: 'an integer that does not fit 32 bits',
      request: ['GetRecords', { ShardIterator: 'x', Limit: 100_000_000_000 }],
      message: `1 validation error detected: Value '2147483647' at 'limit' ${member} have value less than or equal to 10000`,
    },
    {
      rule: 'a member of a list',
      request: ['PutRecords', { StreamName: 's', Records: [record, { Data: '' }] }],
      message: `1 validation error detected: Value null at 'records.2.member.partitionKey' ${member} not be null`,
    },
    {
      rule: 'more records than allowed',
      request: ['PutRecords', { StreamName: 's', Records: Array<unknown>(501).fill(record) }],
      message: `1 validation error detected: Value '[501]' at 'records' ${member} have length less than or equal to 500`,
    },
    {
      rule: 'a word that is none of the set',
      request: ['GetShardIterator', { StreamName: 's', ShardId: 'x', ShardIteratorType: 'FIRST' }],
      message: `1 validation error detected: Value 'FIRST' at 'shardIteratorType' ${member} satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]`,
    },
    {
      rule: 'data above the limit of the stream',
      request: [
        'PutRecord',
        {
          StreamName: 's',
          Data: Buffer.alloc((1 << 20) + 1).toString('base64'),
          PartitionKey: 'k',
        },
      ],
      message: `1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]' at 'data' ${member} have length less than or equal to 1048576`,
    },
  ] as const)('$rule', async ({ request: [operation, body], message }) => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 1 })

    const { status, text } = await call(api, operation, body)

    expect(status).toBe(400)
    expect(JSON.parse(text)).toEqual({ __type: 'ValidationException', message })
  })

  test.each([
    {
      rule: 'a number where text is due',
      body: { StreamName: 1 },
      message: 'NUMBER_VALUE can not be converted to a String',
    },
    {
      rule: 'text where a number is due',
      body: { Limit: '1' },
      message: 'STRING_VALUE can not be converted to an Integer',
    },
    {
      rule: 'a structure where text is due',
      body: { StreamName: {} },
      message: 'Start of structure or map found where not expected.',
    },
    { rule: 'a list at the top', body: [], message: 'Start of list found where not expected.' },
    {
      rule: 'text at the top',
      body: '"x"',
      message: 'STRING_VALUE can not be converted to a Structure',
    },
  ])('types: $rule', async ({ body, message }) => {
    const api = await runKinesisApi()
    const { text } = await call(api, 'DescribeStream', body)

    expect(JSON.parse(text)).toEqual({ __type: 'SerializationException', Message: message })
  })

  test.each(['A', 'A===', 'AAA', 'AA*=', '====', 'AAAA AAA'])('%s is no base64', async (Data) => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 1 })
    const { text } = await call(api, 'PutRecord', { StreamName: 's', Data, PartitionKey: 'k' })

    expect(JSON.parse(text)).toMatchObject({ __type: 'SerializationException' })
  })
})

describe('limits', () => {
  test('500 records of 20 KiB are one request; one byte over 10 MiB is too much', async () => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 1 })
    const room = 10 * 1024 * 1024 - 500 * (20 * 1024 + 1) // data of 20 KiB and a key of one byte
    const records = (extra: number) =>
      Array.from({ length: 500 }, (_, i) => ({
        Data: Buffer.alloc(20 * 1024 + (i === 0 ? extra : 0)).toString('base64'),
        PartitionKey: 'k',
      }))

    const fits = await call(api, 'PutRecords', { StreamName: 's', Records: records(room) })
    const over = await call(api, 'PutRecords', { StreamName: 's', Records: records(room + 1) })

    expect(JSON.parse(fits.text)).toMatchObject({ FailedRecordCount: 0 })
    expect(JSON.parse(over.text)).toMatchObject({ __type: 'InvalidArgumentException' })
  })

  test('a full read stops at 10 MiB and the next goes on', async () => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 1 })
    const data = Buffer.alloc(900_000)
    for (let i = 0; i < 3; i++) {
      await api.dataStreams.put(
        's',
        Array.from({ length: 5 }, () => ({ data, partitionKey: 'k' })),
      )
    }
    const start = {
      StreamName: 's',
      ShardId: 'shardId-000000000000',
      ShardIteratorType: 'TRIM_HORIZON',
    }
    const iterator = await call(api, 'GetShardIterator', start)

    const first = JSON.parse(
      (await call(api, 'GetRecords', JSON.parse(iterator.text))).text,
    ) as Read
    const second = JSON.parse(
      (await call(api, 'GetRecords', { ShardIterator: first.NextShardIterator })).text,
    ) as Read

    expect([first.Records.length, second.Records.length]).toEqual([11, 4])
    expect(first.MillisBehindLatest).toBeGreaterThan(0)
    expect(second.MillisBehindLatest).toBe(0)
  })

  test('an explicit hash key out of range fails the whole call', async () => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 1 })
    const record = { Data: 'AAAA', PartitionKey: 'k' }
    const { text } = await call(api, 'PutRecords', {
      StreamName: 's',
      Records: [record, { ...record, ExplicitHashKey: (2n ** 128n).toString() }],
    })

    expect(JSON.parse(text)).toMatchObject({ __type: 'InvalidArgumentException' })
    expect(await api.dataStreams.newest('s', 10)).toEqual([])
  })

  test('a number for ordering may be any that was given out, and no other', async () => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 1 })
    const record = { StreamName: 's', Data: 'AAAA', PartitionKey: 'k' }
    const first = JSON.parse((await call(api, 'PutRecord', record)).text) as {
      SequenceNumber: string
    }
    const put = (SequenceNumberForOrdering: string) =>
      call(api, 'PutRecord', { ...record, SequenceNumberForOrdering })
    const later = (BigInt(first.SequenceNumber) + (60n << 36n)).toString() // a minute from now

    expect((await put(first.SequenceNumber)).status).toBe(200)
    expect(JSON.parse((await put(later)).text)).toMatchObject({
      __type: 'InvalidArgumentException',
    })
    expect(JSON.parse((await put('1')).text)).toMatchObject({ __type: 'InvalidArgumentException' })
  })
})

type Read = { Records: unknown[]; NextShardIterator: string; MillisBehindLatest: number }
