import { describe, expect, test } from 'vitest'
import { rgb24Picture, TensorScaler, type TensorLayout } from '../../../src/platform/av.ts'
import { placePicture } from '../../../src/platform/av/tensor-scaler.ts'

const LAYOUT: TensorLayout = {
  widthPx: 416,
  heightPx: 416,
  channelOrder: 'RGB',
  letterbox: 'top-left',
  padValue: 114,
  mean: [0, 0, 0],
  std: [1, 1, 1],
}

describe('where a picture goes', () => {
  test.each([
    { letterbox: 'top-left', size: [480, 360], place: [0, 0, 416, 312] },
    { letterbox: 'top-left', size: [768, 432], place: [0, 0, 416, 234] },
    { letterbox: 'top-left', size: [360, 640], place: [0, 0, 234, 416] },
    { letterbox: 'centre', size: [480, 360], place: [0, 52, 416, 312] },
    { letterbox: 'centre', size: [361, 640], place: [91, 0, 234, 416] },
    { letterbox: 'stretch', size: [1920, 1080], place: [0, 0, 416, 416] },
    { letterbox: 'top-left', size: [100, 100], place: [0, 0, 416, 416] },
    { letterbox: 'top-left', size: [4000, 1], place: [0, 0, 416, 1] },
  ] as const)('$letterbox $size', ({ letterbox, size: [widthPx, heightPx], place }) => {
    const { left, top, width, height } = placePicture(
      { ...LAYOUT, letterbox },
      { widthPx, heightPx },
    )

    expect([left, top, width, height]).toEqual(place)
  })
})

function plain(widthPx: number, heightPx: number, colour: readonly [number, number, number]) {
  const bytes = new Uint8Array(widthPx * heightPx * 3)
  for (let i = 0; i < bytes.length; i++) bytes[i] = colour[i % 3]!
  return rgb24Picture(bytes, widthPx, heightPx)
}

const AREA = 416 * 416
const planeOf = (tensor: Float32Array, channel: number) =>
  tensor.subarray(channel * AREA, (channel + 1) * AREA)

describe('the tensor', () => {
  test.each([
    { channelOrder: 'RGB', planes: [200, 100, 50] },
    { channelOrder: 'BGR', planes: [50, 100, 200] },
  ] as const)('$channelOrder: planes, padding, nothing outside', ({ channelOrder, planes }) => {
    using scaler = new TensorScaler({ ...LAYOUT, channelOrder })
    const memory = new Float32Array(scaler.length + 64).fill(-7)
    const tensor = memory.subarray(32, 32 + scaler.length)

    scaler.scale(plain(480, 360, [200, 100, 50]), tensor)

    for (const [channel, value] of planes.entries()) {
      const plane = planeOf(tensor, channel)
      expect(plane.length).toBe(AREA)
      // swscale rounds colours on the way: within one grey level and a half.
      for (const level of sampled(plane, 0, 312)) expect(Math.abs(level - value)).toBeLessThan(1.5)
      expect(new Set(plane.subarray(312 * 416))).toEqual(new Set([114]))
    }
    expect(new Set(memory.subarray(0, 32))).toEqual(new Set([-7]))
    expect(new Set(memory.subarray(32 + scaler.length))).toEqual(new Set([-7]))
  })

  test('mean and deviation hold for the picture and for the padding', () => {
    using scaler = new TensorScaler({
      ...LAYOUT,
      letterbox: 'centre',
      padValue: 0,
      mean: [100, 110, 120],
      std: [50, 55, 60],
    })
    const tensor = new Float32Array(scaler.length)

    scaler.scale(plain(640, 320, [200, 110, 0]), tensor)

    const middle = 208 * 416 + 208
    expect(planeOf(tensor, 0)[middle]).toBeCloseTo(2, 1)
    expect(planeOf(tensor, 1)[middle]).toBeCloseTo(0, 1)
    expect(planeOf(tensor, 2)[middle]).toBeCloseTo(-2, 1)
    expect([0, 1, 2].map((channel) => planeOf(tensor, channel)[0])).toEqual([-2, -2, -2])
  })

  test('a picture of another size gets its own place, and the old one leaves no trace', () => {
    using scaler = new TensorScaler(LAYOUT)
    const tensor = new Float32Array(scaler.length)
    scaler.scale(plain(400, 400, [255, 255, 255]), tensor)

    expect(scaler.scale(plain(400, 100, [0, 0, 0]), tensor)).toMatchObject({ height: 104 })

    expect(new Set(planeOf(tensor, 0).subarray(104 * 416))).toEqual(new Set([114]))
    expect(Math.max(...sampled(planeOf(tensor, 0), 0, 104))).toBeCloseTo(0, 3)
  })

  test('a tensor that is too short is refused', () => {
    using scaler = new TensorScaler(LAYOUT)
    expect(() => scaler.scale(plain(16, 16, [1, 2, 3]), new Float32Array(100))).toThrow(RangeError)
  })
})

function sampled(plane: Float32Array, fromRow: number, toRow: number): number[] {
  const values: number[] = []
  for (let row = fromRow; row < toRow; row += 3) {
    for (let x = 0; x < 416; x += 5) values.push(plane[row * 416 + x]!)
    values.push(plane[row * 416 + 415]!)
  }
  return values
}
