import { describe, expect, test } from 'vitest'
import {
  AddTagsToStreamCommand,
  CreateStreamCommand,
  DecreaseStreamRetentionPeriodCommand,
  DeleteStreamCommand,
  DescribeStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  IncreaseStreamRetentionPeriodCommand,
  ListShardsCommand,
  ListStreamsCommand,
  ListTagsForStreamCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RemoveTagsFromStreamCommand,
  type GetShardIteratorCommandInput,
  type KinesisClient,
  type _Record,
} from '@aws-sdk/client-kinesis'
import { ACCOUNT_ID, runKinesisApi, type ClientProtocol } from './running-api.ts'

const SHARD = 'shardId-000000000000'
const arnOf = (name: string) => `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/${name}`

describe.each<ClientProtocol>(['h2c', 'HTTP/1.1'])('the SDK client over %s', (protocol) => {
  test('creates, puts, lists shards, and reads everything back in order', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 3 }))

    const put = await client.send(
      new PutRecordsCommand({
        StreamName: 'cam',
        Records: Array.from({ length: 300 }, (_, i) => ({
          Data: Buffer.from(`record ${i}`),
          PartitionKey: `key ${i % 10}`,
        })),
      }),
    )
    const one = await client.send(
      new PutRecordCommand({ StreamName: 'cam', Data: Buffer.from('last'), PartitionKey: 'key 3' }),
    )

    expect(put.FailedRecordCount).toBe(0)
    const { Shards } = await client.send(new ListShardsCommand({ StreamName: 'cam' }))
    expect(Shards!.map(({ HashKeyRange }) => HashKeyRange!.EndingHashKey)).toEqual([
      '113427455640312821154458202477256070484',
      '226854911280625642308916404954512140969',
      '340282366920938463463374607431768211455',
    ])
    const byShard = await Promise.all(Shards!.map(({ ShardId }) => readAll(client, 'cam', ShardId)))
    for (const [i, records] of byShard.entries()) {
      const shardId = Shards![i]!.ShardId
      const putThere = put.Records!.filter(({ ShardId }) => ShardId === shardId)
      const expected = putThere.map(({ SequenceNumber }) => SequenceNumber)
      if (one.ShardId === shardId) expected.push(one.SequenceNumber)
      expect(records.map(({ SequenceNumber }) => SequenceNumber)).toEqual(expected)
      expect(expected).toEqual([...expected].sort())
    }
    const texts = byShard.flat().map(({ Data }) => Buffer.from(Data!).toString())
    expect(texts.sort()).toEqual(
      [...Array.from({ length: 300 }, (_, i) => `record ${i}`), 'last'].sort(),
    )
    const ofKey = byShard.flat().filter(({ PartitionKey }) => PartitionKey === 'key 3')
    expect(ofKey.map(({ Data }) => Buffer.from(Data!).toString())).toEqual([
      ...Array.from({ length: 30 }, (_, i) => `record ${i * 10 + 3}`),
      'last',
    ])
  })

  test('every iterator type starts where it says', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    const numbers: string[] = []
    const times: Date[] = []
    for (const text of ['a', 'b', 'c']) {
      api.clock.advance(1000)
      times.push(new Date(api.clock.now()))
      numbers.push((await put(client, 'cam', text)).SequenceNumber!)
    }
    const shard = (await client.send(new DescribeStreamCommand({ StreamName: 'cam' })))
      .StreamDescription!.Shards![0]!
    const start = shard.SequenceNumberRange!.StartingSequenceNumber!

    const read = (start: Omit<GetShardIteratorCommandInput, 'ShardId'>) =>
      texts(client, 'cam', start)

    expect(await read({ ShardIteratorType: 'TRIM_HORIZON' })).toEqual(['a', 'b', 'c'])
    expect(await read({ ShardIteratorType: 'LATEST' })).toEqual([])
    const [, second, third] = numbers
    const at = 'AT_SEQUENCE_NUMBER'
    const after = 'AFTER_SEQUENCE_NUMBER'
    expect(await read({ ShardIteratorType: at, StartingSequenceNumber: second! })).toEqual([
      'b',
      'c',
    ])
    expect(await read({ ShardIteratorType: after, StartingSequenceNumber: second! })).toEqual(['c'])
    expect(await read({ ShardIteratorType: after, StartingSequenceNumber: third! })).toEqual([])
    expect(await read({ ShardIteratorType: at, StartingSequenceNumber: start })).toEqual([
      'a',
      'b',
      'c',
    ])
    expect(await read({ ShardIteratorType: after, StartingSequenceNumber: start })).toEqual([
      'a',
      'b',
      'c',
    ])
    expect(await read({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: times[1]! })).toEqual([
      'b',
      'c',
    ])
    const between = new Date(times[1]!.getTime() + 1)
    expect(await read({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: between })).toEqual(['c'])
    expect(await read({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: new Date(0) })).toEqual([
      'a',
      'b',
      'c',
    ])
    const future = new Date(api.clock.now() + 1000)
    await expect(
      read({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: future }),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
  })

  test('a LATEST iterator sees what is put after it was made', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    await put(client, 'cam', 'before')
    const latest = await iteratorOf(client, 'cam', { ShardIteratorType: 'LATEST' })
    const { NextShardIterator } = await client.send(
      new GetRecordsCommand({ ShardIterator: latest }),
    )
    await put(client, 'cam', 'after')

    const { Records } = await client.send(
      new GetRecordsCommand({ ShardIterator: NextShardIterator! }),
    )

    expect(Records!.map(({ Data }) => Buffer.from(Data!).toString())).toEqual(['after'])
  })

  test('MillisBehindLatest is the distance of what was read from now, and 0 at the tip', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    await put(client, 'cam', 'a')
    api.clock.advance(4000)
    await put(client, 'cam', 'b')
    api.clock.advance(1000)

    const ShardIterator = await iteratorOf(client, 'cam', { ShardIteratorType: 'TRIM_HORIZON' })
    const first = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 1 }))
    const second = await client.send(
      new GetRecordsCommand({ ShardIterator: first.NextShardIterator!, Limit: 1 }),
    )

    expect([first.MillisBehindLatest, second.MillisBehindLatest]).toEqual([5000, 0])
  })

  test('a wrong secret and an unknown key are refused', async () => {
    const api = await runKinesisApi()
    const wrong = { accessKeyId: 'AKIDTESTTESTTEST0001', secretAccessKey: 'another secret' }
    const unknown = { accessKeyId: 'AKIDTESTTESTTEST0002', secretAccessKey: 'a secret of tests' }

    await expect(
      api.client(protocol, wrong).send(new ListStreamsCommand({})),
    ).rejects.toMatchObject({
      name: 'InvalidSignatureException',
      $metadata: { httpStatusCode: 403, attempts: 1 },
    })
    await expect(
      api.client(protocol, unknown).send(new ListStreamsCommand({})),
    ).rejects.toMatchObject({
      name: 'UnrecognizedClientException',
      $metadata: { httpStatusCode: 403 },
    })
  })

  test('an iterator is good for five minutes, forged never', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    const iterator = await iteratorOf(client, 'cam', { ShardIteratorType: 'TRIM_HORIZON' })
    const bytes = Buffer.from(iterator, 'base64')
    bytes[40]! ^= 1

    expect((bytes.length - 152) % 16).toBe(0)
    await expect(
      client.send(new GetRecordsCommand({ ShardIterator: bytes.toString('base64') })),
    ).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: 'Invalid ShardIterator.',
    })
    await client.send(new GetRecordsCommand({ ShardIterator: `"${iterator}"` }))
    api.clock.advance(300_000)
    await client.send(new GetRecordsCommand({ ShardIterator: iterator }))
    api.clock.advance(1)
    await expect(
      client.send(new GetRecordsCommand({ ShardIterator: iterator })),
    ).rejects.toMatchObject({
      name: 'ExpiredIteratorException',
      message: expect.stringMatching(
        /^Iterator expired\. The iterator was created at time \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4} while right now it is \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4} which is further in the future than the tolerated delay of 300000 milliseconds\.$/,
      ) as string,
    })
  })

  test('an iterator of a deleted stream does not read its namesake', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    const { SequenceNumber } = await put(client, 'cam', 'old')
    const iterator = await iteratorOf(client, 'cam', { ShardIteratorType: 'TRIM_HORIZON' })
    await client.send(new DeleteStreamCommand({ StreamName: 'cam' }))

    await expect(
      client.send(new GetRecordsCommand({ ShardIterator: iterator })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    api.clock.advance(1000)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    await put(client, 'cam', 'new')
    await expect(
      client.send(new GetRecordsCommand({ ShardIterator: iterator })),
    ).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: `Stream cam under account ${ACCOUNT_ID} not found.`,
    })
    await expect(
      iteratorOf(client, 'cam', {
        ShardIteratorType: 'AT_SEQUENCE_NUMBER',
        StartingSequenceNumber: SequenceNumber!,
      }),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    expect(await texts(client, 'cam', { ShardIteratorType: 'TRIM_HORIZON' })).toEqual(['new'])
  })

  test('streams are addressed by ARN as well as by name', async () => {
    const api = await runKinesisApi()
    const client = api.client(protocol)
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    const StreamARN = arnOf('cam')

    await client.send(
      new PutRecordCommand({ StreamARN, Data: Buffer.from('x'), PartitionKey: 'k' }),
    )
    const { StreamDescriptionSummary } = await client.send(
      new DescribeStreamSummaryCommand({ StreamARN }),
    )
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({ StreamARN, ShardId: SHARD, ShardIteratorType: 'TRIM_HORIZON' }),
    )
    const { Records } = await client.send(
      new GetRecordsCommand({ StreamARN, ShardIterator: ShardIterator! }),
    )

    expect(Records).toHaveLength(1)
    expect(StreamDescriptionSummary).toMatchObject({
      StreamName: 'cam',
      StreamARN,
      StreamStatus: 'ACTIVE',
      OpenShardCount: 1,
      RetentionPeriodHours: 24,
      StreamModeDetails: { StreamMode: 'PROVISIONED' },
      MaxRecordSizeInKiB: 1024,
      StreamCreationTimestamp: new Date(api.clock.now()),
    })
    await expect(
      client.send(new DescribeStreamSummaryCommand({ StreamARN, StreamName: 'other' })),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    const foreign = StreamARN.replace(ACCOUNT_ID, '111122223333')
    await expect(
      client.send(new DescribeStreamSummaryCommand({ StreamARN: foreign })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })
})

