import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import { Webhook } from 'standardwebhooks'
import { expect, onTestFinished, test } from 'vitest'
import { openMetaLeases } from '../../src/consume/index.ts'
import { startDeliveries, type DeliveryTerms, type MakeImages } from '../../src/deliver/index.ts'
import { createMakeImages } from '../../src/make-images.ts'
import { tagsElement } from '../../src/media/matroska/writer.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { createImages } from '../../src/playback/index.ts'
import type { ImageGeneration } from '../../src/registry/index.ts'
import { openIngestFixture } from '../ingest/ingest-fixture.ts'
import { demux } from '../playback/support/demux.ts'
import { record } from '../playback/support/record.ts'
import { writeFragment, type MadeFragment } from '../support/archive-media.ts'
import { Recorder } from '../support/recorder.ts'
import { scratchDirectory, scratchMetaStore } from '../support/scratch.ts'
import { ROOT } from '../support/service.ts'

const KEY = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' } // the only ones that s3rver knows
const T0 = Date.now() - 60_000
const IMAGE_TAGS = tagsElement([
  ['AWS_KINESISVIDEO_IMAGE_GENERATION', ''],
  ['AWS_KINESISVIDEO_IMAGE_PREFIX', 'yard'],
  ['door', 'open'],
])
const NOTIFICATION_TAGS = tagsElement([
  ['AWS_KINESISVIDEO_NOTIFICATION', ''],
  ['door', 'open'],
])
const SETTINGS: ImageGeneration = {
  ...{ enabled: true, clock: 'producer', destinationUri: 's3://pictures/cams' },
  ...{ destinationRegion: 'us-west-2', samplingIntervalMs: 1000, format: 'JPEG' },
  ...{ jpegQuality: null, widthPixels: null, heightPixels: null },
}
const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`

type S3Server = {
  run(): Promise<AddressInfo>
  close(): Promise<void>
}
type S3ServerClass = new (options: object) => S3Server

/** An S3-compatible server that checks signatures, with a bucket. */
async function startS3() {
  const S3rver = createRequire(import.meta.url)('s3rver') as S3ServerClass
  const server = new S3rver({
    ...{ port: 0, address: '127.0.0.1', silent: true, directory: await scratchDirectory() },
    configureBuckets: [{ name: 'pictures', configs: [] }],
  })
  const { port } = await server.run()
  onTestFinished(() => server.close())
  const endpoint = new URL(`http://127.0.0.1:${port}`)
  return {
    endpoint,
    /** Names below the bucket, in order of time. */
    list: async () => {
      const xml = await (await fetch(new URL('/pictures', endpoint))).text()
      return [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key!)
    },
    read: async (key: string) => {
      const response = await fetch(new URL(`/pictures/${key}`, endpoint))
      return { headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
    },
  }
}

type Received = { readonly headers: IncomingHttpHeaders; readonly body: Buffer }

