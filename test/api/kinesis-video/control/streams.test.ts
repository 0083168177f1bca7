import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamCommand,
  GetDataEndpointCommand,
  ListStreamsCommand,
  ListTagsForStreamCommand,
  paginateListStreams,
  UpdateDataRetentionCommand,
  UpdateStreamCommand,
  type UpdateDataRetentionCommandInput,
} from '@aws-sdk/client-kinesis-video'
import { describe, expect, test } from 'vitest'
import { epochMs } from '../../../../src/domain/time.ts'
import { CODEC_AVC } from '../../../../src/domain/track.ts'
import {
  clusterStart,
  concat,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../../src/media/matroska/writer.ts'
import { Producer } from '../running-video-api.ts'
import { runControl } from './run-control.ts'

const ARN = 'arn:aws:kinesisvideo:us-west-2:123456789012:stream'

describe('CreateStream', () => {
  test('makes a stream that is ACTIVE at once, with all that was said of it', async () => {
    const { client } = await runControl()
    const { StreamARN } = await client.send(
      new CreateStreamCommand({
        ...{ StreamName: 'door', DeviceName: 'door-camera', MediaType: 'video/h264,audio/aac' },
        ...{ DataRetentionInHours: 24, KmsKeyId: 'alias/own', Tags: { place: 'yard' } },
        StreamStorageConfiguration: { DefaultStorageTier: 'WARM' },
      }),
    )
    const { StreamInfo } = await client.send(new DescribeStreamCommand({ StreamARN }))

    expect(StreamInfo).toEqual({
      ...{ StreamName: 'door', DeviceName: 'door-camera', MediaType: 'video/h264,audio/aac' },
      ...{ DataRetentionInHours: 24, KmsKeyId: 'alias/own', Status: 'ACTIVE', StreamARN },
      Version: expect.stringMatching(/^[a-zA-Z0-9]{8,64}$/) as string,
      CreationTime: expect.any(Date) as Date,
    })
    expect(StreamARN).toBe(`${ARN}/door/${StreamInfo!.CreationTime!.getTime()}`)
    const { Tags } = await client.send(new ListTagsForStreamCommand({ StreamName: 'door' }))
    expect(Tags).toEqual({ place: 'yard' })
  })

  test('keeps nothing and uses the own key unless told otherwise', async () => {
    const { client } = await runControl()
    await client.send(new CreateStreamCommand({ StreamName: 'bare' }))
    const { StreamInfo } = await client.send(new DescribeStreamCommand({ StreamName: 'bare' }))

    expect(StreamInfo).toMatchObject({
      DataRetentionInHours: 0,
      KmsKeyId: 'arn:aws:kms:us-west-2:123456789012:alias/aws/kinesisvideo',
    })
    expect(StreamInfo).not.toHaveProperty('DeviceName')
    expect(StreamInfo).not.toHaveProperty('MediaType')
  })

  test.each([
    { rule: 'a name that is taken', input: { StreamName: 'x' }, type: 'ResourceInUseException' },
    {
      rule: 'a name of a folder',
      input: { StreamName: '..' },
      type: 'InvalidArgumentException',
    },
    {
      rule: 'over fifty tags',
      input: { StreamName: 'y', Tags: tags(51) },
      type: 'TagsPerResourceExceededLimitException',
    },
  ])('refuses $rule', async ({ input, type }) => {
    const { client, registry } = await runControl()

    await expect(client.send(new CreateStreamCommand(input))).rejects.toMatchObject({
      name: type,
      $metadata: { httpStatusCode: 400 },
    })
    expect(registry.list().map(({ name }) => name)).toEqual(['x'])
  })

  test('of many at once with one name, one makes the stream', async () => {
    const { client } = await runControl()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => client.send(new CreateStreamCommand({ StreamName: 'n' }))),
    )
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected')

    expect(failures.map(({ reason }) => (reason as Error).name)).toEqual(
      Array.from({ length: 9 }, () => 'ResourceInUseException'),
    )
  })
})

