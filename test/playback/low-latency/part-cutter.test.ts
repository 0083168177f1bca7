import { describe, expect, test } from 'vitest'
import {
  PartCutter,
  planPartTiming,
  type CutSample,
} from '../../../src/playback/low-latency/part-cutter.ts'

const pictures = (...times: readonly number[]): readonly CutSample[] =>
  times.map((ptsMs) => ({ kind: 'video', ptsMs }))
const even = (stepMs: number, count: number) =>
  pictures(...Array.from({ length: count }, (_, i) => Math.round(i * stepMs)))
/** A key picture, then P B B B in decode order, so many times. */
const withBFrames = (stepMs: number, groups: number) =>
  pictures(
    ...[
      0,
      ...Array.from({ length: groups }, (_, g) => [4, 2, 1, 3].map((k) => 4 * g + k)).flat(),
    ].map((k) => k * stepMs),
  )

describe('planPartTiming', () => {
  test.each([
    { rule: '25 a second: twelve pictures', samples: even(40, 50), frameMs: 40, targetMs: 504 },
    {
      rule: '30 a second: fifteen',
      samples: even(1000 / 30, 60),
      frameMs: 1000 / 30,
      targetMs: 520,
    },
    { rule: '5 a second: two', samples: even(200, 10), frameMs: 200, targetMs: 420 },
    { rule: '1 a second: one', samples: even(1000, 4), frameMs: 1000, targetMs: 1050 },
    {
      rule: 'even B-frames: whole groups',
      samples: withBFrames(40, 12),
      frameMs: 40,
      targetMs: 504,
    },
    {
      rule: 'uneven steps: long enough for 85 %',
      samples: pictures(0, 100, 200, 400, 500, 700, 800),
      frameMs: 100,
      targetMs: 1400,
    },
    { rule: 'nothing is known', samples: [], frameMs: null, targetMs: 500 },
  ])('$rule', ({ samples, frameMs, targetMs }) => {
    expect(planPartTiming(samples, frameMs).targetMs).toBe(targetMs)
  })
})

describe('PartCutter', () => {
  const cut = (samples: readonly CutSample[], frameMs: number) => {
    const timing = planPartTiming(samples, frameMs)
    const cutter = new PartCutter(timing, samples[0]!.ptsMs, true)
    return samples.flatMap((sample, i) => {
      const endMs = cutter.push(sample)
      return endMs === null ? [] : [{ before: i, endMs }]
    })
  }

  test('cuts before a picture when the part is long enough', () => {
    expect(cut(even(40, 30), 40)).toEqual([
      { before: 11, endMs: 440 },
      { before: 22, endMs: 880 },
    ])
  })

  test('cuts only where all pictures are there that are shown earlier', () => {
    const samples = withBFrames(40, 12)

    for (const { before, endMs } of cut(samples, 40)) {
      const earlier = samples.slice(0, before).map(({ ptsMs }) => ptsMs)
      const later = samples.slice(before).map(({ ptsMs }) => ptsMs)
      expect(Math.max(...earlier)).toBeLessThan(Math.min(...later))
      expect(endMs).toBe(Math.min(...later))
    }
    expect(cut(samples, 40).length).toBeGreaterThan(2)
  })

  test('sound beside pictures ends no part; alone it does', () => {
    const timing = planPartTiming([], null)
    const sounds = Array.from({ length: 60 }, (_, i): CutSample => ({
      kind: 'audio',
      ptsMs: i * 20,
    }))
    const ends = (hasVideo: boolean) => {
      const cutter = new PartCutter(timing, 0, hasVideo)
      return sounds.flatMap((sample) => cutter.push(sample) ?? [])
    }

    expect(ends(true)).toEqual([])
    expect(ends(false)).toEqual([440, 880])
  })
})
