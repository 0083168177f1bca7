import { expect, test } from 'vitest'
import { operations } from '../../../src/api/kinesis/operations.ts'
import { parsePolicy, type Policy } from '../../../src/api/auth/index.ts'
import { ACCOUNT_ID, runKinesisApi } from './running-api.ts'
import { call } from './signed-call.ts'

const StreamName = 'cam'
const StreamARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/cam`
const ConsumerARN = `${StreamARN}/consumer/app:1`
const ChannelARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:channel/c`
const Record = { Data: 'eA==', PartitionKey: 'k' }
const ShardId = 'shardId-000000000000'

/** A valid input of each operation: what is not valid is refused before anybody is asked. */
const INPUTS: Readonly<Record<string, object>> = {
  AddTagsToStream: { StreamName, Tags: { a: 'b' } },
  CreateChannel: {
    ChannelName: 'c',
    ServiceExecutionRoleARN: 'arn:aws:iam::000000000000:role/r',
    StreamConfigurationList: [],
  },
  CreateStream: { StreamName, ShardCount: 1 },
  DecreaseStreamRetentionPeriod: { StreamName, RetentionPeriodHours: 24 },
  DeleteChannel: { ChannelARN },
  DeleteResourcePolicy: { ResourceARN: StreamARN },
  DeleteStream: { StreamName },
  DeregisterStreamConsumer: { StreamARN, ConsumerName: 'app' },
  DescribeAccountSettings: {},
  DescribeChannel: { ChannelARN },
  DescribeLimits: {},
  DescribeStream: { StreamName },
  DescribeStreamConsumer: { StreamARN, ConsumerName: 'app' },
  DescribeStreamSummary: { StreamName },
  DisableEnhancedMonitoring: { StreamName, ShardLevelMetrics: ['ALL'] },
  EnableEnhancedMonitoring: { StreamName, ShardLevelMetrics: ['ALL'] },
  GetRecords: {},
  GetResourcePolicy: { ResourceARN: StreamARN },
  GetShardIterator: { StreamName, ShardId, ShardIteratorType: 'LATEST' },
  IncreaseStreamRetentionPeriod: { StreamName, RetentionPeriodHours: 48 },
  ListChannels: {},
  ListShards: { StreamName },
  ListStreamConsumers: { StreamARN },
  ListStreams: {},
  ListTagsForResource: { ResourceARN: StreamARN },
  ListTagsForStream: { StreamName },
  MergeShards: {
    StreamName,
    ShardToMerge: ShardId,
    AdjacentShardToMerge: 'shardId-000000000001',
  },
  PutRecord: { StreamName, ...Record },
  PutRecords: { StreamName, Records: [Record] },
  PutResourcePolicy: { ResourceARN: StreamARN, Policy: '{}' },
  RegisterStreamConsumer: { StreamARN, ConsumerName: 'app' },
  RemoveTagsFromStream: { StreamName, TagKeys: ['a'] },
  SplitShard: { StreamName, ShardToSplit: ShardId, NewStartingHashKey: '1' },
  StartStreamEncryption: { StreamName, EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' },
  StopStreamEncryption: { StreamName, EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' },
  SubscribeToShard: { ConsumerARN, ShardId, StartingPosition: { Type: 'LATEST' } },
  TagResource: { ResourceARN: StreamARN, Tags: { a: 'b' } },
  UntagResource: { ResourceARN: StreamARN, TagKeys: ['a'] },
  UpdateAccountSettings: { MinimumThroughputBillingCommitment: { Status: 'DISABLED' } },
  UpdateChannel: { ChannelARN },
  UpdateMaxRecordSize: { StreamARN, MaxRecordSizeInKiB: 1024 },
  UpdateShardCount: { StreamName, TargetShardCount: 2, ScalingType: 'UNIFORM_SCALING' },
  UpdateStreamMode: { StreamARN, StreamModeDetails: { StreamMode: 'ON_DEMAND' } },
  UpdateStreamRecordDistributionStrategy: {
    StreamARN,
    RecordDistributionStrategy: 'AUTO',
  },
  UpdateStreamWarmThroughput: { StreamARN, WarmThroughputMiBps: 1 },
}

test('a policy denies each operation by its name, and leaves the others alone', async () => {
  let policy: Policy | null = null
  const api = await runKinesisApi({}, () => policy)
  await call(api, 'CreateStream', { StreamName, ShardCount: 2 })
  const iterator = await call(api, 'GetShardIterator', INPUTS.GetShardIterator)
  const { ShardIterator } = JSON.parse(iterator.text) as { ShardIterator: string }
  const inputs: typeof INPUTS = { ...INPUTS, GetRecords: { ShardIterator } }

  for (const name of operations.keys()) {
    expect(inputs, `an input for ${name}`).toHaveProperty(name)
    policy = parsePolicy(
      JSON.stringify({
        Statement: [
          { Effect: 'Allow', Action: '*', Resource: '*' },
          { Effect: 'Deny', Action: `kinesis:${name}`, Resource: '*' },
        ],
      }),
    ) as Policy
    const denied = await call(api, name, inputs[name])

    expect([name, denied.status, denied.text]).toEqual([
      name,
      403,
      expect.stringContaining(`not authorized to perform: kinesis:${name} on resource`),
    ])
    const other = name === 'ListStreams' ? 'DescribeLimits' : 'ListStreams'
    expect((await call(api, other, {})).status).toBe(200)
  }
})

test('conditions are those of the request that came', async () => {
  const deny = (Condition: object) =>
    parsePolicy(
      JSON.stringify({
        Statement: [
          { Effect: 'Allow', Action: '*', Resource: '*' },
          { Effect: 'Deny', Action: '*', Resource: '*', Condition },
        ],
      }),
    ) as Policy
  let policy: Policy | null = null
  const api = await runKinesisApi({}, () => policy)
  await call(api, 'CreateStream', { StreamName, ShardCount: 1 })
  await call(api, 'AddTagsToStream', { StreamName, Tags: { Team: 'yard' } })
  const past = new Date(api.clock.now() - 1000).toISOString()

  for (const [condition, status] of [
    [{ IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } }, 403],
    [{ NotIpAddress: { 'aws:SourceIp': '127.0.0.0/8' } }, 200],
    [{ DateGreaterThan: { 'aws:CurrentTime': past } }, 403],
    [{ DateLessThan: { 'aws:CurrentTime': past } }, 200],
    [{ Bool: { 'aws:SecureTransport': 'false' } }, 403],
    [{ StringEquals: { 'aws:ResourceTag/team': 'yard' } }, 403],
    [{ StringEquals: { 'aws:ResourceTag/team': 'street' } }, 200],
    [{ StringEquals: { 'aws:PrincipalTag/team': 'street' } }, 403],
  ] as const) {
    policy = deny(condition)
    const { status: answered } = await call(api, 'DescribeStreamSummary', { StreamName })
    expect([condition, answered]).toEqual([condition, status])
  }
})