describe('DescribeStream', () => {
  test('shows a stream that was made by other means', async () => {
    const { client, registry } = await runControl()
    const { StreamInfo } = await client.send(new DescribeStreamCommand({ StreamName: 'x' }))

    expect(StreamInfo).toMatchObject({
      StreamARN: `${ARN}/x/${registry.get('x').createdAt}`,
      ...{ Status: 'ACTIVE', DataRetentionInHours: 24, Version: registry.get('x').version },
    })
  })

  test.each([
    { rule: 'no such name', input: { StreamName: 'nobody' } },
    { rule: 'an ARN of a former stream', input: { StreamARN: `${ARN}/x/1` } },
    {
      rule: 'an ARN of something else',
      input: { StreamARN: `${ARN}/x/1`.replace('stream', 'channel') },
    },
  ])('answers 404 for $rule: producers look at nothing else', async ({ input }) => {
    const { client } = await runControl()

    await expect(client.send(new DescribeStreamCommand(input))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      $metadata: {
        httpStatusCode: 404,
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      },
    })
  })

  test.each([
    { rule: 'neither name nor ARN', input: {} },
    { rule: 'both', input: { StreamName: 'x', StreamARN: `${ARN}/x/1` } },
  ])('refuses $rule', async ({ input }) => {
    const { client } = await runControl()

    await expect(client.send(new DescribeStreamCommand(input))).rejects.toMatchObject({
      name: 'InvalidArgumentException',
    })
  })
})

describe('ListStreams', () => {
  test('pages through all of them, in order, each once', async () => {
    const { client, registry } = await runControl()
    const names = Array.from({ length: 23 }, (_, i) => `cam-${String(i).padStart(2, '0')}`)
    await Promise.all(names.map((name) => registry.create({ name, retentionHours: 1 })))
    const pages: string[][] = []
    for await (const page of paginateListStreams({ client, pageSize: 10 }, {})) {
      pages.push(page.StreamInfoList!.map(({ StreamName }) => StreamName!))
    }

    expect(pages.map((page) => page.length)).toEqual([10, 10, 4])
    expect(pages.flat()).toEqual([...names, 'x'])
  })

  test('shows those of a prefix', async () => {
    const { client, registry } = await runControl()
    for (const name of ['yard-1', 'yard-2', 'yar'])
      await registry.create({ name, retentionHours: 1 })
    const listed = await client.send(
      new ListStreamsCommand({
        MaxResults: 1,
        StreamNameCondition: { ComparisonOperator: 'BEGINS_WITH', ComparisonValue: 'yard-' },
      }),
    )
    const rest = await client.send(
      new ListStreamsCommand({
        NextToken: listed.NextToken,
        StreamNameCondition: { ComparisonOperator: 'BEGINS_WITH', ComparisonValue: 'yard-' },
      }),
    )

    const names = [listed, rest].map(({ StreamInfoList }) =>
      StreamInfoList!.map((s) => s.StreamName),
    )
    expect(names).toEqual([['yard-1'], ['yard-2']])
    expect(rest.NextToken).toBeUndefined()
  })

  test('a token goes on behind its place when streams come and go meanwhile', async () => {
    const { client, registry } = await runControl()
    for (const name of ['a', 'b', 'c']) await registry.create({ name, retentionHours: 1 })
    const { NextToken } = await client.send(new ListStreamsCommand({ MaxResults: 2 }))
    await registry.delete('b')
    await registry.create({ name: 'aa', retentionHours: 1 })
    const { StreamInfoList } = await client.send(new ListStreamsCommand({ NextToken }))

    expect(StreamInfoList!.map(({ StreamName }) => StreamName)).toEqual(['c', 'x'])
  })

  test.each(['AAAA', 'bm9ib2R5', '='])('refuses the made-up token %s', async (NextToken) => {
    const { client } = await runControl()

    await expect(client.send(new ListStreamsCommand({ NextToken }))).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: 'The NextToken is not one of this operation.',
    })
  })
})

