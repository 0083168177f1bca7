import { describe, expect, test } from 'vitest'
import { DecodeTimes, type PictureOrder } from '../../../src/ingest/rtp/decode-times.ts'
import { createRandom } from '../../support/fuzz.ts'

const FRAME = 3600

/** Presentation times in pictures, in decode order; orders count by two from the last key picture. */
function decode(
  shown: readonly number[],
  { reorderPictures = null as number | null, frameTicks = null as number | null, counts = true },
): number[] {
  const times = new DecodeTimes()
  times.configure({ reorderPictures, frameTicks })
  return shown.map((picture) => {
    const order: PictureOrder | null = counts
      ? { count: picture * 2, isStart: picture === 0 }
      : null
    return times.next(picture * FRAME, order) / FRAME
  })
}

const NONE = [0, 1, 2, 3, 4]
const ONE = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8] // I P B B
const PYRAMID = [0, 4, 2, 1, 3, 8, 6, 5, 7] // I P B b b

const tick = 1 / FRAME

describe('DecodeTimes', () => {
  test.each([
    ['no reordering declared', NONE, { reorderPictures: 0 }, [0, 1, 2, 3, 4]],
    [
      'one picture, and its duration',
      ONE,
      { reorderPictures: 1, frameTicks: FRAME },
      [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ],
    [
      'two pictures, and their duration',
      PYRAMID,
      { reorderPictures: 2, frameTicks: FRAME },
      [-2, -1, 0, 1, 2, 3, 4, 5, 6],
    ],
    [
      'one picture, duration not known',
      ONE,
      { reorderPictures: 1 },
      [-tick, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ],
    ['nothing declared, no reordering', NONE, {}, [0, 1, 2, 3, 4]],
    ['nothing declared: the order count shows the gap', ONE, {}, [0, tick, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['nothing declared: a pyramid', PYRAMID, {}, [0, tick, 2 * tick, 1, 2, 3, 4, 5, 6]],
    [
      'declared, but more is reordered',
      ONE,
      { reorderPictures: 0 },
      [0, 3, 1, 2, 3, 4, 5, 6, 7, 8],
    ],
  ])('%s', (_rule, shown, options, expected) => {
    expect(decode(shown, options)).toEqual(expected)
  })

  test('order counts that leave some out hold the decode time back by one picture, no more', () => {
    const times = new DecodeTimes()
    times.configure({ reorderPictures: null, frameTicks: null })
    const decoded = [0, 1, 2, 3, 4].map((i) =>
      times.next(i * FRAME, { count: i * 8, isStart: i === 0 }),
    )

    expect(decoded).toEqual([0, 1, FRAME, 2 * FRAME, 3 * FRAME])
  })

  test('pictures that are lost disturb none of the others', () => {
    const decoded = decode(
      ONE.filter((picture) => picture !== 1 && picture !== 6),
      { reorderPictures: 1 },
    )

    expect(decoded.every((dts, i) => i === 0 || dts > decoded[i - 1]!)).toBe(true)
  })

  test('never above the presentation time, whatever comes', () => {
    const random = createRandom(7)
    for (let round = 0; round < 200; round++) {
      const times = new DecodeTimes()
      times.configure({ reorderPictures: round % 3 === 0 ? null : round % 5, frameTicks: FRAME })
      for (let i = 0; i < 60; i++) {
        const pts = Math.floor(random() * 100) * FRAME
        const order =
          random() < 0.8 ? { count: Math.floor(random() * 40) - 5, isStart: random() < 0.1 } : null
        expect(times.next(pts, order)).toBeLessThanOrEqual(pts)
      }
    }
  })
})
