import { AV_PIX_FMT_GBRPF32LE, SWS_BILINEAR } from 'node-av/constants'
import { SoftwareScaleContext } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'
import type { Picture } from './picture.ts'

/** How a picture becomes a tensor [3, height, width] of floats: a model's preprocessing. */
export type TensorLayout = {
  readonly widthPx: number
  readonly heightPx: number
  readonly channelOrder: 'RGB' | 'BGR'
  /** Where the picture sits when its shape differs; `stretch` gives up its shape instead. */
  readonly letterbox: 'top-left' | 'centre' | 'stretch'
  /** Fills the rest, 0..255, before mean and std. */
  readonly padValue: number
  /** `(value - mean) / std` on values 0..255, in the tensor's channel order. */
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

/** The part of the tensor, in its pixels, that shows the picture. */
export type Placement = {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Where a picture of this size goes. Sizes are truncated, as the models were trained. */
export function placePicture(
  layout: TensorLayout,
  picture: { readonly widthPx: number; readonly heightPx: number },
): Placement {
  const { widthPx, heightPx, letterbox } = layout
  if (letterbox === 'stretch') return { left: 0, top: 0, width: widthPx, height: heightPx }
  const ratio = Math.min(widthPx / picture.widthPx, heightPx / picture.heightPx)
  // The tiny term keeps 416 / 480 * 480 from becoming 415 by rounding.
  const width = Math.max(1, Math.floor(picture.widthPx * ratio + 1e-6))
  const height = Math.max(1, Math.floor(picture.heightPx * ratio + 1e-6))
  if (letterbox === 'top-left') return { left: 0, top: 0, width, height }
  return {
    left: Math.floor((widthPx - width) / 2),
    top: Math.floor((heightPx - height) / 2),
    width,
    height,
  }
}

/**
 * Scales pictures with swscale straight into a tensor's memory: one pass for size and colour, one
 * for `mean` and `std`. Keeps one swscale context, made again when the picture's size or format
 * changes. For worker threads only.
 */
export class TensorScaler implements Disposable {
  readonly #layout: TensorLayout
  #context: SoftwareScaleContext | null = null
  #contextKey = ''

  constructor(layout: TensorLayout) {
    this.#layout = layout
  }

  /** Floats per picture: 3 x height x width. */
  get length(): number {
    return 3 * this.#layout.widthPx * this.#layout.heightPx
  }

  /** @param target at least {@link length} floats; written whole, padding included */
  scale(picture: Picture, target: Float32Array): Placement {
    if (target.length < this.length) throw new RangeError('the tensor is too short')
    const place = placePicture(this.#layout, picture)
    this.#pad(target, place)

    const { widthPx, heightPx, channelOrder } = this.#layout
    const area = widthPx * heightPx
    const start = place.top * widthPx + place.left
    const plane = (channel: number) =>
      Buffer.from(
        target.buffer,
        target.byteOffset + (channel * area + start) * 4,
        (area - start) * 4,
      )
    const [red, green, blue] = channelOrder === 'RGB' ? [0, 1, 2] : [2, 1, 0]
    const stride = widthPx * 4
    const result = this.#contextFor(picture, place).scaleSync(
      [...picture.planes],
      [...picture.strides],
      0,
      picture.heightPx,
      [plane(green), plane(blue), plane(red)], // GBRPF32: the planes' order is in the name
      [stride, stride, stride],
    )
    if (result < 0) throw new ServiceError('internal', 'ScaleFailed', 'A picture was not scaled.')

    this.#normalise(target, place)
    return place
  }

  [Symbol.dispose](): void {
    this.#context?.freeContext()
    this.#context = null
  }

  #contextFor(picture: Picture, place: Placement): SoftwareScaleContext {
    const key = `${picture.widthPx} ${picture.heightPx} ${picture.format}`
    if (this.#context !== null && this.#contextKey === key) return this.#context
    this.#context?.freeContext()
    this.#context = new SoftwareScaleContext()
    this.#contextKey = key
    this.#context.getContext(
      picture.widthPx,
      picture.heightPx,
      picture.format,
      place.width,
      place.height,
      AV_PIX_FMT_GBRPF32LE,
      SWS_BILINEAR,
    )
    return this.#context
  }

  #pad(target: Float32Array, place: Placement): void {
    const { widthPx, heightPx, padValue, mean, std } = this.#layout
    if (place.width === widthPx && place.height === heightPx) return
    const area = widthPx * heightPx
    for (let channel = 0; channel < 3; channel++) {
      const value = (padValue - mean[channel]!) / std[channel]!
      target.fill(value, channel * area, (channel + 1) * area)
    }
  }

  /** swscale gives 0..1; models want 0..255, less the mean, by the deviation. */
  #normalise(target: Float32Array, place: Placement): void {
    const { widthPx, heightPx, mean, std } = this.#layout
    const area = widthPx * heightPx
    for (let channel = 0; channel < 3; channel++) {
      const gain = 255 / std[channel]!
      const offset = -mean[channel]! / std[channel]!
      if (gain === 1 && offset === 0) continue
      for (let y = 0; y < place.height; y++) {
        const from = channel * area + (place.top + y) * widthPx + place.left
        const to = from + place.width
        for (let i = from; i < to; i++) target[i] = target[i]! * gain + offset
      }
    }
  }
}