describe('UpdateStream', () => {
  test('changes what it names and the version', async () => {
    const { client } = await runControl()
    const version = async () =>
      (await client.send(new DescribeStreamCommand({ StreamName: 'x' }))).StreamInfo!
    const before = await version()
    await client.send(
      new UpdateStreamCommand({
        ...{ StreamName: 'x', CurrentVersion: before.Version, MediaType: 'video/h265' },
      }),
    )
    await client.send(
      new UpdateStreamCommand({
        StreamARN: before.StreamARN,
        CurrentVersion: (await version()).Version,
        DeviceName: 'd',
      }),
    )
    const after = await version()

    expect(after).toMatchObject({ MediaType: 'video/h265', DeviceName: 'd' })
    expect(after.Version).not.toBe(before.Version)
  })

  test('of many at once with one version, one wins, and the others learn of it', async () => {
    const { client, registry } = await runControl()
    const CurrentVersion = registry.get('x').version
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        client.send(
          new UpdateStreamCommand({ StreamName: 'x', CurrentVersion, DeviceName: `d${i}` }),
        ),
      ),
    )
    const reasons = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [(outcome.reason as Error).name] : [],
    )

    expect(reasons).toEqual(Array.from({ length: 19 }, () => 'VersionMismatchException'))
    const winner = outcomes.findIndex(({ status }) => status === 'fulfilled')
    expect(registry.get('x').deviceName).toBe(`d${winner}`)
  })
})

describe('UpdateDataRetention', () => {
  const change = (
    Operation: UpdateDataRetentionCommandInput['Operation'],
    DataRetentionChangeInHours: number,
  ) => ({ Operation, DataRetentionChangeInHours })

  test.each([
    { rule: 'adds', ...change('INCREASE_DATA_RETENTION', 24), hours: 48 },
    { rule: 'takes away', ...change('DECREASE_DATA_RETENTION', 23), hours: 1 },
    { rule: 'takes all away', ...change('DECREASE_DATA_RETENTION', 24), hours: 0 },
    { rule: 'goes up to ten years', ...change('INCREASE_DATA_RETENTION', 87_576), hours: 87_600 },
  ])(
    '$rule, and makes another version',
    async ({ hours, Operation, DataRetentionChangeInHours }) => {
      const { client, registry } = await runControl()
      const { version: CurrentVersion } = registry.get('x')
      await client.send(
        new UpdateDataRetentionCommand({
          ...{ StreamName: 'x', CurrentVersion, Operation, DataRetentionChangeInHours },
        }),
      )

      expect(registry.get('x').retentionHours).toBe(hours)
      expect(registry.get('x').version).not.toBe(CurrentVersion)
    },
  )

  test.each([
    {
      rule: 'more than there is',
      ...change('DECREASE_DATA_RETENTION', 25),
      made: '-1 hours of 24',
    },
    {
      rule: 'over ten years',
      ...change('INCREASE_DATA_RETENTION', 87_577),
      made: '87601 hours of 24',
    },
    {
      rule: 'nothing',
      ...change('INCREASE_DATA_RETENTION', 0),
      made: 'greater than or equal to 1',
    },
  ])('refuses $rule', async ({ made, Operation, DataRetentionChangeInHours }) => {
    const { client, registry } = await runControl()
    const before = registry.get('x')
    const asked = client.send(
      new UpdateDataRetentionCommand({
        ...{ StreamName: 'x', CurrentVersion: before.version, Operation },
        DataRetentionChangeInHours,
      }),
    )

    await expect(asked).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: expect.stringContaining(made) as string,
    })
    expect(registry.get('x')).toEqual(before)
  })

  test('refuses another version than the latest, which a decrease made', async () => {
    const { client, registry } = await runControl()
    const { version: CurrentVersion } = registry.get('x')
    const decrease = () =>
      client.send(
        new UpdateDataRetentionCommand({
          ...{ StreamName: 'x', CurrentVersion, ...change('DECREASE_DATA_RETENTION', 1) },
        }),
      )
    await decrease()

    await expect(decrease()).rejects.toMatchObject({
      name: 'VersionMismatchException',
      $metadata: { httpStatusCode: 400 },
    })
    expect(registry.get('x').retentionHours).toBe(23)
  })
})

