import { describe, expect, test } from 'vitest'
import { toRetryDelayMs } from '../../src/console/backoff.ts'
import { BOX_LIFE_MS, toHue, toPictureArea, toVisibleBoxes } from '../../src/console/boxes.ts'
import type { DetectionRecord } from '../../src/console/api-types.ts'
import {
  describeSession,
  formatAge,
  formatBitrate,
  formatBytes,
  formatRetention,
  formatWait,
} from '../../src/console/format.ts'
import { toSessionFacts } from '../../src/console/session-facts.ts'
import { mergeRecords, toSightings } from '../../src/console/sightings.ts'
import { fakeStream } from './fake-service.ts'

const T0 = Date.parse('2026-01-02T03:04:05.000Z')

function record(offsetMs: number, ...labels: (string | [string, number])[]): DetectionRecord {
  return {
    id: `cam/${offsetMs}`,
    streamName: 'cam',
    frameTimestamp: new Date(T0 + offsetMs).toISOString(),
    model: { name: 'm' },
    detections: labels.map((label) => ({
      label: typeof label === 'string' ? label : label[0],
      score: typeof label === 'string' ? 0.5 : label[1],
      box: { left: 0, top: 0, width: 1, height: 1 },
    })),
    imageUrl: '/x',
  }
}

describe('boxes over the presented frame', () => {
  const records = [record(1_000, 'late'), record(200, 'second'), record(0, 'first')]

  test.each([
    { rule: 'before any record', at: -100, labels: [] },
    { rule: 'at a record', at: 0, labels: ['first'] },
    { rule: 'a rounding before a record', at: 170, labels: ['second'] },
    { rule: 'between two records: the earlier', at: 140, labels: ['first'] },
    { rule: 'the latest that is not after it', at: 500, labels: ['second'] },
    { rule: 'nothing newer for too long', at: 200 + BOX_LIFE_MS + 1, labels: [] },
    { rule: 'the last one', at: 1_100, labels: ['late'] },
  ])('$rule', ({ at, labels }) => {
    const { detections } = toVisibleBoxes(records, T0 + at)
    expect(detections.map(({ label }) => label)).toEqual(labels)
  })

  test('fade in the second half of their life', () => {
    const opacityAt = (at: number) => toVisibleBoxes([record(0, 'x')], T0 + at).opacity
    expect(opacityAt(BOX_LIFE_MS / 2)).toBe(1)
    expect(opacityAt(BOX_LIFE_MS * 0.75)).toBeCloseTo(0.55)
    expect(opacityAt(BOX_LIFE_MS)).toBeCloseTo(0.1)
  })
})

test.each([
  { rule: 'same shape', picture: [640, 360], area: [0, 0, 1280, 720] },
  { rule: 'narrower picture: bars at the sides', picture: [480, 360], area: [160, 0, 960, 720] },
  { rule: 'wider picture: bars above and below', picture: [1280, 360], area: [0, 180, 1280, 360] },
  { rule: 'no picture yet', picture: [0, 0], area: [0, 0, 0, 0] },
])('where the picture is: $rule', ({ picture: [width, height], area }) => {
  const { x, y, ...size } = toPictureArea(
    { width: 1280, height: 720 },
    { width: width!, height: height! },
  )
  expect([x, y, size.width, size.height]).toEqual(area)
})

describe('sightings', () => {
  test('join the frames of one label without a long break, in any order', () => {
    const records = [
      record(9_000, 'person'),
      record(400, ['person', 0.8], ['person', 0.3], 'car'),
      record(0, 'person'),
      record(2_400, 'person'),
    ]

    const found = toSightings(records, 3_000).map((sighting) => [
      sighting.label,
      sighting.fromMs - T0,
      sighting.toMs - T0,
      sighting.bestMs - T0,
      sighting.bestScore,
      sighting.frames,
    ])

    expect(found).toEqual([
      ['person', 9_000, 9_000, 9_000, 0.5, 1],
      ['person', 0, 2_400, 400, 0.8, 3],
      ['car', 400, 400, 400, 0.5, 1],
    ])
  })

  test('keep their key while they go on', () => {
    const [before] = toSightings([record(0, 'person')])
    const [after] = toSightings([record(0, 'person'), record(500, ['person', 0.9])])
    expect(after!.key).toBe(before!.key)
  })
})

