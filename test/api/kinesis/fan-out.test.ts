import { describe, expect, test } from 'vitest'
import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  DescribeStreamSummaryCommand,
  ListStreamConsumersCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  SplitShardCommand,
  SubscribeToShardCommand,
  type KinesisClient,
  type StartingPosition,
  type SubscribeToShardEvent,
} from '@aws-sdk/client-kinesis'
import { encodeCbor, decodeCbor } from '../../../src/api/aws/cbor.ts'
import { ACCOUNT_ID, runKinesisApi, type ClientProtocol } from './running-api.ts'
import { CBOR_TYPE, send } from './signed-call.ts'

const SHARD = 'shardId-000000000000'
const StreamARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/cam`
const HALF = (1n << 127n).toString()

async function withConsumer(protocol: ClientProtocol) {
  const api = await runKinesisApi()
  const client = api.client(protocol)
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
  const { Consumer } = await client.send(
    new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'app' }),
  )
  return { api, client, ConsumerARN: Consumer!.ConsumerARN! }
}

async function put(client: KinesisClient, ...texts: string[]) {
  const Records = texts.map((text) => ({ Data: Buffer.from(text), PartitionKey: 'k' }))
  const answer = await client.send(new PutRecordsCommand({ StreamName: 'cam', Records }))
  return answer.Records!.map(({ SequenceNumber }) => SequenceNumber!)
}

/** The events of one subscription, one at a time. */
async function subscribe(
  client: KinesisClient,
  ConsumerARN: string,
  StartingPosition: StartingPosition = { Type: 'TRIM_HORIZON' },
) {
  const { EventStream } = await client.send(
    new SubscribeToShardCommand({ ConsumerARN, ShardId: SHARD, StartingPosition }),
  )
  const events = EventStream![Symbol.asyncIterator]()
  return {
    /** `null` when it is over. */
    next: async (): Promise<SubscribeToShardEvent | null> => {
      const result = await events.next()
      return result.done === true ? null : result.value.SubscribeToShardEvent!
    },
    stop: () => events.return!(),
  }
}

const textsOf = (event: SubscribeToShardEvent | null) =>
  event!.Records!.map(({ Data }) => Buffer.from(Data!).toString())

describe.each<ClientProtocol>(['h2c', 'HTTP/1.1'])('the SDK client over %s', (protocol) => {
  test('registers, describes, lists and deregisters consumers', async () => {
    const { api, client, ConsumerARN } = await withConsumer(protocol)
    const created = new Date(api.clock.now())
    expect(ConsumerARN).toBe(`${StreamARN}/consumer/app:${Math.floor(api.clock.now() / 1000)}`)
    await client.send(
      new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'b', Tags: { a: 'b' } }),
    )

    const byArn = await client.send(new DescribeStreamConsumerCommand({ ConsumerARN }))
    const byName = await client.send(
      new DescribeStreamConsumerCommand({ StreamARN, ConsumerName: 'app' }),
    )
    const first = await client.send(new ListStreamConsumersCommand({ StreamARN, MaxResults: 1 }))
    const second = await client.send(
      new ListStreamConsumersCommand({ StreamARN, NextToken: first.NextToken! }),
    )
    const summary = await client.send(new DescribeStreamSummaryCommand({ StreamARN }))

    expect(byArn.ConsumerDescription).toEqual({
      ConsumerName: 'app',
      ConsumerARN,
      ConsumerStatus: 'ACTIVE',
      ConsumerCreationTimestamp: created,
      StreamARN,
    })
    expect(byName.ConsumerDescription).toEqual(byArn.ConsumerDescription)
    const names = [first, second].map(({ Consumers }) => Consumers!.map((c) => c.ConsumerName))
    expect(names).toEqual([['app'], ['b']])
    expect(second.NextToken).toBeUndefined()
    expect(summary.StreamDescriptionSummary!.ConsumerCount).toBe(2)

    await client.send(new DeregisterStreamConsumerCommand({ ConsumerARN }))
    await expect(
      client.send(new DescribeStreamConsumerCommand({ ConsumerARN })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    const again = await client.send(
      new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'app' }),
    )
    expect(again.Consumer!.ConsumerARN).not.toBe(ConsumerARN)
  })

  test('pushes what is there and then what comes', async () => {
    const { client, ConsumerARN } = await withConsumer(protocol)
    const [, second] = await put(client, 'a', 'b')
    const subscription = await subscribe(client, ConsumerARN)

    const stored = await subscription.next()
    await put(client, 'c')
    const pushed = await subscription.next()

    expect(textsOf(stored)).toEqual(['a', 'b'])
    expect(stored).toMatchObject({ MillisBehindLatest: 0 })
    expect(BigInt(stored!.ContinuationSequenceNumber!)).toBe(BigInt(second!))
    expect(textsOf(pushed)).toEqual(['c'])
    await subscription.stop()
  })

  test('a caught-up subscription hears so at once, and again while nothing comes', async () => {
    const { api, client, ConsumerARN } = await withConsumer(protocol)
    const subscription = await subscribe(client, ConsumerARN, { Type: 'LATEST' })

    const first = await subscription.next()
    await api.clock.sleeping(5_000)
    api.clock.advance(5_000)
    const heartbeat = await subscription.next()

    expect(first).toMatchObject({ Records: [], MillisBehindLatest: 0 })
    expect(heartbeat).toMatchObject({ Records: [], MillisBehindLatest: 0 })
    await subscription.stop()
  })

  test('ends after five minutes with a last event, from whose number it goes on', async () => {
    const { api, client, ConsumerARN } = await withConsumer(protocol)
    const subscription = await subscribe(client, ConsumerARN)
    await subscription.next()
    await api.clock.sleeping(5_000)

    api.clock.advance(300_000)

    const last = await subscription.next()
    expect(last).toMatchObject({ Records: [] })
    expect(await subscription.next()).toBeNull()
    await put(api.client(protocol), 'a', 'b')
    const next = await subscribe(api.client(protocol), ConsumerARN, {
      Type: 'AFTER_SEQUENCE_NUMBER',
      SequenceNumber: last!.ContinuationSequenceNumber!,
    })
    expect(textsOf(await next.next())).toEqual(['a', 'b'])
    await next.stop()
  })

  test('a later subscription takes over after five seconds, and is refused before', async () => {
    const { api, client, ConsumerARN } = await withConsumer(protocol)
    const first = await subscribe(client, ConsumerARN)
    await first.next()

    await expect(subscribe(client, ConsumerARN)).rejects.toMatchObject({
      name: 'ResourceInUseException',
    })
    await api.clock.sleeping(5_000)
    api.clock.advance(5_000)
    await first.next() // a heartbeat
    const second = await subscribe(client, ConsumerARN)

    await expect(first.next()).rejects.toMatchObject({ name: 'ResourceInUseException' })
    await put(client, 'x')
    for (let texts: string[] = []; texts.length === 0;) texts = textsOf(await second.next())
    await second.stop()
  })

  test('the end of a closed shard names its children and no number', async () => {
    const { client, ConsumerARN } = await withConsumer(protocol)
    await put(client, 'a')
    const subscription = await subscribe(client, ConsumerARN)
    await subscription.next()

    await client.send(
      new SplitShardCommand({ StreamARN, ShardToSplit: SHARD, NewStartingHashKey: HALF }),
    )

    const last = await subscription.next()
    expect(last!.ContinuationSequenceNumber).toBeUndefined()
    expect(last!.ChildShards!.map(({ ShardId, ParentShards }) => [ShardId, ParentShards])).toEqual([
      ['shardId-000000000001', [SHARD]],
      ['shardId-000000000002', [SHARD]],
    ])
    expect(await subscription.next()).toBeNull()
  })

  test('a consumer or a stream that goes ends its subscriptions', async () => {
    const { api, client, ConsumerARN } = await withConsumer(protocol)
    const first = await subscribe(client, ConsumerARN)
    await first.next()
    await client.send(new DeregisterStreamConsumerCommand({ ConsumerARN }))
    await expect(first.next()).rejects.toMatchObject({ name: 'ResourceNotFoundException' })

    const { Consumer } = await client.send(
      new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'app' }),
    )
    const second = await subscribe(api.client(protocol), Consumer!.ConsumerARN!)
    await second.next()
    await expect(client.send(new DeleteStreamCommand({ StreamName: 'cam' }))).rejects.toMatchObject(
      { name: 'ResourceInUseException' },
    )
    await client.send(new DeleteStreamCommand({ StreamName: 'cam', EnforceConsumerDeletion: true }))
    await expect(second.next()).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })
})

test('a stream has twenty consumers, each name once, each address whole', async () => {
  const { client, ConsumerARN } = await withConsumer('h2c')
  const register = (ConsumerName: string) =>
    client.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName }))

  await expect(register('app')).rejects.toMatchObject({ name: 'ResourceInUseException' })
  for (let i = 1; i < 20; i++) await register(`c${i}`)
  await expect(register('one too many')).rejects.toMatchObject({ name: 'ValidationException' })
  await expect(register('one.too.many')).rejects.toMatchObject({ name: 'LimitExceededException' })
  await expect(client.send(new DescribeStreamConsumerCommand({ StreamARN }))).rejects.toMatchObject(
    { name: 'InvalidArgumentException' },
  )
  await expect(
    client.send(new DescribeStreamConsumerCommand({ ConsumerARN, ConsumerName: 'c1' })),
  ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
})

test('a dry run checks and does not subscribe', async () => {
  const { client, ConsumerARN } = await withConsumer('h2c')
  const dryRun = (ShardId: string) =>
    client.send(
      new SubscribeToShardCommand({
        ...{ ConsumerARN, ShardId, DryRun: true },
        StartingPosition: { Type: 'LATEST' },
      }),
    )

  await expect(dryRun(SHARD)).rejects.toMatchObject({ name: 'DryRunOperationException' })
  await expect(dryRun('shardId-000000000009')).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  })
  await (await subscribe(client, ConsumerARN)).stop()
})

test('a subscriber that does not read holds up nobody and is told nothing it did not ask for', async () => {
  const { api, client, ConsumerARN } = await withConsumer('h2c')
  const other = await client.send(
    new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'quick' }),
  )
  const stuck = await send(api, 'SubscribeToShard', {
    ConsumerARN,
    ShardId: SHARD,
    StartingPosition: { Type: 'LATEST' },
  })
  const quick = await subscribe(client, other.Consumer!.ConsumerARN!, { Type: 'LATEST' })
  await quick.next()

  const data = Buffer.alloc(1_000_000, 7)
  let received = 0
  for (let i = 0; i < 60; i++) {
    await api.dataStreams.put('cam', [{ data, partitionKey: 'k' }])
    received += (await quick.next())!.Records!.length
  }

  expect(received).toBe(60)
  await stuck.body!.cancel()
  await quick.stop()
})

test('requests in CBOR get their events in CBOR', async () => {
  const { api, client, ConsumerARN } = await withConsumer('h2c')
  await put(client, 'a')
  const response = await send(
    api,
    'SubscribeToShard',
    encodeCbor({ ConsumerARN, ShardId: SHARD, StartingPosition: { Type: 'TRIM_HORIZON' } }),
    { type: CBOR_TYPE },
  )
  expect(response.headers.get('content-type')).toBe('application/vnd.amazon.eventstream')
  const reader = response.body!.getReader()
  let bytes = Buffer.alloc(0)
  const frames: Buffer[] = []
  while (frames.length < 2) {
    bytes = Buffer.concat([bytes, (await reader.read()).value!])
    while (bytes.length >= 4 && bytes.length >= bytes.readUInt32BE(0)) {
      frames.push(bytes.subarray(0, bytes.readUInt32BE(0)))
      bytes = bytes.subarray(bytes.readUInt32BE(0))
    }
  }
  await reader.cancel()

  const payload = frames[1]!.subarray(12 + frames[1]!.readUInt32BE(4), -4)
  expect(decodeCbor(payload)).toMatchObject({
    Records: [{ Data: Buffer.from('a'), PartitionKey: 'k' }],
    MillisBehindLatest: 0,
  })
  expect(frames[1]!.toString('latin1')).toContain(CBOR_TYPE)
})

test('a stopping service ends subscriptions without an error', async () => {
  const { api, client, ConsumerARN } = await withConsumer('h2c')
  const subscription = await subscribe(client, ConsumerARN)
  await subscription.next()

  api.endStreams()

  expect(await subscription.next()).toBeNull()
})
