import { describe, expect, test } from 'vitest'
import { planFragments, planGop } from '../../../src/playback/image/plan-gop.ts'

const fragment = (producerTimestamp: number, startsWithKey = true, discontinuity = false) => ({
  producerTimestamp,
  startsWithKey,
  discontinuity,
})

describe('which fragments', () => {
  const plain = [fragment(0), fragment(1_000), fragment(2_000)]
  const split = [fragment(0), fragment(1_000, false), fragment(2_000, false), fragment(3_000)]

  test.each([
    { rule: 'the last that starts before', of: plain, at: 1_500, planned: [1_000] },
    { rule: 'or exactly then', of: plain, at: 2_000, planned: [2_000] },
    { rule: 'also when it ended long ago', of: plain, at: 50_000, planned: [2_000] },
    { rule: 'none before the first', of: plain, at: -1, planned: [] },
    { rule: 'none of none', of: [], at: 0, planned: [] },
    {
      rule: 'a split GOP from its key sample on',
      of: split,
      at: 2_500,
      planned: [0, 1_000, 2_000],
    },
    {
      rule: 'not across a discontinuity',
      of: [fragment(0), fragment(9, false, true)],
      at: 9,
      planned: [9],
    },
    {
      rule: 'at most sixteen',
      of: [fragment(0), ...Array.from({ length: 40 }, (_, i) => fragment(i + 1, false))],
      at: 40,
      planned: Array.from({ length: 16 }, (_, i) => i + 25),
    },
  ])('$rule', ({ of, at, planned }) => {
    expect(planFragments(of, at).map(({ producerTimestamp }) => producerTimestamp)).toEqual(planned)
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