describe('merging records', () => {
  const known = [record(400, 'a'), record(200, 'a')]

  test('adds what is new, newest first', () => {
    const merged = mergeRecords(known, [record(600, 'a'), record(400, 'a')], 10)
    expect(merged.map(({ id }) => id)).toEqual(['cam/600', 'cam/400', 'cam/200'])
  })

  test('drops the oldest beyond the bound', () => {
    expect(mergeRecords(known, [record(600, 'a')], 2).map(({ id }) => id)).toEqual([
      'cam/600',
      'cam/400',
    ])
  })

  test('is the same list when nothing is new', () => {
    expect(mergeRecords(known, [record(200, 'a')], 10)).toBe(known)
  })
})

test.each([
  [formatBytes(0), '0 B'],
  [formatBytes(999), '999 B'],
  [formatBytes(1_000), '1.0 kB'],
  [formatBytes(9_960_000), '10 MB'],
  [formatBytes(999_600_000), '1.0 GB'],
  [formatBytes(5_310_000_000), '5.3 GB'],
  [formatBitrate(512_300), '512 kbit/s'],
  [formatBitrate(2_140_000), '2.1 Mbit/s'],
  [formatRetention(1), '1 h'],
  [formatRetention(24), '24 h'],
  [formatRetention(168), '7 days'],
  [formatRetention(8_760), '1 year'],
  [formatRetention(87_600), '10 years'],
  [formatAge(T0, T0 - 50), 'now'],
  [formatAge(T0, T0 + 59_999), '59 s ago'],
  [formatAge(T0, T0 + 3_599_999), '59 min ago'],
  [formatAge(T0, T0 + 47 * 3_600_000), '47 h ago'],
  [formatAge(T0, T0 + 48 * 3_600_000), '2 days ago'],
])('%s', (formatted, expected) => {
  expect(formatted).toBe(expected)
})

test('a session in words', () => {
  expect(describeSession(fakeStream('cam', 'live').session!)).toEqual([
    'H.264',
    '480×360',
    '10 fps',
    '512 kbit/s',
    'AAC',
  ])
})

describe('how well a session does', () => {
  const { session } = fakeStream('cam', 'live')
  test.each([
    {
      rule: 'what is measured, and what went wrong',
      change: {},
      facts: [
        'Key frames: every 2 s',
        'Clock: by arrival, +12 ppm',
        'Reconnects: 3, last: connection-error',
      ],
    },
    {
      rule: 'nothing measured, nothing wrong',
      change: { gop: null, clock: null, reconnects: { count: 0, lastReason: null } },
      facts: [],
    },
    {
      rule: 'a camera over UDP',
      change: {
        gop: { lastMs: 4_000, maxMs: 12_040 },
        clock: { source: 'sender-report', driftPpm: -0.2 },
        transport: { lower: 'udp', packetsReceived: 9_900, packetsLost: 100, jitterMs: 3.4 },
        losses: 9,
        dropped: { 'no-keyframe': 12, 'malformed-sample': 1 },
        reconnects: { count: 1, lastReason: null },
      },
      facts: [
        'Key frames: every 4 s, up to 12 s',
        "Clock: the camera's, 0 ppm",
        'Network: UDP, 1.0 % lost, 3 ms jitter',
        'Not stored: 12 no-keyframe, 1 malformed-sample',
        'Reconnects: 1',
      ],
    },
    {
      rule: 'little loss is not none',
      change: {
        ...{ gop: null, clock: null, reconnects: { count: 0, lastReason: null } },
        transport: { lower: 'tcp', packetsReceived: 99_999, packetsLost: 1, jitterMs: 0 },
      },
      facts: ['Network: TCP, <0.1 % lost, 0 ms jitter'],
    },
  ] as const)('$rule', ({ change, facts }) => {
    const shown = toSessionFacts({ ...session!, ...change })
    expect(shown.map(([name, value]) => `${name}: ${value}`)).toEqual(facts)
  })
})

test('retries come later and later, never sooner than the interval', () => {
  const delays = [0, 1, 2, 3, 4, 9].map((failures) => toRetryDelayMs(1_000, failures, 10_000))
  expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
  expect(toRetryDelayMs(20_000, 1, 10_000)).toBe(20_000)
})

test('a label keeps its colour', () => {
  expect(toHue('bicycle')).toBe(toHue('bicycle'))
  expect(toHue('bicycle')).toBeGreaterThanOrEqual(0)
  expect(toHue('bicycle')).toBeLessThan(360)
})

test.each([
  { afterMs: -1, text: 'now' },
  { afterMs: 1, text: 'in 1 s' },
  { afterMs: 119_000, text: 'in 119 s' },
  { afterMs: 121_000, text: 'in 3 min' },
])('a wait of $afterMs ms: $text', ({ afterMs, text }) => {
  expect(formatWait(T0 + afterMs, T0)).toBe(text)
})
