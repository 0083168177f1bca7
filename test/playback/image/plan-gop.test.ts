import { describe, expect, test } from 'vitest'
import { planFragments, planGop, upToFrames } from '../../../src/playback/image/plan-gop.ts'

/** One second of media that arrives 100 s later and within 900 ms. */
const fragment = (
  producerTimestamp: number,
  change: { startsWithKey?: boolean; discontinuity?: boolean; sequence?: number } = {},
) => ({
  producerTimestamp,
  serverTimestamp: producerTimestamp + 100_000,
  durationMs: 1000,
  arrivalSpanMs: 900,
  sequence: producerTimestamp / 1000,
  startsWithKey: true,
  discontinuity: false,
  ...change,
})
const producerAt = (atMs: number, maxOverhangMs = 60_000) =>
  ({ by: 'producer', atMs, maxOverhangMs }) as const
const serverAt = (atMs: number, maxOverhangMs: number) =>
  ({ by: 'server', atMs, maxOverhangMs }) as const

describe('which fragments', () => {
  const plain = [fragment(0), fragment(1000), fragment(2000)]
  const split = [
    fragment(0),
    fragment(1000, { startsWithKey: false }),
    fragment(2000, { startsWithKey: false }),
    fragment(3000),
  ]
  const slow = [fragment(0), fragment(30_000, { sequence: 1 })]
  const apart = [fragment(0), fragment(30_000, { sequence: 1, discontinuity: true })]
  const lost = [fragment(0), fragment(30_000, { sequence: 2 })]

  test.each([
    { rule: 'the last that starts before', of: plain, at: producerAt(1500), planned: [1000] },
    { rule: 'or exactly then', of: plain, at: producerAt(2000), planned: [2000] },
    { rule: 'also when it ended a while ago', of: plain, at: producerAt(50_000), planned: [2000] },
    { rule: 'but not too long ago', of: plain, at: producerAt(4001, 1000), planned: null },
    { rule: 'at the end of that while', of: plain, at: producerAt(4000, 1000), planned: [2000] },
    { rule: 'long ago, when one continues it', of: slow, at: producerAt(29_000, 0), planned: [0] },
    {
      rule: 'not where another recording begins',
      of: apart,
      at: producerAt(29_000, 0),
      planned: null,
    },
    { rule: 'not where one is missing', of: lost, at: producerAt(29_000, 0), planned: null },
    { rule: 'none before the first', of: plain, at: producerAt(-1), planned: null },
    { rule: 'none of none', of: [], at: producerAt(0), planned: null },
    { rule: 'by arrival', of: plain, at: serverAt(101_950, 0), planned: [1000] },
    { rule: 'not long after the last arrival', of: plain, at: serverAt(102_901, 0), planned: null },
    {
      rule: 'a split GOP from its key sample on',
      of: split,
      at: producerAt(2500),
      planned: [0, 1000, 2000],
    },
    {
      rule: 'not across a discontinuity',
      of: [fragment(0), fragment(1000, { startsWithKey: false, discontinuity: true })],
      at: producerAt(1000),
      planned: [1000],
    },
    {
      rule: 'at most sixteen',
      of: Array.from({ length: 41 }, (_, i) => fragment(i * 1000, { startsWithKey: i === 0 })),
      at: producerAt(40_000),
      planned: Array.from({ length: 16 }, (_, i) => (i + 25) * 1000),
    },
  ])('$rule', ({ of, at, planned }) => {
    const found = planFragments(of, at)

    expect(found?.fragments.map(({ producerTimestamp }) => producerTimestamp) ?? null).toEqual(
      planned,
    )
  })

  test('between arrivals media goes on at its own pace', () => {
    expect(planFragments(plain, serverAt(101_250, 0))?.producerMs).toBe(1250)
  })
})

describe('which samples', () => {
  /** `K` before a time marks a key sample; decode order. */
  const samplesOf = (text: string) =>
    text
      .split(' ')
      .map((word) => ({ isKey: word.startsWith('K'), ptsMs: Number(word.replace('K', '')) }))

  test.each([
    { rule: 'the whole GOP, for its B-frames', of: 'K0 3 1 2', at: 1, from: 0, count: 4, frame: 1 },
    { rule: 'the latest that is old enough', of: 'K0 3 1 2', at: 2.5, from: 0, count: 4, frame: 2 },
    {
      rule: 'from the last key sample before',
      of: 'K0 1 K2 3 K4 5',
      at: 3,
      from: 2,
      count: 2,
      frame: 3,
    },
    { rule: 'from a key sample at that time', of: 'K0 1 K2 3', at: 2, from: 2, count: 2, frame: 2 },
    { rule: 'the last frame of all', of: 'K0 1 K2 3', at: 99, from: 2, count: 2, frame: 3 },
  ])('$rule', ({ of, at, from, count, frame }) => {
    const planned = planGop(samplesOf(of), at)!

    expect(planned.samples[0]!.ptsMs).toBe(from)
    expect(planned.samples).toHaveLength(count)
    expect(planned.frameMs).toBe(frame)
  })

  test.each([
    { rule: 'too early', of: 'K5 6', at: 4 },
    { rule: 'no key sample', of: '0 1 2', at: 2 },
  ])('$rule: none', ({ of, at }) => {
    expect(planGop(samplesOf(of), at)).toBeNull()
  })
})

test('a frame needs the samples up to its own, in decode order', () => {
  const gop = [0, 4, 2, 1, 3].map((ptsMs) => ({ ptsMs, isKey: ptsMs === 0 }))

  expect(upToFrames(gop, [0, 2]).map(({ ptsMs }) => ptsMs)).toEqual([0, 4, 2])
  expect(upToFrames(gop, [4, 3])).toHaveLength(5)
  expect(upToFrames(gop, [0])).toHaveLength(1)
})
