import { describe, expect, test } from 'vitest'
import { readFragmentTags } from '../../src/deliver/fragment-tags.ts'
import { stableUuid, toImageObject } from '../../src/deliver/image-object.ts'
import { toImageRequest } from '../../src/deliver/image-request.ts'
import { toNotification } from '../../src/deliver/notification.ts'
import { planImages } from '../../src/deliver/plan-images.ts'
import type { DeliveryTerms } from '../../src/deliver/index.ts'
import type { FragmentNumber } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import { clusterStart, concat, tagsElement } from '../../src/media/matroska/writer.ts'

const FRAGMENT = {
  fragmentNumber: '2'.repeat(47) as FragmentNumber,
  producerTimestamp: epochMs(1_700_000_000_000),
  serverTimestamp: epochMs(1_700_000_000_500),
}
const NO_TAGS = { asks: new Map<string, string>(), own: new Map<string, string>() }

describe('images are due', () => {
  const last = (atMs: number, fragmentNumber = '1') => ({ fragmentNumber, atMs })
  test.each([
    { rule: 'at the start of the first fragment', last: null, instants: [0, 1000] },
    { rule: 'an interval after the last one', last: last(-400), instants: [600, 1600] },
    { rule: 'not before that', last: last(-1), interval: 5000, instants: [] },
    { rule: 'at the start after a pause', last: last(-5000), instants: [0, 1000] },
    { rule: 'at the start when time went back', last: last(9000), instants: [0, 1000] },
    { rule: 'not again after a crash', last: last(-400, '2'), instants: [] },
    { rule: 'not of a fragment before it', last: last(-400, '3'), instants: [] },
    { rule: 'exactly where the last fragment ended', last: last(-1000), instants: [0, 1000] },
    { rule: 'once in a fragment of one frame', last: null, durationMs: 0, instants: [0] },
  ])('$rule', ({ last, interval = 1000, durationMs = 2000, instants }) => {
    const span = { fragmentNumber: '2', startMs: 0, durationMs }

    expect(planImages(span, last, interval)).toEqual(instants)
  })

  test('whatever the fragments are cut into, an interval apart', () => {
    const due: number[] = []
    let lastImage: Parameters<typeof planImages>[1] = null
    for (let n = 0; n < 100; n++) {
      const span = { fragmentNumber: String(n).padStart(3, '0'), startMs: n * 333, durationMs: 333 }
      const instants = planImages(span, lastImage, 1000)
      due.push(...instants)
      if (instants.length > 0) {
        lastImage = { fragmentNumber: span.fragmentNumber, atMs: instants.at(-1)! }
      }
    }

    expect(due).toEqual(Array.from({ length: 34 }, (_, i) => i * 1000))
  })

  test('not without end', () => {
    const span = { fragmentNumber: '2', startMs: 0, durationMs: 1e12 }

    expect(planImages(span, null, 200)).toHaveLength(1000)
  })
})

describe('tags', () => {
  test('that ask are told from those of the producer', () => {
    const bytes = concat([
      tagsElement([['AWS_KINESISVIDEO_FRAGMENT_NUMBER', '1']]),
      clusterStart(0),
      tagsElement([
        ['AWS_KINESISVIDEO_IMAGE_GENERATION', ''],
        ['AWS_KINESISVIDEO_IMAGE_PREFIX', 'yard'],
        ['door', 'öffen'],
      ]),
    ])
    const { asks, own } = readFragmentTags(bytes)

    expect(asks.get('AWS_KINESISVIDEO_IMAGE_GENERATION')).toBe('')
    expect(asks.get('AWS_KINESISVIDEO_IMAGE_PREFIX')).toBe('yard')
    expect([...own]).toEqual([['door', 'öffen']])
  })
})

