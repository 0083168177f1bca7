import { describe, expect, test } from 'vitest'
import {
  CreateStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
  UpdateShardCountCommand,
  type KinesisClient,
  type ListShardsCommandInput,
} from '@aws-sdk/client-kinesis'
import { ACCOUNT_ID, runKinesisApi, type ClientProtocol } from './running-api.ts'

const FIRST = 'shardId-000000000000'
const HALF = (1n << 127n).toString()
const ScalingType = 'UNIFORM_SCALING'
const StreamARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/cam`

async function idsOf(
  client: KinesisClient,
  input: Omit<ListShardsCommandInput, 'StreamName'> = {},
) {
  const { Shards } = await client.send(new ListShardsCommand({ StreamName: 'cam', ...input }))
  return Shards!.map(({ ShardId }) => Number(ShardId!.slice(-12)))
}

describe.each<ClientProtocol>(['h2c', 'HTTP/1.1'])('the SDK client over %s', (protocol) => {
  test('a split shard is read to its end, which names the children', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    const Data = Buffer.from('x')
    await client.send(new PutRecordCommand({ StreamName: 'cam', Data, PartitionKey: 'k' }))

    await client.send(
      new SplitShardCommand({ StreamARN, ShardToSplit: FIRST, NewStartingHashKey: HALF }),
    )

    const { Shards } = await client.send(new ListShardsCommand({ StreamARN }))
    expect(Shards![0]!.SequenceNumberRange!.EndingSequenceNumber).toMatch(/^\d{56}$/)
    expect(Shards![2]).toEqual({
      ShardId: 'shardId-000000000002',
      ParentShardId: FIRST,
      HashKeyRange: { StartingHashKey: HALF, EndingHashKey: ((1n << 128n) - 1n).toString() },
      SequenceNumberRange: { StartingSequenceNumber: expect.stringMatching(/^\d{56}$/) as string },
    })
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({ StreamARN, ShardId: FIRST, ShardIteratorType: 'TRIM_HORIZON' }),
    )
    const last = await client.send(new GetRecordsCommand({ ShardIterator: ShardIterator! }))
    expect(last.Records).toHaveLength(1)
    expect(last.NextShardIterator).toBeUndefined()
    expect(last.ChildShards!.map(({ ShardId, ParentShards }) => [ShardId, ParentShards])).toEqual([
      ['shardId-000000000001', [FIRST]],
      ['shardId-000000000002', [FIRST]],
    ])
  })

  test('merged shards have a child with two parents', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 2 }))

    await client.send(
      new MergeShardsCommand({
        StreamName: 'cam',
        ShardToMerge: FIRST,
        AdjacentShardToMerge: 'shardId-000000000001',
      }),
    )

    const { Shards } = await client.send(
      new ListShardsCommand({ StreamName: 'cam', ShardFilter: { Type: 'AT_LATEST' } }),
    )
    expect(Shards).toMatchObject([
      {
        ShardId: 'shardId-000000000002',
        ParentShardId: FIRST,
        AdjacentParentShardId: 'shardId-000000000001',
        HashKeyRange: { StartingHashKey: '0' },
      },
    ])
  })

  test('UpdateShardCount answers with both counts', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 2 }))

    const answer = await client.send(
      new UpdateShardCountCommand({ StreamARN, TargetShardCount: 4, ScalingType }),
    )

    expect(answer).toMatchObject({
      StreamName: 'cam',
      StreamARN,
      CurrentShardCount: 2,
      TargetShardCount: 4,
    })
    expect(await idsOf(client)).toEqual([0, 1, 2, 3, 4, 5])
  })
})

test('filters tell the shards of a stream apart by their time', async () => {
  const api = await runKinesisApi()
  const client = api.client('h2c')
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
  api.clock.advance(10_000)
  const before = new Date(api.clock.now())
  api.clock.advance(10_000)
  await client.send(
    new SplitShardCommand({ StreamName: 'cam', ShardToSplit: FIRST, NewStartingHashKey: HALF }),
  )
  api.clock.advance(10_000)
  const after = new Date(api.clock.now())
  const filtered = (ShardFilter: ListShardsCommandInput['ShardFilter']) =>
    idsOf(client, { ShardFilter })

  expect(await filtered({ Type: 'FROM_TRIM_HORIZON' })).toEqual([0, 1, 2])
  expect(await filtered({ Type: 'AT_TRIM_HORIZON' })).toEqual([0])
  expect(await filtered({ Type: 'AT_LATEST' })).toEqual([1, 2])
  expect(await filtered({ Type: 'AT_TIMESTAMP', Timestamp: before })).toEqual([0])
  expect(await filtered({ Type: 'AT_TIMESTAMP', Timestamp: after })).toEqual([1, 2])
  expect(await filtered({ Type: 'FROM_TIMESTAMP', Timestamp: before })).toEqual([0, 1, 2])
  expect(await filtered({ Type: 'FROM_TIMESTAMP', Timestamp: after })).toEqual([1, 2])
  expect(await filtered({ Type: 'AFTER_SHARD_ID', ShardId: FIRST })).toEqual([1, 2])
  expect(await idsOf(client, { ExclusiveStartShardId: 'shardId-000000000001' })).toEqual([2])
})

test('what cannot be done is refused with the words of the service', async () => {
  const api = await runKinesisApi()
  const client = api.client('h2c')
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 3 }))
  const named = `stream cam under account ${ACCOUNT_ID}`
  const split = (ShardToSplit: string, NewStartingHashKey = '9') =>
    client.send(new SplitShardCommand({ StreamName: 'cam', ShardToSplit, NewStartingHashKey }))
  const merge = (ShardToMerge: string, AdjacentShardToMerge: string) =>
    client.send(new MergeShardsCommand({ StreamName: 'cam', ShardToMerge, AdjacentShardToMerge }))
  const scale = (TargetShardCount: number) =>
    client.send(new UpdateShardCountCommand({ StreamName: 'cam', TargetShardCount, ScalingType }))

  await expect(split('shardId-000000000007')).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
    message: `Could not find shard shardId-000000000007 in ${named}.`,
  })
  await expect(split(FIRST, '0')).rejects.toMatchObject({
    name: 'InvalidArgumentException',
    message: expect.stringContaining(`on shard ${FIRST} in ${named} is not both`) as string,
  })
  await expect(merge(FIRST, 'shardId-000000000002')).rejects.toMatchObject({
    name: 'InvalidArgumentException',
    message: `Shards ${FIRST} and shardId-000000000002 in ${named} are not an adjacent pair of shards eligible for merging`,
  })
  await split(FIRST)
  await expect(split(FIRST)).rejects.toMatchObject({
    name: 'InvalidArgumentException',
    message: `Shard ${FIRST} in ${named} has already been merged or split, and thus is not eligible for merging or splitting.`,
  })
  await expect(scale(9)).rejects.toMatchObject({
    name: 'LimitExceededException',
    message: expect.stringContaining(
      'Current open shard count: 4, Target shard count: 9',
    ) as string,
  })
  await expect(scale(1)).rejects.toMatchObject({
    name: 'LimitExceededException',
    message: expect.stringContaining('scale down below half') as string,
  })
})
