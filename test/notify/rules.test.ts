import { describe, expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import { parseHook, STANDARD_RETRY_DELAYS_MS, type HookConfig } from '../../src/notify/index.ts'
import { planFiring, type LastFired } from '../../src/notify/plan-firing.ts'
import { parseRetryAfter, planRetry } from '../../src/notify/plan-retry.ts'
import { isPublicAddress } from '../../src/platform/outbound/public-address.ts'
import { readDetection } from '../../src/notify/read-detection.ts'
import { toDetectionRecords } from '../../src/publish/index.ts'
import { toFragmentNumber } from '../../src/domain/fragment.ts'
import { detectionRecord, hookConfig, T0 } from './support.ts'

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`

describe('a hook is refused', () => {
  test.each<{ rule: string; change: Partial<HookConfig> }>([
    { rule: 'another scheme', change: { url: 'ftp://example.com/' } },
    { rule: 'no URL', change: { url: 'example.com' } },
    { rule: 'credentials in the URL', change: { url: 'https://me:pw@example.com/' } },
    { rule: 'a secret without prefix', change: { secret: secretOf(32).slice(6) } },
    { rule: 'a secret that is too short', change: { secret: secretOf(23) } },
    { rule: 'a secret that is too long', change: { secret: secretOf(65) } },
    { rule: 'a secret that is not base64', change: { secret: 'whsec_!!!!' } },
    { rule: 'a previous secret that is too short', change: { previousSecret: secretOf(8) } },
  ])('$rule', ({ change }) => {
    const refusal = expect(() => parseHook(hookConfig(change)))
    refusal.toThrow(expect.objectContaining({ kind: 'invalid-argument', code: 'InvalidHook' }))
  })

  test('without its secret in the message', () => {
    const secret = secretOf(23)
    expect(() => parseHook(hookConfig({ secret }))).not.toThrow(secret)
  })

  test.each([24, 32, 64])('but not for a secret of %i bytes', (bytes) => {
    expect(parseHook(hookConfig({ secret: secretOf(bytes) })).cooldownMs).toBe(10_000)
  })
})

describe('a record of the results stream', () => {
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

  test('is read as it is published', () => {
    const serverTimestamp = epochMs(T0)
    const fragmentNumber = toFragmentNumber({ counter: 1, serverTimestamp, random28: 0 })
    const [record] = toDetectionRecords({
      streamName: 'cam',
      fragment: { fragmentNumber, serverTimestamp },
      model: { name: 'm', version: '1', sha256: 'f'.repeat(64) },
      frames: [
        {
          fragmentNumber,
          frameTimestamp: epochMs(T0 + 5),
          frame: { widthPx: 4, heightPx: 3 },
          detections: [
            { label: 'car', score: 0.5, box: { left: 0, top: 0.25, width: 1, height: 0.5 } },
          ],
        },
      ],
    })

    expect(readDetection(bytes(record))).toMatchObject({
      id: record!.id,
      frameTimestamp: T0 + 5,
      serverTimestamp,
      detections: record!.detections,
    })
  })

  test.each([
    { rule: 'no JSON', data: Buffer.from('{') },
    { rule: 'not UTF-8', data: Buffer.from([0xff, 0xfe]) },
    { rule: 'null', data: bytes(null) },
    { rule: 'an array', data: bytes([]) },
    { rule: 'another type', data: bytes({ ...detectionRecord(0), type: 'x' }) },
    { rule: 'another version', data: bytes({ ...detectionRecord(0), version: 2 }) },
    { rule: 'no time', data: bytes({ ...detectionRecord(0), frameTimestamp: 'soon' }) },
    { rule: 'no detections', data: bytes({ ...detectionRecord(0), detections: {} }) },
    { rule: 'a detection that is none', data: bytes({ ...detectionRecord(0), detections: [1] }) },
    {
      rule: 'a score beyond 1',
      data: bytes({
        ...detectionRecord(0),
        detections: [{ ...detectionRecord(0).detections[0], score: 2 }],
      }),
    },
    { rule: 'a very long id', data: bytes({ ...detectionRecord(0), id: 'x'.repeat(2_000) }) },
    {
      rule: 'a picture elsewhere',
      data: bytes({ ...detectionRecord(0), imageUrl: 'https://elsewhere.example/' }),
    },
    {
      rule: 'a picture elsewhere, without scheme',
      data: bytes({ ...detectionRecord(0), imageUrl: '//elsewhere.example/' }),
    },
  ])('is ignored: $rule', ({ data }) => {
    expect(readDetection(data)).toBeNull()
  })
})

describe('firing', () => {
  /** Offsets in ms; the server saw the fragment at `server`, the frame shows `frame`. */
  const at = (server: number, frame: number): LastFired => ({
    serverTimestamp: epochMs(T0 + server),
    frameTimestamp: epochMs(T0 + frame),
  })
  const fire = (
    change: Partial<HookConfig>,
    last: LastFired | null = null,
    offset = { server: 0, frame: 0 },
    labels: readonly [string, number][] = [['person', 0.9]],
  ) => {
    const record = readDetection(
      Buffer.from(JSON.stringify(detectionRecord(offset.frame, labels, offset.server))),
    )!
    const options = { now: epochMs(T0 + 100_000), publicUrl: 'https://k.example/base/' }
    return planFiring(record, parseHook(hookConfig(change)), () => last, options)
  }

  test.each([
    { rule: 'any label by default', change: {}, fired: ['person'] },
    { rule: 'a wanted label', change: { labels: ['person'] }, fired: ['person'] },
    { rule: 'an unwanted label', change: { labels: ['car'] }, fired: [] },
    { rule: 'a wanted stream', change: { streams: ['cam'] }, fired: ['person'] },
    { rule: 'an unwanted stream', change: { streams: ['other'] }, fired: [] },
    { rule: 'a star', change: { streams: ['*'], labels: ['*'] }, fired: ['person'] },
    { rule: 'the minimum score', change: { minScore: 0.9 }, fired: ['person'] },
    { rule: 'less than the minimum score', change: { minScore: 0.91 }, fired: [] },
  ])('filter: $rule', ({ change, fired }) => {
    expect(fire(change).map(({ label }) => label)).toEqual(fired)
  })

  test.each([
    { rule: 'never fired', last: null, now: { server: 0, frame: 0 }, due: true },
    { rule: 'within the cooldown', last: at(0, 0), now: { server: 8, frame: 9_999 }, due: false },
    { rule: 'at its end', last: at(0, 0), now: { server: 8, frame: 10_000 }, due: true },
    { rule: 'the same frame again', last: at(0, 0), now: { server: 0, frame: 0 }, due: false },
    {
      rule: 'an older frame again, far back',
      last: at(60_000, 60_000),
      now: { server: 0, frame: 0 },
      due: false,
    },
    {
      rule: 'an older frame of the same fragment again',
      last: at(0, 60_000),
      now: { server: 0, frame: 1_000 },
      due: false,
    },
    {
      rule: "later, though the producer's clock was set back",
      last: at(0, 3_600_000),
      now: { server: 5_000, frame: 0 },
      due: true,
    },
    {
      rule: 'after our own clock was set back',
      last: at(3_600_000, 3_600_000),
      now: { server: 0, frame: 0 },
      due: true,
    },
  ])('cooldown: $rule', ({ last, now, due }) => {
    expect(fire({ cooldownMs: 10_000 }, last, now)).toHaveLength(due ? 1 : 0)
  })

  test('cooldown 0 fires for every frame, once', () => {
    expect(fire({ cooldownMs: 0 }, at(0, 0), { server: 0, frame: 1 })).toHaveLength(1)
    expect(fire({ cooldownMs: 0 }, at(0, 1), { server: 0, frame: 1 })).toHaveLength(0)
  })

  test('one delivery per label, for its best detection', () => {
    const firings = fire({}, null, { server: 0, frame: 0 }, [
      ['person', 0.4],
      ['car', 0.5],
      ['person', 0.8],
    ])

    const said = firings.map(({ payload }) => [payload.data.label, payload.data.score])
    expect(said).toEqual([
      ['person', 0.8],
      ['car', 0.5],
    ])
    expect(new Set(firings.map(({ deliveryId }) => deliveryId)).size).toBe(2)
  })

  test('the id depends on record, hook and label alone', () => {
    const [one] = fire({})
    const [again] = fire({ minScore: 0.1 })
    const [other] = fire({ name: 'another' })
    expect(one!.deliveryId).toBe(again!.deliveryId)
    expect(one!.deliveryId).not.toBe(other!.deliveryId)
  })

  test('the payload links below the public URL', () => {
    expect(fire({})[0]!.payload).toEqual({
      type: 'kinora.detection',
      timestamp: new Date(T0).toISOString(),
      data: {
        streamName: 'cam',
        label: 'person',
        score: 0.9,
        box: { left: 0.1, top: 0.2, width: 0.3, height: 0.4 },
        frameTimestamp: new Date(T0).toISOString(),
        fragmentNumber: expect.stringMatching(/^[0-9]{47}$/) as string,
        imageUrl: `https://k.example/base/streams/cam/image.jpg?at=${T0}`,
        recordId: detectionRecord(0).id,
      },
    })
  })
})

