import { describe, expect, test } from 'vitest'
import {
  CreateStreamCommand,
  DescribeAccountSettingsCommand,
  DescribeLimitsCommand,
  DescribeStreamSummaryCommand,
  DisableEnhancedMonitoringCommand,
  EnableEnhancedMonitoringCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  ListTagsForResourceCommand,
  ListTagsForStreamCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  SplitShardCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAccountSettingsCommand,
  UpdateMaxRecordSizeCommand,
  UpdateShardCountCommand,
  UpdateStreamModeCommand,
  UpdateStreamRecordDistributionStrategyCommand,
  UpdateStreamWarmThroughputCommand,
  type KinesisClient,
} from '@aws-sdk/client-kinesis'
import { ACCOUNT_ID, runKinesisApi } from './running-api.ts'

const StreamARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/cam`
const ON_DEMAND = { StreamMode: 'ON_DEMAND' } as const
const PROVISIONED = { StreamMode: 'PROVISIONED' } as const
const HOUR = 3_600_000

async function withStream(...options: Parameters<typeof runKinesisApi>) {
  const api = await runKinesisApi(...options)
  const client = api.client('h2c')
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 2 }))
  return { api, client }
}

async function summaryOf(client: KinesisClient) {
  const answer = await client.send(new DescribeStreamSummaryCommand({ StreamARN }))
  return answer.StreamDescriptionSummary!
}

describe('capacity mode', () => {
  test('an on-demand stream starts with four shards that are not the owner’s to change', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    await client.send(new CreateStreamCommand({ StreamName: 'cam', StreamModeDetails: ON_DEMAND }))

    expect(await summaryOf(client)).toMatchObject({
      StreamModeDetails: ON_DEMAND,
      OpenShardCount: 4,
      RecordDistributionStrategy: 'USER_PARTITION_KEY',
    })
    const refused = {
      name: 'ValidationException',
      message: `Request is invalid. Stream cam under account ${ACCOUNT_ID} is in On-Demand mode.`,
    }
    await expect(
      client.send(
        new SplitShardCommand({
          ...{ StreamARN, ShardToSplit: 'shardId-000000000000', NewStartingHashKey: '9' },
        }),
      ),
    ).rejects.toMatchObject(refused)
    await expect(
      client.send(
        new UpdateShardCountCommand({
          ...{ StreamARN, TargetShardCount: 8, ScalingType: 'UNIFORM_SCALING' },
        }),
      ),
    ).rejects.toMatchObject(refused)
  })

  test('the mode is switched both ways, twice a day where quotas hold', async () => {
    const { api, client } = await withStream({ quotas: 'enforce' })
    const mode = (StreamModeDetails: typeof ON_DEMAND | typeof PROVISIONED) =>
      api.client('h2c').send(new UpdateStreamModeCommand({ StreamARN, StreamModeDetails }))

    await mode(ON_DEMAND)
    expect((await summaryOf(client)).StreamModeDetails).toEqual(ON_DEMAND)
    await mode(PROVISIONED)
    await expect(mode(ON_DEMAND)).rejects.toMatchObject({ name: 'LimitExceededException' })
    api.clock.advance(24 * HOUR)
    await mode(ON_DEMAND)
  })

  test('UpdateShardCount is called ten times a day where quotas hold', async () => {
    const { api, client } = await withStream({ quotas: 'enforce' })
    const scale = (TargetShardCount: number) =>
      client.send(
        new UpdateShardCountCommand({
          ...{ StreamARN, TargetShardCount, ScalingType: 'UNIFORM_SCALING' },
        }),
      )
    for (let i = 0; i < 10; i++) await scale(i % 2 === 0 ? 4 : 2)

    api.clock.advance(1000) // the rate per second is not what refuses it
    await expect(scale(4)).rejects.toMatchObject({
      name: 'LimitExceededException',
      message: expect.stringContaining('within 24 hours') as string,
    })
  })

  test('AUTO distribution takes records without a key and spreads them evenly', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    await client.send(new CreateStreamCommand({ StreamName: 'cam', StreamModeDetails: ON_DEMAND }))
    const Data = Buffer.from('x')
    await expect(
      client.send(new PutRecordCommand({ StreamARN, Data, PartitionKey: undefined })),
    ).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining("'partitionKey'") as string,
    })

    await client.send(
      new UpdateStreamRecordDistributionStrategyCommand({
        ...{ StreamARN, RecordDistributionStrategy: 'AUTO' },
      }),
    )

    const { Records } = await client.send(
      new PutRecordsCommand({
        StreamARN,
        Records: [{ Data }, { Data, PartitionKey: 'k' }, { Data }, { Data, PartitionKey: 'k' }],
      }),
    )
    expect(new Set(Records!.map(({ ShardId }) => ShardId)).size).toBe(4)
    const keys = await Promise.all(
      Records!.map(async ({ ShardId }) => {
        const { ShardIterator } = await client.send(
          new GetShardIteratorCommand({
            ...{ StreamARN, ShardId, ShardIteratorType: 'TRIM_HORIZON' },
          }),
        )
        const read = await client.send(new GetRecordsCommand({ ShardIterator }))
        return read.Records![0]!.PartitionKey
      }),
    )
    expect(keys).toEqual([undefined, 'k', undefined, 'k'])
    expect((await summaryOf(client)).RecordDistributionStrategy).toBe('AUTO')
  })

  test('AUTO needs an on-demand stream', async () => {
    const { client } = await withStream()

    await expect(
      client.send(
        new UpdateStreamRecordDistributionStrategyCommand({
          ...{ StreamARN, RecordDistributionStrategy: 'AUTO' },
        }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
  })
})

describe('the account', () => {
  test('the commitment lasts a day, ends by itself, and is taken up again', async () => {
    const { api } = await withStream()
    const commit = (Status: 'ENABLED' | 'DISABLED') =>
      api
        .client('h2c')
        .send(new UpdateAccountSettingsCommand({ MinimumThroughputBillingCommitment: { Status } }))
    const now = async () =>
      (await api.client('h2c').send(new DescribeAccountSettingsCommand({})))
        .MinimumThroughputBillingCommitment!
    expect(await now()).toEqual({ Status: 'DISABLED' })

    const enabled = await commit('ENABLED')
    const StartedAt = new Date(api.clock.now())
    const EarliestAllowedEndAt = new Date(api.clock.now() + 24 * HOUR)
    expect(enabled.MinimumThroughputBillingCommitment).toEqual({
      ...{ Status: 'ENABLED', StartedAt, EarliestAllowedEndAt },
    })
    api.clock.advance(HOUR)
    await commit('DISABLED')
    expect(await now()).toMatchObject({ Status: 'ENABLED_UNTIL_EARLIEST_ALLOWED_END' })
    await commit('ENABLED')
    expect(await now()).toMatchObject({ Status: 'ENABLED', StartedAt })
    await commit('DISABLED')
    api.clock.advance(23 * HOUR)
    expect(await now()).toEqual({
      ...{ Status: 'DISABLED', StartedAt, EndedAt: EarliestAllowedEndAt },
    })
  })

  test('warm throughput needs the commitment and an on-demand stream', async () => {
    const { client } = await withStream()
    const warm = () =>
      client.send(new UpdateStreamWarmThroughputCommand({ StreamARN, WarmThroughputMiBps: 6 }))

    await expect(warm()).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    await client.send(new UpdateStreamModeCommand({ StreamARN, StreamModeDetails: ON_DEMAND }))
    await expect(warm()).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    await client.send(
      new UpdateAccountSettingsCommand({
        MinimumThroughputBillingCommitment: { Status: 'ENABLED' },
      }),
    )
    expect(await warm()).toMatchObject({
      ...{ StreamARN, StreamName: 'cam', WarmThroughput: { TargetMiBps: 6, CurrentMiBps: 2 } },
    })
    expect((await summaryOf(client)).WarmThroughput!.TargetMiBps).toBe(6)
  })

  test('limits count shards and on-demand streams', async () => {
    const { client } = await withStream({ maxShards: 77 })
    await client.send(new CreateStreamCommand({ StreamName: 'b', StreamModeDetails: ON_DEMAND }))

    expect(await client.send(new DescribeLimitsCommand({}))).toMatchObject({
      ...{
        ShardLimit: 77,
        OpenShardCount: 6,
        OnDemandStreamCount: 1,
        OnDemandStreamCountLimit: 50,
      },
    })
  })
})

test('a larger record fits once the stream allows it', async () => {
  const { client } = await withStream()
  const put = () =>
    client.send(
      new PutRecordCommand({ StreamARN, Data: Buffer.alloc(2_000_000), PartitionKey: 'k' }),
    )
  const limit = (MaxRecordSizeInKiB: number) =>
    client.send(new UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB }))

  await expect(put()).rejects.toMatchObject({ name: 'ValidationException' })
  await expect(limit(10_241)).rejects.toMatchObject({ name: 'ValidationException' })
  await limit(2048)
  await put()
  expect((await summaryOf(client)).MaxRecordSizeInKiB).toBe(2048)
})

test('enhanced monitoring answers with the metrics before and after', async () => {
  const { client } = await withStream()

  const one = await client.send(
    new EnableEnhancedMonitoringCommand({ StreamARN, ShardLevelMetrics: ['IncomingBytes'] }),
  )
  const all = await client.send(
    new EnableEnhancedMonitoringCommand({ StreamARN, ShardLevelMetrics: ['ALL'] }),
  )
  const fewer = await client.send(
    new DisableEnhancedMonitoringCommand({
      StreamName: 'cam',
      ShardLevelMetrics: ['OutgoingBytes'],
    }),
  )

  expect([one.CurrentShardLevelMetrics, one.DesiredShardLevelMetrics]).toEqual([
    [],
    ['IncomingBytes'],
  ])
  expect(all.DesiredShardLevelMetrics).toHaveLength(7)
  expect(fewer.DesiredShardLevelMetrics).toHaveLength(6)
  const [monitored] = (await summaryOf(client)).EnhancedMonitoring!
  expect(monitored!.ShardLevelMetrics).toEqual(fewer.DesiredShardLevelMetrics)
})

test('shards are measured where enhanced monitoring asks for it, streams always', async () => {
  const { api, client } = await withStream()
  const put = () =>
    client.send(new PutRecordCommand({ StreamARN, Data: Buffer.from('xy'), PartitionKey: 'k' }))
  const { metrics } = api.observed
  const { ShardId } = await put()
  expect((await metrics.datastreamShardRecordsIn.get()).values).toEqual([])

  await client.send(
    new EnableEnhancedMonitoringCommand({ StreamARN, ShardLevelMetrics: ['IncomingRecords'] }),
  )
  await put()

  expect((await metrics.datastreamShardRecordsIn.get()).values).toMatchObject([
    { value: 1, labels: { stream: 'cam', shard: ShardId } },
  ])
  expect((await metrics.datastreamShardBytesIn.get()).values).toEqual([])
  expect((await metrics.datastreamRecordsIn.get()).values).toMatchObject([{ value: 2 }])
  expect((await metrics.datastreamBytesIn.get()).values).toMatchObject([{ value: 6 }])
})

test('streams and consumers are tagged by their ARNs; both forms see a stream’s tags', async () => {
  const { client } = await withStream()
  const { Consumer } = await client.send(
    new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'app', Tags: { a: '1' } }),
  )
  const tags = async (ResourceARN: string) =>
    (await client.send(new ListTagsForResourceCommand({ ResourceARN }))).Tags

  for (const ResourceARN of [StreamARN, Consumer!.ConsumerARN!]) {
    await client.send(new TagResourceCommand({ ResourceARN, Tags: { b: '2', c: 'x:y' } }))
    await client.send(new UntagResourceCommand({ ResourceARN, TagKeys: ['b', 'none'] }))
  }

  expect(await tags(StreamARN)).toEqual([{ Key: 'c', Value: 'x:y' }])
  expect(await tags(Consumer!.ConsumerARN!)).toEqual([
    { Key: 'a', Value: '1' },
    { Key: 'c', Value: 'x:y' },
  ])
  const old = await client.send(new ListTagsForStreamCommand({ StreamName: 'cam' }))
  expect(old.Tags).toEqual([{ Key: 'c', Value: 'x:y' }])
  const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, '']))
  await expect(
    client.send(new TagResourceCommand({ ResourceARN: StreamARN, Tags: many })),
  ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
  await expect(tags(`${StreamARN}x`)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
})

test('settings are there after they were set, whatever else changes', async () => {
  const { client } = await withStream()
  await client.send(new UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: 4096 }))
  await client.send(
    new SplitShardCommand({
      ...{ StreamARN, ShardToSplit: 'shardId-000000000000', NewStartingHashKey: '9' },
    }),
  )

  expect((await summaryOf(client)).MaxRecordSizeInKiB).toBe(4096)
  const { Shards } = await client.send(new ListShardsCommand({ StreamARN }))
  expect(Shards).toHaveLength(4)
})
