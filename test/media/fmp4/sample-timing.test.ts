import { describe, expect, test } from 'vitest'
import {
  planAudioRun,
  planVideoEnd,
  planVideoRun,
  type TimedRun,
  type UntimedSample,
} from '../../../src/media/fmp4/sample-timing.ts'

const samples = (times: readonly number[]): UntimedSample[] =>
  times.map((ptsMs, i) => ({ ptsMs, isKey: i === 0, data: Uint8Array.of(i) }))

/** Decode times of a run, then its end, in `ticksPerMs`. */
const decodeTimes = (run: TimedRun, ticksPerMs: number): number[] => {
  const times = [run.baseDecodeTime]
  for (const { durationTicks } of run.samples) times.push(times.at(-1)! + durationTicks)
  return times.map((ticks) => ticks / ticksPerMs)
}

const presentedTimes = (run: TimedRun, ticksPerMs: number): number[] => {
  const decoded = decodeTimes(run, ticksPerMs)
  return run.samples.map((sample, i) => decoded[i]! + sample.compositionOffset / ticksPerMs)
}

describe('planVideoRun', () => {
  test.each([
    {
      rule: 'decodes when it presents without reordering',
      pts: [0, 40, 80],
      end: 120,
      dts: [0, 40, 80, 120],
    },
    {
      rule: 'shares the time before a B-frame',
      pts: [0, 120, 40, 80],
      end: 160,
      dts: [0, 20, 40, 80, 160],
    },
    {
      rule: 'takes a pyramid of B-frames',
      pts: [0, 120, 60, 30, 90],
      end: 150,
      dts: [0, 10, 20, 30, 90, 150],
    },
    {
      rule: 'starts where the earliest presentation of an open GOP is',
      pts: [80, 0, 40],
      end: 120,
      dts: [0 - 1 / 90, 0, 40, 120],
    },
    {
      rule: 'keeps two samples of one time apart by a tick',
      pts: [0, 40, 40],
      end: 80,
      dts: [0, 20, 40, 80],
    },
    {
      rule: 'lasts a tick when it ends before it is shown',
      pts: [100],
      end: 50,
      dts: [100, 100 + 1 / 90],
    },
  ])('$rule', ({ pts, end, dts }) => {
    const run = planVideoRun(samples(pts), end)

    const times = decodeTimes(run, 90)
    expect(times).toHaveLength(dts.length)
    for (const [i, time] of times.entries()) expect(time).toBeCloseTo(dts[i]!, 9)
    for (const [i, time] of presentedTimes(run, 90).entries()) expect(time).toBeCloseTo(pts[i]!, 9)
  })

  test('keeps its promises for every order of eight pictures', () => {
    for (const order of permutations([40, 80, 120, 160, 200, 240, 280]).filter(
      (_, i) => i % 7 === 0,
    )) {
      const pts = [0, ...order]
      const run = planVideoRun(samples(pts), 320)
      const times = decodeTimes(run, 1)
      const presented = presentedTimes(run, 1)

      expect(run.baseDecodeTime).toBe(0)
      expect(times.at(-1)).toBe(320 * 90)
      expect(run.samples.every(({ durationTicks }) => durationTicks > 0)).toBe(true)
      expect(run.samples.every(({ compositionOffset }) => compositionOffset >= 0)).toBe(true)
      expect(presented).toEqual(pts.map((ms) => ms * 90))
      const ends = presented.map((time, i) => time + run.samples[i]!.durationTicks)
      expect(Math.max(...ends)).toBe(320 * 90)
    }
  })

  test('is exact at wall times', () => {
    const start = Date.UTC(2100, 0, 1)
    const run = planVideoRun(samples([start, start + 33, start + 67]), start + 100)

    expect(run.baseDecodeTime).toBe(start * 90)
    expect(run.samples.map(({ durationTicks }) => durationTicks)).toEqual([2970, 3060, 2970])
  })
})