describe('GetDataEndpoint', () => {
  const APIS = [
    ...['PUT_MEDIA', 'GET_MEDIA', 'LIST_FRAGMENTS', 'GET_MEDIA_FOR_FRAGMENT_LIST'],
    ...[
      'GET_HLS_STREAMING_SESSION_URL',
      'GET_DASH_STREAMING_SESSION_URL',
      'GET_CLIP',
      'GET_IMAGES',
    ],
  ] as const

  test.each(APIS)('of %s is the address that was called', async (api) => {
    const { client, endpoint } = await runControl()
    const APIName = api as 'PUT_MEDIA'
    const { DataEndpoint } = await client.send(
      new GetDataEndpointCommand({ StreamName: 'x', APIName }),
    )

    expect(DataEndpoint).toBe(endpoint)
  })

  test('is the configured one if there is one', async () => {
    const { client } = await runControl({ publicOrigin: 'https://video.test' })
    const { DataEndpoint } = await client.send(
      new GetDataEndpointCommand({ StreamName: 'x', APIName: 'GET_MEDIA' }),
    )

    expect(DataEndpoint).toBe('https://video.test')
  })

  test.each([
    { host: 'localhost', origin: (port: number) => `http://localhost:${port}` },
    { host: '[::1]', origin: (port: number) => `http://[::1]:${port}` },
    { host: 'video.test:9', origin: () => 'http://video.test:9' },
  ])('has the port although the producer says only Host: $host', async ({ host, origin }) => {
    const { port, call } = await runControl()
    const input = { StreamName: 'x', APIName: 'PUT_MEDIA' }
    const answer = await call('/getDataEndpoint', input, host)

    expect(answer.body).toEqual({ DataEndpoint: origin(port) })
  })

  test('needs a stream', async () => {
    const { client } = await runControl()
    const asked = client.send(
      new GetDataEndpointCommand({ StreamName: 'nobody', APIName: 'PUT_MEDIA' }),
    )

    await expect(asked).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })
})

describe('DeleteStream', () => {
  test('removes the stream; one of its name is another', async () => {
    const { client, registry } = await runControl()
    const { StreamARN } = await client.send(new CreateStreamCommand({ StreamName: 'gone' }))
    await client.send(new DeleteStreamCommand({ StreamARN }))

    expect(registry.find('gone')).toBeNull()
    await expect(client.send(new DeleteStreamCommand({ StreamARN }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    })
  })

  test('refuses another version than the latest, and disturbs nobody', async () => {
    const { client, registry, sessions } = await runControl()
    const session = await sessions.open({
      ...{ stream: 'x', protocol: 'rtmp', peer: '192.0.2.1:5000' },
      authorisation: { kind: 'verified' },
    })
    const { createdAt } = registry.get('x')
    const asked = client.send(
      new DeleteStreamCommand({ StreamARN: `${ARN}/x/${createdAt}`, CurrentVersion: 'another' }),
    )

    await expect(asked).rejects.toMatchObject({ name: 'VersionMismatchException' })
    expect(session.evicted.aborted).toBe(false)
    await session.end('unpublished')
  })

  test('refuses what a hold keeps, and disturbs nobody', async () => {
    const { client, registry, archive, streamId, sessions } = await runControl()
    const session = await sessions.open({
      ...{ stream: 'x', protocol: 'rtmp', peer: '192.0.2.1:5000' },
      authorisation: { kind: 'verified' },
    })
    const { createdAt } = registry.get('x')
    const range = { by: 'server', from: createdAt, to: epochMs(createdAt + 1000) } as const
    await archive.hold(streamId, range, { name: 'case 7', reason: 'of a test' })
    const asked = client.send(new DeleteStreamCommand({ StreamARN: `${ARN}/x/${createdAt}` }))

    await expect(asked).rejects.toMatchObject({
      name: 'ResourceInUseException',
      message: expect.stringContaining('hold') as string,
    })
    expect(session.evicted.aborted).toBe(false)
    await session.end('unpublished')
  })

  test('ends an open PutMedia with STREAM_NOT_ACTIVE, and its media is gone', async () => {
    const { client, registry, archive, streamId, port } = await runControl()
    const { createdAt } = registry.get('x')
    const producer = await Producer.open(port)
    producer.send(twoFragments())
    await producer.acks.first((ack) => ack.EventType === 'PERSISTED')
    await client.send(new DeleteStreamCommand({ StreamARN: `${ARN}/x/${createdAt}` }))
    const error = await producer.acks.first((ack) => ack.EventType === 'ERROR')
    await producer.closed

    expect(error).toMatchObject({ ErrorId: 4008, ErrorCode: 'STREAM_NOT_ACTIVE' })
    expect(await archive.after(streamId, null, 10)).toEqual([])
    const next = await Producer.open(port)
    next.send(twoFragments())
    expect((await next.answered).statusCode).toBe(404) // which makes a producer create it
    next.breakOff()
  })

  test('leaves its camera, and forgets where it was', async () => {
    const { client, streamArn, sources, cameras, registry } = await runControl()
    await sources.create({ stream: 'x', url: 'rtsp://camera.test/live' })
    const call = await cameras.call('x')
    await call.publish()
    await client.send(new DeleteStreamCommand({ StreamARN: streamArn() }))
    await registry.create({ name: 'x', retentionHours: 1 })

    expect(cameras.active).toBe(0)
    expect(sources.list()).toEqual([])
  })

  test('of two at once, one deletes', async () => {
    const { client, registry } = await runControl()
    const StreamARN = `${ARN}/x/${registry.get('x').createdAt}`
    const outcomes = await Promise.allSettled(
      [1, 2].map(() => client.send(new DeleteStreamCommand({ StreamARN }))),
    )

    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { name: 'ResourceNotFoundException' },
    })
  })
})