describe('operations', () => {
  test('shards are listed page by page, with tokens that expire and are not mixed with names', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 5 }))

    const first = await client.send(new ListShardsCommand({ StreamName: 'cam', MaxResults: 2 }))
    const second = await client.send(
      new ListShardsCommand({ NextToken: first.NextToken!, MaxResults: 2 }),
    )
    const third = await client.send(new ListShardsCommand({ NextToken: second.NextToken! }))

    const ids = [first, second, third].map(({ Shards }) => Shards!.map(({ ShardId }) => ShardId))
    expect(ids.flat()).toEqual(Array.from({ length: 5 }, (_, i) => `shardId-00000000000${i}`))
    expect(third.NextToken).toBeUndefined()
    await expect(
      client.send(new ListShardsCommand({ NextToken: first.NextToken!, StreamName: 'cam' })),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    await expect(
      client.send(new ListShardsCommand({ NextToken: `${first.NextToken!.slice(0, -4)}AAAA` })),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    api.clock.advance(300_001)
    await expect(
      client.send(new ListShardsCommand({ NextToken: first.NextToken! })),
    ).rejects.toMatchObject({ name: 'ExpiredNextTokenException' })
  })

  test('an iterator is no paging token and a paging token no iterator', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 2 }))
    const { NextToken } = await client.send(
      new ListShardsCommand({ StreamName: 'cam', MaxResults: 1 }),
    )
    const iterator = await iteratorOf(client, 'cam', { ShardIteratorType: 'TRIM_HORIZON' })

    await expect(client.send(new ListShardsCommand({ NextToken: iterator }))).rejects.toMatchObject(
      { name: 'InvalidArgumentException' },
    )
    await expect(
      client.send(new GetRecordsCommand({ ShardIterator: NextToken! })),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
  })

  test('streams are listed in order, page by page, and described with their shards', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    for (const StreamName of ['c', 'a', 'b']) {
      await client.send(new CreateStreamCommand({ StreamName, ShardCount: 2 }))
    }

    const first = await client.send(new ListStreamsCommand({ Limit: 2 }))
    const second = await client.send(new ListStreamsCommand({ NextToken: first.NextToken! }))
    const described = await client.send(new DescribeStreamCommand({ StreamName: 'a', Limit: 1 }))
    const rest = await client.send(
      new DescribeStreamCommand({ StreamName: 'a', ExclusiveStartShardId: SHARD }),
    )

    expect([first.StreamNames, second.StreamNames]).toEqual([['a', 'b'], ['c']])
    expect([first.HasMoreStreams, second.HasMoreStreams]).toEqual([true, false])
    expect(first.StreamSummaries![0]).toMatchObject({ StreamName: 'a', StreamStatus: 'ACTIVE' })
    const { Shards, HasMoreShards } = described.StreamDescription!
    expect([Shards!.map(({ ShardId }) => ShardId), HasMoreShards]).toEqual([[SHARD], true])
    expect(rest.StreamDescription!.Shards!.map(({ ShardId }) => ShardId)).toEqual([
      'shardId-000000000001',
    ])
  })

  test('a name is taken once; a stream that is not there is not found', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    const create = () => client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    await create()

    await expect(create()).rejects.toMatchObject({ name: 'ResourceInUseException' })
    await expect(put(client, 'dog', 'x')).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: `Stream dog under account ${ACCOUNT_ID} not found.`,
      $metadata: { httpStatusCode: 400 },
    })
    await expect(
      client.send(
        new GetShardIteratorCommand({
          StreamName: 'cam',
          ShardId: 'shardId-000000000007',
          ShardIteratorType: 'LATEST',
        }),
      ),
    ).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: `Could not find shard shardId-000000000007 in stream cam under account ${ACCOUNT_ID}.`,
    })
  })

  test('the shard limit of the account is named when it is hit', async () => {
    const api = await runKinesisApi({ maxShards: 4 })
    const client = api.client('h2c')
    await client.send(new CreateStreamCommand({ StreamName: 'a', ShardCount: 3 }))

    await expect(
      client.send(new CreateStreamCommand({ StreamName: 'b', ShardCount: 2 })),
    ).rejects.toMatchObject({
      name: 'LimitExceededException',
      message: expect.stringMatching(
        /Current shard count for the account: 3\b.*Limit: 4\b/,
      ) as string,
    })
  })

  test('retention goes up and down, one way per operation', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    const StreamName = 'cam'
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }))
    const hours = async () =>
      (await client.send(new DescribeStreamSummaryCommand({ StreamName })))
        .StreamDescriptionSummary!.RetentionPeriodHours

    await client.send(
      new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 8760 }),
    )
    expect(await hours()).toBe(8760)
    await expect(
      client.send(
        new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 48 }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    await client.send(
      new DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 24 }),
    )
    expect(await hours()).toBe(24)
    await expect(
      client.send(
        new DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 23 }),
      ),
    ).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message:
        'Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.',
    })
  })

  test('a record past its retention is never read, to the millisecond', async () => {
    const api = await runKinesisApi()
    await api.client('h2c').send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    await put(api.client('h2c'), 'cam', 'a')
    api.clock.advance(60_000)
    await put(api.client('h2c'), 'cam', 'b')
    const day = 24 * 3_600_000
    const kept = () => texts(api.client('h2c'), 'cam', { ShardIteratorType: 'TRIM_HORIZON' })

    api.clock.advance(day - 60_000)
    expect(await kept()).toEqual(['a', 'b'])
    api.clock.advance(1)
    expect(await kept()).toEqual(['b'])
    api.clock.advance(day)
    expect(await kept()).toEqual([])
  })

  test('what had expired stays out of sight when the retention gets longer', async () => {
    const api = await runKinesisApi()
    const StreamName = 'cam'
    await api.client('h2c').send(new CreateStreamCommand({ StreamName, ShardCount: 1 }))
    await put(api.client('h2c'), StreamName, 'expired')
    api.clock.advance(60_000)
    await put(api.client('h2c'), StreamName, 'kept')
    api.clock.advance(24 * 3_600_000 - 30_000)

    await api
      .client('h2c')
      .send(new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 48 }))

    const kept = () => texts(api.client('h2c'), StreamName, { ShardIteratorType: 'TRIM_HORIZON' })
    expect(await kept()).toEqual(['kept'])
    api.clock.advance(24 * 3_600_000)
    expect(await kept()).toEqual(['kept'])
    await api
      .client('h2c')
      .send(new DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 24 }))
    await api
      .client('h2c')
      .send(new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 8760 }))
    expect(await kept()).toEqual([])
  })

  test('tags are added, replaced, listed in order and removed', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    const StreamName = 'cam'
    await client.send(
      new CreateStreamCommand({ StreamName, ShardCount: 1, Tags: { place: 'door' } }),
    )

    await client.send(
      new AddTagsToStreamCommand({ StreamName, Tags: { place: 'gate', owner: 'ops' } }),
    )
    const two = await client.send(new ListTagsForStreamCommand({ StreamName, Limit: 1 }))
    await client.send(new RemoveTagsFromStreamCommand({ StreamName, TagKeys: ['owner', 'none'] }))
    const one = await client.send(new ListTagsForStreamCommand({ StreamName }))

    expect([two.Tags, two.HasMoreTags]).toEqual([[{ Key: 'owner', Value: 'ops' }], true])
    expect([one.Tags, one.HasMoreTags]).toEqual([[{ Key: 'place', Value: 'gate' }], false])
  })

  test('a dry run makes every check and does nothing', async () => {
    const api = await runKinesisApi()
    const client = api.client('h2c')
    await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
    const record = { Data: Buffer.from('x'), PartitionKey: 'k', DryRun: true }

    await expect(
      client.send(new PutRecordCommand({ StreamName: 'cam', ...record })),
    ).rejects.toMatchObject({ name: 'DryRunOperationException' })
    await expect(
      client.send(new PutRecordCommand({ StreamName: 'dog', ...record })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    expect(await texts(client, 'cam', { ShardIteratorType: 'TRIM_HORIZON' })).toEqual([])
  })
})

