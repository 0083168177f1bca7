import { ServiceError } from '../../domain/errors.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'
import type { ImageStyle } from './image-call.ts'

export type ImageOptions = {
  readonly format: 'jpeg' | 'png'
  /** Pixels, 16..3840; never above the frame's own, which is the default. Keeps the shape. */
  readonly width?: number
  /** JPEG quality, 1..100. */
  readonly quality?: number
}

const DEFAULT_QUALITY = 82

export function toStyle({ format, width, quality = DEFAULT_QUALITY }: ImageOptions): ImageStyle {
  return { format, quality, size: { widthPx: width ?? null, heightPx: null, limit: 'frame' } }
}

/** @throws ServiceError `invalid-argument`/`InvalidImageOptions` */
export function checkImageAt(producerTimestampMs: number, options: ImageOptions): EpochMs {
  const { width, quality } = options
  const isWithin = (value: number | undefined, min: number, max: number) =>
    value === undefined || (Number.isInteger(value) && value >= min && value <= max)
  const problem = !isWithin(producerTimestampMs, 0, 8.64e15)
    ? 'the time is no instant in epoch milliseconds'
    : !isWithin(width, 16, 3840)
      ? 'the width is not within 16..3840 pixels'
      : !isWithin(quality, 1, 100)
        ? 'the quality is not within 1..100'
        : null
  if (problem !== null) {
    throw new ServiceError('invalid-argument', 'InvalidImageOptions', `No image: ${problem}.`)
  }
  return epochMs(producerTimestampMs)
}
