import { expect, test } from 'vitest'
import { toImageSize } from '../../../src/playback/image/image-size.ts'

const FRAME = { widthPx: 640, heightPx: 360 }
const NONE = { widthPx: null, heightPx: null, limit: 'none' } as const

test.each([
  { rule: 'nothing given: the frame', frame: FRAME, size: NONE, is: [640, 360] },
  {
    rule: 'both: stretched',
    frame: FRAME,
    size: { ...NONE, widthPx: 100, heightPx: 900 },
    is: [100, 900],
  },
  { rule: 'a width: in shape', frame: FRAME, size: { ...NONE, widthPx: 320 }, is: [320, 180] },
  { rule: 'a height: in shape', frame: FRAME, size: { ...NONE, heightPx: 90 }, is: [160, 90] },
  {
    rule: 'larger than the frame',
    frame: FRAME,
    size: { ...NONE, widthPx: 1280 },
    is: [1280, 720],
  },
  {
    rule: 'not larger, when that is the limit',
    frame: FRAME,
    size: { ...NONE, widthPx: 1280, limit: 'frame' as const },
    is: [640, 360],
  },
  {
    rule: 'never beyond all bounds',
    frame: { widthPx: 8000, heightPx: 10 },
    size: { ...NONE, heightPx: 2000 },
    is: [8192, 10],
  },
  {
    rule: 'never nothing',
    frame: { widthPx: 8000, heightPx: 10 },
    size: { ...NONE, widthPx: 1 },
    is: [1, 1],
  },
])('$rule', ({ frame, size, is }) => {
  expect(toImageSize(frame, size)).toEqual({ widthPx: is[0], heightPx: is[1] })
})