async function put(client: KinesisClient, StreamName: string, text: string) {
  return client.send(
    new PutRecordCommand({ StreamName, Data: Buffer.from(text), PartitionKey: 'key' }),
  )
}

async function iteratorOf(
  client: KinesisClient,
  StreamName: string,
  start: Omit<GetShardIteratorCommandInput, 'ShardId'>,
  ShardId = SHARD,
): Promise<string> {
  const input = { StreamName, ShardId, ...start }
  return (await client.send(new GetShardIteratorCommand(input))).ShardIterator!
}

/** All records of a shard up to the tip, ten at a time. */
async function readAll(
  client: KinesisClient,
  stream: string,
  shardId = SHARD,
  start: Omit<GetShardIteratorCommandInput, 'ShardId'> = { ShardIteratorType: 'TRIM_HORIZON' },
): Promise<_Record[]> {
  const records: _Record[] = []
  let ShardIterator = await iteratorOf(client, stream, start, shardId)
  for (;;) {
    const part = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 10 }))
    records.push(...part.Records!)
    if (part.MillisBehindLatest === 0) return records
    ShardIterator = part.NextShardIterator!
  }
}

async function texts(
  client: KinesisClient,
  stream: string,
  start: Omit<GetShardIteratorCommandInput, 'ShardId'>,
): Promise<string[]> {
  const records = await readAll(client, stream, SHARD, start)
  return records.map(({ Data }) => Buffer.from(Data!).toString())
}
