import { describe, expect, test } from 'vitest'
import { FrameSampler } from '../../src/detect/frame-sampler.ts'

const EPOCH_MS = 1_790_000_000_000

function taken(framesPerSecond: number, times: readonly number[]): number[] {
  const sampler = new FrameSampler(framesPerSecond)
  return times.filter((time) => sampler.takes(EPOCH_MS + time))
}

const every = (stepMs: number, count: number) =>
  Array.from({ length: count }, (_, i) => Math.round(i * stepMs))

describe('the first frame in each cell of the grid is taken', () => {
  test.each([
    { rule: '5 of 10 fps', fps: 5, times: every(100, 10), expected: [0, 200, 400, 600, 800] },
    { rule: '5 of 30 fps', fps: 5, times: every(1000 / 30, 30), expected: [0, 200, 400, 600, 800] },
    { rule: '1 of 15 fps', fps: 1, times: every(1000 / 15, 45), expected: [0, 1000, 2000] },
    { rule: 'one in two seconds', fps: 0.5, times: every(500, 9), expected: [0, 2000, 4000] },
    {
      rule: 'all, when the camera is slower',
      fps: 25,
      times: every(100, 4),
      expected: [0, 100, 200, 300],
    },
    {
      rule: 'after a gap the next frame',
      fps: 5,
      times: [0, 50, 730, 790, 830],
      expected: [0, 730, 830],
    },
  ])('$rule', ({ fps, times, expected }) => {
    expect(taken(fps, times)).toEqual(expected)
  })
})

test('the same frames, wherever the watching begins', () => {
  const times = every(1000 / 30, 300)
  const all = taken(5, times)

  for (const start of [6, 47, 123]) {
    const later = taken(5, times.slice(start))
    // Only the first one may be the rest of a cell that had begun.
    expect(all).toEqual(expect.arrayContaining(later.slice(1)))
  }
})