/** Answers with the statuses given, then with 200. */
async function startReceiver(statuses: number[] = []) {
  const received = new Recorder<Received>()
  const server = createServer((request, response) => {
    void (async () => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      response.statusCode = statuses.shift() ?? 200
      response.end()
      received.push({ headers: request.headers, body: Buffer.concat(parts) })
    })()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return { received, url: `http://127.0.0.1:${port}/in` }
}

/** The stage over a real archive. */
async function open(terms: Partial<DeliveryTerms> = {}, makeImages: MakeImages = picturesOfTimes) {
  const fixture = await openIngestFixture()
  const meta = await scratchMetaStore()
  const leases = await openMetaLeases({
    ...{ meta, clock: systemClock, log: fixture.observed.log, node: 'local' },
  })
  onTestFinished(() => leases[Symbol.asyncDispose]())
  const start = () => {
    const deliveries = startDeliveries({
      ...{ archive: fixture.archive, leases, meta, registry: fixture.registry, makeImages },
      ...{ accountId: '000000000000', streamArnOf: ({ name }) => `arn:${name}` },
      terms: {
        ...{ images: 'tagged', notifications: 'tagged', s3: null, topics: new Map() },
        ...{ secrets: [], timeoutMs: 10_000, allowPrivateAddresses: true },
        ...terms,
      },
      retry: { retries: null, firstDelayMs: 5, maxDelayMs: 50 },
      ...{ clock: systemClock, ...fixture.observed },
    })
    onTestFinished(() => deliveries[Symbol.asyncDispose]())
    return deliveries
  }
  const write = async (...fragments: MadeFragment[]) => {
    const writer = await fixture.archive.openWriter(fixture.streamId)
    for (const fragment of fragments) await writeFragment(writer, fragment)
    await writer[Symbol.asyncDispose]()
  }
  const handled = (application: string, count: number) =>
    expect
      .poll(
        async () => {
          const { values } = await fixture.observed.metrics.consumeHandled.get()
          return values.find(({ labels }) => labels.application === application)?.value ?? 0
        },
        { timeout: 30_000 },
      )
      .toBe(count)
  return { ...fixture, start, write, handled }
}

/** Images that say which time they are of. */
const picturesOfTimes: MakeImages = async (_stream, [at]) => [
  { bytes: Buffer.from(`picture of ${at}`), frameTimestamp: at! },
]

function toS3(endpoint: URL): Partial<DeliveryTerms> {
  return { s3: { endpoint, region: 'us-east-1', key: KEY } }
}

test('images of tagged fragments come to an S3-compatible server, an interval apart', async () => {
  const s3 = await startS3()
  const stage = await open(toS3(s3.endpoint))
  await stage.registry.update('x', { imageGeneration: SETTINGS })
  await stage.write({ at: T0 }) // begins with the newest one, which is not tagged
  stage.start()
  await stage.handled('images', 1)
  await stage.write(
    { at: T0 + 2000, producerTags: IMAGE_TAGS },
    { at: T0 + 4000 },
    { at: T0 + 6000, durationMs: 1500, producerTags: IMAGE_TAGS },
    { at: T0 + 7500, producerTags: IMAGE_TAGS },
  )
  await stage.handled('images', 5)

  const times = [2000, 3000, 6000, 7000, 8000, 9000].map((ms) => T0 + ms)
  const keys = await s3.list()
  expect(keys).toEqual(
    times.map(
      (ms) =>
        expect.stringMatching(
          new RegExp(`^cams/yard_000000000000_x_${ms}_[0-9a-f-]{36}\\.jpg$`),
        ) as string,
    ),
  )
  const { headers, bytes } = await s3.read(keys[0]!)
  expect(bytes.toString()).toBe(`picture of ${times[0]}`)
  expect(headers.get('content-type')).toBe('image/jpeg')
  expect(headers.get('x-amz-meta-aws_kinesisvideo_fragment_number')).toMatch(/^\d{47}$/)
  expect(headers.get('x-amz-meta-aws_kinesisvideo_producer_timestamp')).toBe(String(T0 + 2000))
  expect(headers.get('x-amz-meta-door')).toBe('open')
  const { values } = await stage.observed.metrics.deliverUntagged.get()
  expect(values).toMatchObject([{ value: 2, labels: { stream: 'x', kind: 'image' } }])
})

test('a restart goes on behind what was delivered: no hole and nothing twice', async () => {
  const { received, url } = await startReceiver()
  const stage = await open({ images: 'all' })
  await stage.registry.update('x', { imageGeneration: { ...SETTINGS, destinationUri: url } })
  await stage.write({ at: T0, durationMs: 1500 })
  const first = stage.start()
  await stage.handled('images', 1)
  await first[Symbol.asyncDispose]()
  await stage.write({ at: T0 + 1500, durationMs: 1000 }, { at: T0 + 2500, durationMs: 1000 })
  stage.start()
  await stage.handled('images', 3)

  expect(received.items.map(({ body }) => body.toString())).toEqual(
    [0, 1000, 2000, 3000].map((ms) => `picture of ${T0 + ms}`),
  )
})

test('a receiver that fails holds its stream up, and gets each image in the end', async () => {
  const { received, url } = await startReceiver([500, 403, 302])
  const stage = await open({ images: 'all' })
  await stage.registry.update('x', { imageGeneration: { ...SETTINGS, destinationUri: url } })
  await stage.write({ at: T0 })
  stage.start()
  await stage.handled('images', 1)

  const names = received.items.map(({ headers }) => headers['x-kinora-object-name'])
  expect(names).toHaveLength(5)
  expect(new Set(names.slice(0, 4)).size).toBe(1) // the same name on every attempt
  const { values } = await stage.observed.metrics.deliverFailures.get()
  expect(values.map(({ labels }) => labels.reason).sort()).toEqual([
    'status-302',
    'status-403',
    'status-500',
  ])
})

test.each([
  { why: 'there is no endpoint', uri: 's3://pictures', reason: 'no-destination' },
  { why: 'it is not on the internet', uri: 'http://127.0.0.1:9/', reason: 'address-not-allowed' },
])('nothing is delivered where $why, and it is told', async ({ uri, reason }) => {
  const stage = await open({ images: 'all', allowPrivateAddresses: false })
  await stage.registry.update('x', { imageGeneration: { ...SETTINGS, destinationUri: uri } })
  await stage.write({ at: T0 })
  stage.start()

  const { fields } = await stage.event('deliveryFailed')
  expect(fields).toEqual({ stream: 'x', kind: 'image', reason })
})

test('images are real ones of the archive', async () => {
  const { received, url } = await startReceiver()
  let makeImages: MakeImages = picturesOfTimes
  const stage = await open({ images: 'all' }, (...asked) => makeImages(...asked))
  const images = createImages({ archive: stage.archive, workers: 1 })
  onTestFinished(() => images[Symbol.asyncDispose]())
  makeImages = createMakeImages(images)
  const settings = { ...SETTINGS, destinationUri: url, widthPixels: 160, format: 'PNG' as const }
  await stage.registry.update('x', { imageGeneration: settings })
  const file = await demux(join(ROOT, 'fixtures/moving-shapes.mp4'))
  const fragments = await record(file, { ...stage, startMs: T0 })
  stage.start()
  await stage.handled('images', 1) // from the newest on

  const last = fragments.at(-1)!
  expect(received.items).toHaveLength(Math.ceil(last.durationMs / 1000))
  for (const { body, headers } of received.items) {
    expect(headers['content-type']).toBe('image/png')
    expect(body.subarray(1, 4).toString()).toBe('PNG')
    expect(body.readUInt32BE(16)).toBe(160)
  }
})

test('each tagged fragment is notified of, in order, in the envelope of SNS and signed', async () => {
  const { received, url } = await startReceiver([503])
  const stage = await open({ secrets: [SECRET] })
  await stage.registry.update('x', { notification: { enabled: true, destinationUri: url } })
  await stage.write({ at: T0 })
  stage.start()
  await stage.handled('notifications', 1)
  await stage.write(
    { at: T0 + 2000, producerTags: NOTIFICATION_TAGS },
    { at: T0 + 4000, producerTags: IMAGE_TAGS },
    { at: T0 + 6000, producerTags: NOTIFICATION_TAGS },
  )
  await stage.handled('notifications', 4)

  const [failed, ...taken] = received.items
  expect(failed!.body.equals(taken[0]!.body)).toBe(true)
  expect(failed!.headers['webhook-id']).toBe(taken[0]!.headers['webhook-id'])
  const messages = taken.map(({ headers, body }) => {
    const envelope = new Webhook(SECRET).verify(body.toString(), headers as never) as {
      Message: string
    }
    return JSON.parse(envelope.Message) as Record<string, unknown>
  })
  expect(messages).toMatchObject(
    [T0 + 2000, T0 + 6000].map((at) => ({
      ...{ StreamArn: 'arn:x', NotificationType: 'PERSISTED' },
      ...{ FragmentStartProducerTimestamp: at, FragmentStartServerTimestamp: at },
      NotificationPayload: { door: 'open' },
    })),
  )
})

test('the ARN of a topic leads where the configuration says', async () => {
  const { received, url } = await startReceiver()
  const arn = 'arn:aws:sns:us-east-1:000000000000:events'
  const stage = await open({
    ...{ notifications: 'all', allowPrivateAddresses: false },
    topics: new Map([[arn, new URL(url)]]),
  })
  await stage.registry.update('x', { notification: { enabled: true, destinationUri: arn } })
  await stage.write({ at: T0 })
  stage.start()
  await stage.handled('notifications', 1)

  expect(received.items[0]!.headers).toMatchObject({
    'x-amz-sns-topic-arn': arn,
    'x-amz-sns-message-type': 'Notification',
  })
})