describe('retries', () => {
  const failed = {
    kind: 'failed',
    reason: 'status-500',
    slowDown: false,
    retryAfterMs: null,
  } as const

  test('the schedule is the one of Standard Webhooks', () => {
    const seconds = STANDARD_RETRY_DELAYS_MS.map((ms) => ms / 1_000)
    expect(seconds).toEqual([5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400])
  })

  test.each([
    { rule: 'no jitter', attempts: 1, random: 0, inMs: 5_000 },
    { rule: 'up to a quarter of jitter', attempts: 1, random: 0.999999, inMs: 6_250 },
    { rule: 'the second pause', attempts: 2, random: 0, inMs: 300_000 },
    { rule: 'the last pause', attempts: 9, random: 0, inMs: 86_400_000 },
  ])('$rule', ({ attempts, random, inMs }) => {
    const plan = planRetry(failed, attempts, STANDARD_RETRY_DELAYS_MS, random)
    expect(plan).toEqual({ kind: 'retry', inMs, pauseHookMs: 0 })
  })

  test('the tenth failure is the last', () => {
    expect(planRetry(failed, 10, STANDARD_RETRY_DELAYS_MS, 0)).toEqual({ kind: 'give-up' })
  })

  test.each([
    {
      rule: 'Retry-After lengthens a pause',
      retryAfterMs: 60_000,
      attempts: 1,
      inMs: 60_000,
      pauseHookMs: 60_000,
    },
    {
      rule: 'and shortens none',
      retryAfterMs: 1_000,
      attempts: 2,
      inMs: 300_000,
      pauseHookMs: 5_000,
    },
    {
      rule: 'and has a limit',
      retryAfterMs: 1e12,
      attempts: 1,
      inMs: 86_400_000,
      pauseHookMs: 86_400_000,
    },
  ])('slowing down: $rule', ({ retryAfterMs, attempts, inMs, pauseHookMs }) => {
    const outcome = { ...failed, slowDown: true, retryAfterMs }
    const plan = planRetry(outcome, attempts, STANDARD_RETRY_DELAYS_MS, 0)
    expect(plan).toEqual({ kind: 'retry', inMs, pauseHookMs })
  })

  test.each([
    [undefined, null],
    ['120', 120_000],
    [new Date(T0 + 30_000).toUTCString(), 30_000],
    [new Date(T0 - 30_000).toUTCString(), 0],
    ['-5', null],
    ['1e9', null],
    ['soon', null],
  ])('Retry-After: %s is %s ms', (value, expected) => {
    expect(parseRetryAfter(value, T0)).toBe(expected)
  })
})

test.each([
  ['8.8.8.8', true],
  ['2606:4700:4700::1111', true],
  ['127.0.0.1', false],
  ['127.255.0.1', false],
  ['10.1.2.3', false],
  ['172.16.0.1', false],
  ['172.31.255.255', false],
  ['172.32.0.1', true],
  ['192.168.1.1', false],
  ['169.254.169.254', false], // cloud metadata
  ['100.64.0.1', false],
  ['0.0.0.0', false],
  ['255.255.255.255', false],
  ['224.0.0.251', false],
  ['::1', false],
  ['::', false],
  ['::ffff:127.0.0.1', false],
  ['::ffff:8.8.8.8', false],
  ['64:ff9b::7f00:1', false],
  ['2002:7f00:1::', false],
  ['fe80::1', false],
  ['fd00::1', false],
  ['ff02::1', false],
])('address %s: public %s', (address, isPublic) => {
  expect(isPublicAddress(address)).toBe(isPublic)
})