describe('an object', () => {
  const object = (asks: [string, string][] = [], own: [string, string][] = []) =>
    toImageObject({
      ...{ accountId: '000000000000', streamName: 'cam', fragment: FRAGMENT, format: 'JPEG' },
      ...{ atMs: 1_700_000_001_000, frameMs: 1_700_000_000_960 },
      tags: { asks: new Map(asks), own: new Map(own) },
    })

  test('is named as the service names it', () => {
    expect(object().name).toMatch(/^000000000000_cam_1700000000960_[0-9a-f-]{36}\.jpg$/)
    expect(object().name).toBe(object().name)
  })

  test.each([
    { prefix: 'yard', begins: 'yard_000000000000_' },
    { prefix: 'a/b', begins: 'a/b_000000000000_' },
    { prefix: '../../etc/./x', begins: 'etc/x_000000000000_' },
    { prefix: '/', begins: '000000000000_' },
  ])('the prefix $prefix begins it with $begins', ({ prefix, begins }) => {
    const { name } = object([['AWS_KINESISVIDEO_IMAGE_PREFIX', prefix]])

    expect(name.slice(0, begins.length)).toBe(begins)
  })

  test('says which fragment it is of, and what the producer said of that', () => {
    expect(Object.fromEntries(object([], [['Door', 'öffen\r\n']]).metadata)).toEqual({
      aws_kinesisvideo_fragment_number: FRAGMENT.fragmentNumber,
      aws_kinesisvideo_producer_timestamp: '1700000000000',
      aws_kinesisvideo_server_timestamp: '1700000000500',
      door: '%C3%B6ffen%0D%0A',
    })
  })

  test('has no more metadata than S3 takes', () => {
    const many = Array.from({ length: 50 }, (_, i): [string, string] => [`t${i}`, 'x'.repeat(100)])
    const text = [...object([], many).metadata].flat().join('')

    expect(text.length).toBeLessThanOrEqual(2_048)
  })

  test('has a uuid of version 8', () => {
    expect(stableUuid('a')).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(stableUuid('a')).not.toBe(stableUuid('b'))
  })
})

describe('the request', () => {
  const terms: DeliveryTerms = {
    ...{ images: 'all', notifications: 'all', topics: new Map(), secrets: [], timeoutMs: 1 },
    s3: {
      endpoint: new URL('http://s3.local:9000/base/'),
      region: 'eu-west-1',
      key: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
    },
    allowPrivateAddresses: false,
  }
  const object = {
    name: 'pre/a b+c.jpg',
    contentType: 'image/jpeg' as const,
    metadata: new Map([['a', 'b']]),
  }
  const request = (uri: string, change: Partial<DeliveryTerms> = {}) =>
    toImageRequest(
      uri,
      { object, bytes: Buffer.from('x') },
      { terms: { ...terms, ...change }, now: new Date(0) },
    )

  test.each([
    { uri: 's3://bucket', path: '/base/bucket/pre/a%20b%2Bc.jpg' },
    { uri: 's3://bucket/', path: '/base/bucket/pre/a%20b%2Bc.jpg' },
    { uri: 's3://bucket/p/q/', path: '/base/bucket/p/q/pre/a%20b%2Bc.jpg' },
  ])('of $uri goes to $path', ({ uri, path }) => {
    expect(request(uri)).toMatchObject({
      ...{ method: 'PUT', url: new URL(`http://s3.local:9000${path}`) },
      headers: {
        'content-type': 'image/jpeg',
        'x-amz-meta-a': 'b',
        authorization: expect.stringContaining('/eu-west-1/s3/aws4_request') as string,
      },
    })
  })

  test('has nowhere to go without an endpoint', () => {
    expect(request('s3://bucket', { s3: null })).toBeNull()
  })

  test('of a URL is a POST that does not reach this network', () => {
    expect(request('https://x.example/in?token=t')).toMatchObject({
      ...{ method: 'POST', url: new URL('https://x.example/in?token=t') },
      allowPrivateAddresses: false,
      headers: { 'x-kinora-object-name': 'pre/a%20b+c.jpg', 'x-kinora-metadata': '{"a":"b"}' },
    })
  })
})

test('a notification is what SNS sends of it', () => {
  const { body, headers, messageId } = toNotification({
    ...{
      streamArn: 'arn:stream',
      topic: 'arn:topic',
      fragment: { ...FRAGMENT, arrivalSpanMs: 500 },
    },
    tags: { ...NO_TAGS, own: new Map([['door', 'open']]) },
  })
  const envelope = JSON.parse(body) as { Message: string }

  expect(headers).toMatchObject({
    'x-amz-sns-message-type': 'Notification',
    'x-amz-sns-message-id': messageId,
    'x-amz-sns-topic-arn': 'arn:topic',
  })
  expect(envelope).toMatchObject({
    ...{ Type: 'Notification', MessageId: messageId, TopicArn: 'arn:topic' },
    ...{ Subject: 'Kinesis Video Streams Notification', Timestamp: '2023-11-14T22:13:21.000Z' },
  })
  expect(JSON.parse(envelope.Message)).toEqual({
    StreamArn: 'arn:stream',
    FragmentNumber: FRAGMENT.fragmentNumber,
    FragmentStartProducerTimestamp: 1_700_000_000_000,
    FragmentStartServerTimestamp: 1_700_000_000_500,
    NotificationType: 'PERSISTED',
    NotificationPayload: { door: 'open' },
  })
})
