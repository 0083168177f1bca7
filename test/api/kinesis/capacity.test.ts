import { describe, expect, test } from 'vitest'
import {
  CreateStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import type { DataStreamsOptions } from '../../../src/datastream/index.ts'
import { ACCOUNT_ID, runKinesisApi } from './running-api.ts'

const SHARD = 'shardId-000000000000'
const PER_SECOND = 1000
const TOO_MUCH = {
  name: 'ProvisionedThroughputExceededException',
  message: `Rate exceeded for shard ${SHARD} in stream cam under account ${ACCOUNT_ID}.`,
}

/** Without the client's own retries, so that the first answer is seen. */
async function withStream(capacity: DataStreamsOptions['capacity']) {
  const api = await runKinesisApi({ capacity })
  const client = api.client('h2c', undefined, 1)
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
  const put = (count: number, size = 1) =>
    client.send(
      new PutRecordsCommand({
        StreamName: 'cam',
        Records: Array.from({ length: count }, () => {
          return { Data: Buffer.alloc(size), PartitionKey: 'k' }
        }),
      }),
    )
  return { api, client, put }
}

describe('enforced', () => {
  test('a thousand records per second and shard; what is over says so for itself', async () => {
    const { api, client, put } = await withStream('enforce')
    await put(500)
    await put(499)

    const mixed = await put(3)

    expect(mixed.FailedRecordCount).toBe(2)
    expect(mixed.Records![0]!.SequenceNumber).toBeDefined()
    expect(mixed.Records![1]).toEqual({
      ...{ ErrorCode: TOO_MUCH.name, ErrorMessage: TOO_MUCH.message },
    })
    expect((await put(5)).FailedRecordCount).toBe(5)
    await expect(
      client.send(
        new PutRecordCommand({ StreamName: 'cam', Data: Buffer.from('x'), PartitionKey: 'k' }),
      ),
    ).rejects.toMatchObject(TOO_MUCH)
    api.clock.advance(PER_SECOND)
    expect((await put(500)).FailedRecordCount).toBe(0)
  })

  test('a mebibyte per second and shard, keys included', async () => {
    const { put } = await withStream('enforce')

    expect((await put(5, 256 * 1024 - 1)).FailedRecordCount).toBe(1)
  })

  test('five polls per second, and a large answer is paid off', async () => {
    const { api, client, put } = await withStream('enforce')
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({
        ...{ StreamName: 'cam', ShardId: SHARD, ShardIteratorType: 'TRIM_HORIZON' },
      }),
    )
    const poll = () => client.send(new GetRecordsCommand({ ShardIterator }))
    for (let i = 0; i < 5; i++) await poll()
    await expect(poll()).rejects.toMatchObject(TOO_MUCH)
    for (let i = 0; i < 5; i++) {
      await put(1, 1_048_000)
      api.clock.advance(PER_SECOND)
    }

    expect((await poll()).Records).toHaveLength(5) // 5 MiB at 2 MiB/s
    api.clock.advance(PER_SECOND)
    await expect(poll()).rejects.toMatchObject(TOO_MUCH)
    api.clock.advance(PER_SECOND)
    await poll()
  })
})

describe('iterators', () => {
  async function countGiven(capacity: DataStreamsOptions['capacity']) {
    const { api, client } = await withStream(capacity)
    const input = { StreamName: 'cam', ShardId: SHARD, ShardIteratorType: 'LATEST' } as const
    const take = () => client.send(new GetShardIteratorCommand(input))
    const outcomes = []
    for (let i = 0; i < 8; i++) outcomes.push(await take().catch((error: unknown) => error))
    api.clock.advance(PER_SECOND)
    await take()
    const refused = outcomes.filter((outcome) => outcome instanceof Error)
    const { values } = await api.observed.metrics.datastreamIteratorsThrottled.get()
    return { refused, counted: values.map(({ value }) => value) }
  }

  test('five per second and open shard, where limits are enforced', async () => {
    const { refused, counted } = await countGiven('enforce')

    expect(refused).toHaveLength(3)
    expect(refused[0]).toMatchObject(TOO_MUCH)
    expect(counted).toEqual([3])
  })

  test.each([
    { capacity: 'report', counted: [3] },
    { capacity: 'off', counted: [] },
  ] as const)('$capacity refuses none', async ({ capacity, counted }) => {
    expect(await countGiven(capacity)).toEqual({ refused: [], counted })
  })

  test('a closed shard gives out as many as are asked for', async () => {
    const { client } = await withStream('enforce')
    await client.send(
      new SplitShardCommand({
        ...{ StreamName: 'cam', ShardToSplit: SHARD, NewStartingHashKey: '1000' },
      }),
    )
    const input = { StreamName: 'cam', ShardId: SHARD, ShardIteratorType: 'LATEST' } as const

    for (let i = 0; i < 8; i++) await client.send(new GetShardIteratorCommand(input))
  })
})

test('only reported: everything passes and is counted', async () => {
  const { api, put } = await withStream('report')
  await put(500)
  await put(500)

  expect((await put(7)).FailedRecordCount).toBe(0)
  const { values } = await api.observed.metrics.datastreamWriteThrottled.get()
  expect(values).toMatchObject([{ value: 7, labels: { stream: 'cam' } }])
})

test('off: nothing is counted', async () => {
  const { api, put } = await withStream('off')
  for (let i = 0; i < 4; i++) expect((await put(500)).FailedRecordCount).toBe(0)

  expect((await api.observed.metrics.datastreamWriteThrottled.get()).values).toEqual([])
})