describe('planVideoEnd', () => {
  test.each([
    { rule: 'where the next begins', pts: [0, 40], next: 500, end: 80, audio: true, is: 500 },
    {
      rule: 'not where the next begins before the last sample',
      pts: [0, 40],
      next: 30,
      end: 80,
      audio: true,
      is: 80,
    },
    { rule: 'where it says, alone', pts: [0, 40], next: null, end: 500, audio: false, is: 500 },
    { rule: 'not where the sound ends', pts: [0, 40], next: null, end: 300, audio: true, is: 80 },
    {
      rule: 'where it says, when that is a step away',
      pts: [0, 40],
      next: null,
      end: 81,
      audio: true,
      is: 81,
    },
    {
      rule: 'a step after the last that is presented',
      pts: [0, 80, 40],
      next: null,
      end: 90,
      audio: true,
      is: 120,
    },
    {
      rule: 'where it says, for a single picture',
      pts: [7],
      next: null,
      end: 1007,
      audio: true,
      is: 1007,
    },
    {
      rule: 'a millisecond after a single picture without an end',
      pts: [7],
      next: null,
      end: 7,
      audio: true,
      is: 8,
    },
  ])('$rule', ({ pts, next, end, audio, is }) => {
    const bounds = { nextMs: next, endMs: end, besideAudio: audio }

    expect(planVideoEnd(samples(pts), bounds)).toBe(is)
  })
})

describe('planAudioRun', () => {
  const silence = Uint8Array.of(0xff)
  const timing = { sampleRateHz: 48_000, frameTicks: 1024, silence, fromMs: null, toMs: null }
  /** Milliseconds of the n-th AAC frame, rounded as the archive keeps it. */
  const frame = (n: number) => Math.round((n * 1024) / 48)

  test('is exact to the frame where milliseconds are rounded', () => {
    const run = planAudioRun(samples([0, 1, 2, 3, 4, 5].map(frame)), timing)!

    expect(run.samples.map(({ durationTicks }) => durationTicks)).toEqual(Array(6).fill(1024))
  })

  test.each([
    { rule: 'rounds the anchor to the nearest tick', rate: 44_100, ms: 1, ticks: 44 },
    { rule: 'rounds up from the half', rate: 500, ms: 1, ticks: 1 },
    {
      rule: 'is exact at wall times',
      rate: 44_100,
      ms: Date.UTC(2026, 0, 2) + 10,
      ticks: Date.UTC(2026, 0, 2) * 44.1 + 441,
    },
  ])('$rule', ({ rate, ms, ticks }) => {
    const run = planAudioRun(samples([ms]), { ...timing, sampleRateHz: rate })!

    expect(run.baseDecodeTime).toBe(Math.round(ticks))
  })

  test('never drifts: a day of fragments is anchored block by block', () => {
    const first = planAudioRun(samples([frame(0), frame(1)]), timing)!
    const later = planAudioRun(samples([frame(4_050_000), frame(4_050_001)]), timing)!

    const drift = later.baseDecodeTime - first.baseDecodeTime - 4_050_000 * 1024
    expect(Math.abs(drift)).toBeLessThanOrEqual(24) // half a millisecond
  })

  const fills = (run: TimedRun | null) =>
    run!.samples.map(({ data }) => (data === silence ? '-' : 'x')).join('')

  test.each([
    { rule: 'fills lost frames', at: [0, 1, 4, 5], change: {}, fill: 'xx--xx' },
    { rule: 'fills back to where it must begin', at: [3, 4], change: { fromMs: 0 }, fill: '---xx' },
    { rule: 'fills on to where it must end', at: [0, 1], change: { toMs: 100 }, fill: 'xx--' },
    {
      rule: 'fills a fragment without sound',
      at: [],
      change: { fromMs: 0, toMs: 100 },
      fill: '----',
    },
    { rule: 'leaves sound before the beginning', at: [0, 1], change: { fromMs: 500 }, fill: 'xx' },
    { rule: 'does not fill hours', at: [0, 1_000_000, 1_000_001], change: {}, fill: 'xxx' },
  ])('$rule', ({ at, change, fill }) => {
    expect(fills(planAudioRun(samples(at.map(frame)), { ...timing, ...change }))).toBe(fill)
  })

  test('starts the grid again after a hole that it cannot fill', () => {
    const run = planAudioRun(samples([0, 21, 1000]), { ...timing, silence: null })!

    expect(decodeTimes(run, 48)[2]).toBeCloseTo(1000, 1)
  })

  test('starts the grid again when blocks come too densely', () => {
    const run = planAudioRun(samples([0, 0, 0, 64]), timing)!

    expect(fills(run)).toBe('xxx--x')
    expect(decodeTimes(run, 48).at(-2)).toBeCloseTo(64, 0)
    expect(run.samples.every(({ durationTicks }) => durationTicks > 0)).toBe(true)
  })

  test('has nothing to say without sound and silence', () => {
    expect(planAudioRun([], { ...timing, silence: null, fromMs: 0, toMs: 100 })).toBeNull()
    expect(planAudioRun([], timing)).toBeNull()
  })
})

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  )
}