test.each([
  { hours: 24, last: 'PERSISTED' },
  { hours: 0, last: 'RECEIVED' },
])('an official producer finds its way to a stream of $hours hours', async ({ hours, last }) => {
  const { port, call } = await runControl()
  const ask = (path: string, input: object) => call(path, input, 'localhost') // without the port
  const described = await ask('/describeStream', { StreamName: 'new' })
  const created = await ask('/createStream', {
    ...{ DeviceName: 'd', StreamName: 'new', MediaType: 'video/h264', KmsKeyId: 'k' },
    DataRetentionInHours: hours,
  })
  const { StreamARN } = created.body
  const tagged = await ask('/tagStream', { StreamARN, Tags: { piece: 'of it' } })
  const again = await ask('/describeStream', { StreamName: 'new' })
  const found = await ask('/getDataEndpoint', { StreamName: 'new', APIName: 'PUT_MEDIA' })
  const producer = await Producer.open(port, { 'x-amzn-stream-name': 'new' })
  producer.end(twoFragments())
  await producer.closed

  expect(described.status).toBe(404)
  expect([created, tagged, again, found].map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect(again.body).toMatchObject({ StreamInfo: { Status: 'ACTIVE', StreamARN } })
  expect(found.body).toEqual({ DataEndpoint: `http://localhost:${port}` })
  expect(producer.acks.items.at(-1)).toMatchObject({ EventType: last })
  expect(producer.acks.items.filter((ack) => ack.EventType === 'ERROR')).toEqual([])
})

test('a limit of streams is told', async () => {
  const { client, registry, limits } = await runControl()
  limits.maxStreams = 2
  await client.send(new CreateStreamCommand({ StreamName: 'second' }))
  const third = client.send(new CreateStreamCommand({ StreamName: 'third' }))

  await expect(third).rejects.toMatchObject({
    name: 'AccountStreamLimitExceededException',
    $metadata: { httpStatusCode: 400 },
  })
  expect(registry.find('third')).toBeNull()
})

function tags(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, '']))
}

/** A header, a whole fragment, and the beginning of another. */
function twoFragments(): Uint8Array {
  const block = Uint8Array.of(1, 2, 3)
  const head = simpleBlockHead({ trackNumber: 1, relativeMs: 0, isKey: true, payloadLength: 3 })
  const track = {
    ...({ number: 1, kind: 'video', codecId: CODEC_AVC, timescale: 1000, audio: null } as const),
    codecPrivate: new Uint8Array(0),
    video: { widthPx: 64, heightPx: 48 },
  }
  const fragment = (atMs: number) => concat([clusterStart(atMs), head, block])
  const at = Date.UTC(2026, 0, 2)
  return concat([toMatroskaHeader([track]), fragment(at), fragment(at + 1000)])
}
