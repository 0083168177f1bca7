import {
  CreateStreamCommand,
  DeleteStreamCommand,
  EnableEnhancedMonitoringCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from '@aws-sdk/client-kinesis'
import { expect, test } from 'vitest'
import { ACCOUNT_ID, runKinesisApi } from './running-api.ts'

const SHARD = 'shardId-000000000000'
const StreamARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/cam`
const ofOperation = (operation: string, outcome?: string) =>
  `{stream="cam",operation="${operation}"${outcome === undefined ? '' : `,outcome="${outcome}"`}}`
const ofShard = `{stream="cam",shard="${SHARD}"}`

/** Every name of the developer guide's "Stream-level metrics" and "Shard-level metrics", and what it is after {@link run}. */
const SERIES: readonly (readonly [name: string, series: string, value: number])[] = [
  ['GetRecords.Bytes', `kinora_kinesis_bytes_total${ofOperation('GetRecords')}`, 6],
  ['GetRecords.IteratorAgeMilliseconds', `kinora_datastream_iterator_age_milliseconds`, 0],
  ['GetRecords.Latency', `kinora_kinesis_call_seconds_count${ofOperation('GetRecords')}`, 5],
  ['GetRecords.Records', `kinora_kinesis_records_total${ofOperation('GetRecords', 'success')}`, 2],
  ['GetRecords.Success', `kinora_kinesis_calls_total${ofOperation('GetRecords', 'success')}`, 5],
  ['IncomingBytes', 'kinora_datastream_bytes_in_total{stream="cam"}', 3000],
  ['IncomingRecords', 'kinora_datastream_records_in_total{stream="cam"}', 1000],
  ['PutRecord.Bytes', `kinora_kinesis_bytes_total${ofOperation('PutRecord')}`, 3],
  ['PutRecord.Latency', `kinora_kinesis_call_seconds_count${ofOperation('PutRecord')}`, 1],
  ['PutRecord.Success', `kinora_kinesis_calls_total${ofOperation('PutRecord', 'success')}`, 1],
  ['PutRecords.Bytes', `kinora_kinesis_bytes_total${ofOperation('PutRecords')}`, 2997],
  ['PutRecords.Latency', `kinora_kinesis_call_seconds_count${ofOperation('PutRecords')}`, 3],
  ['PutRecords.Success', `kinora_kinesis_calls_total${ofOperation('PutRecords', 'success')}`, 2],
  [
    'PutRecords.SuccessfulRecords',
    `kinora_kinesis_records_total${ofOperation('PutRecords', 'success')}`,
    999,
  ],
  [
    'PutRecords.ThrottledRecords',
    `kinora_kinesis_records_total${ofOperation('PutRecords', 'throttled')}`,
    3,
  ],
  [
    'ReadProvisionedThroughputExceeded',
    'kinora_datastream_read_throttled_calls_total{stream="cam"}',
    1,
  ],
  [
    'WriteProvisionedThroughputExceeded',
    'kinora_datastream_write_throttled_records_total{stream="cam"}',
    3,
  ],
  [
    'SubscribeToShard.RateExceeded',
    `kinora_kinesis_calls_total${ofOperation('SubscribeToShard', 'throttled')}`,
    1,
  ],
  [
    'SubscribeToShard.Success',
    `kinora_kinesis_calls_total${ofOperation('SubscribeToShard', 'success')}`,
    1,
  ],
  [
    'SubscribeToShardEvent.Bytes',
    `kinora_kinesis_bytes_total${ofOperation('SubscribeToShardEvent')}`,
    3000,
  ],
  [
    'SubscribeToShardEvent.MillisBehindLatest',
    `kinora_kinesis_subscriber_lag_milliseconds{stream="cam",consumer="c",shard="${SHARD}"}`,
    0,
  ],
  [
    'SubscribeToShardEvent.Records',
    `kinora_kinesis_records_total${ofOperation('SubscribeToShardEvent', 'success')}`,
    1000,
  ],
  [
    'SubscribeToShardEvent.Success',
    `kinora_kinesis_calls_total${ofOperation('SubscribeToShardEvent', 'success')}`,
    1,
  ],
  ['IncomingBytes of a shard', `kinora_datastream_shard_bytes_in_total${ofShard}`, 3000],
  ['IncomingRecords of a shard', `kinora_datastream_shard_records_in_total${ofShard}`, 1000],
  [
    'IteratorAgeMilliseconds of a shard',
    `kinora_datastream_shard_iterator_age_milliseconds${ofShard}`,
    0,
  ],
  ['OutgoingBytes of a shard', `kinora_datastream_shard_bytes_out_total${ofShard}`, 3006],
  ['OutgoingRecords of a shard', `kinora_datastream_shard_records_out_total${ofShard}`, 1002],
  [
    'ReadProvisionedThroughputExceeded of a shard',
    `kinora_datastream_shard_read_throttled_calls_total${ofShard}`,
    1,
  ],
  [
    'WriteProvisionedThroughputExceeded of a shard',
    `kinora_datastream_shard_write_throttled_records_total${ofShard}`,
    3,
  ],
]

async function run() {
  const api = await runKinesisApi({ capacity: 'enforce' })
  const client = api.client('h2c', undefined, 1)
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
  await client.send(new EnableEnhancedMonitoringCommand({ StreamARN, ShardLevelMetrics: ['ALL'] }))
  const record = { Data: Buffer.from('xy'), PartitionKey: 'k' }
  const Records = (length: number) => Array.from({ length }, () => record)
  await client.send(new PutRecordCommand({ StreamARN, ...record }))
  await client.send(new PutRecordsCommand({ StreamARN, Records: Records(500) }))
  await client.send(new PutRecordsCommand({ StreamARN, Records: Records(500) }))
  await client.send(new PutRecordsCommand({ StreamARN, Records: Records(2) }))
  const { ShardIterator: oldest } = await client.send(
    new GetShardIteratorCommand({ StreamARN, ShardId: SHARD, ShardIteratorType: 'TRIM_HORIZON' }),
  )
  const { ShardIterator: newest } = await client.send(
    new GetShardIteratorCommand({ StreamARN, ShardId: SHARD, ShardIteratorType: 'LATEST' }),
  )
  const poll = (ShardIterator: string | undefined) =>
    client.send(new GetRecordsCommand({ ShardIterator, Limit: 2 }))
  await poll(oldest)
  for (let i = 0; i < 4; i++) await poll(newest)
  await expect(poll(newest)).rejects.toThrow('Rate exceeded')
  const { Consumer } = await client.send(
    new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' }),
  )
  const subscribe = async () => {
    const { EventStream } = await client.send(
      new SubscribeToShardCommand({
        ConsumerARN: Consumer!.ConsumerARN,
        ...{ ShardId: SHARD, StartingPosition: { Type: 'TRIM_HORIZON' } },
      }),
    )
    return EventStream![Symbol.asyncIterator]()
  }
  const events = await subscribe()
  await events.next()
  await expect(subscribe()).rejects.toThrow('Another active subscription')
  return { api, client, events }
}

test('every name that users of the service alarm on is a series', async () => {
  const { api, client, events } = await run()

  const text = await api.observed.metrics.registry.metrics()
  const told = SERIES.map(([name, series]) => {
    const line = text.split('\n').find((each) => each.startsWith(series))
    return [name, line?.split(' ').at(-1)]
  })

  expect(told).toEqual(SERIES.map(([name, , value]) => [name, String(value)]))
  await events.return?.()
  await client.send(new DeleteStreamCommand({ StreamARN, EnforceConsumerDeletion: true }))
  await expect
    .poll(() => api.observed.metrics.registry.metrics(), { timeout: 30_000 })
    .not.toContain('stream="cam"')
})

test('calls on streams that are not there leave no series behind', async () => {
  const { client, observed } = await runKinesisApi().then((api) => ({
    client: api.client('HTTP/1.1', undefined, 1),
    observed: api.observed,
  }))

  await expect(
    client.send(
      new PutRecordCommand({ StreamName: 'none', Data: Buffer.from('x'), PartitionKey: 'k' }),
    ),
  ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  expect(await observed.metrics.registry.metrics()).not.toContain('stream="none"')
})
