import { AV_PIX_FMT_RGB24, type AVPixelFormat } from 'node-av/constants'

/** Planes of pixels in memory, as swscale takes them. Owned by whoever made it. */
export type Picture = {
  readonly widthPx: number
  readonly heightPx: number
  readonly format: AVPixelFormat
  readonly planes: readonly Buffer[]
  /** Bytes from one row to the next, per plane. */
  readonly strides: readonly number[]
}

/** @param bytes rows of R, G, B bytes without padding; not copied */
export function rgb24Picture(bytes: Uint8Array, widthPx: number, heightPx: number): Picture {
  if (bytes.byteLength !== widthPx * heightPx * 3) {
    throw new RangeError(`${bytes.byteLength} bytes are not ${widthPx}x${heightPx} RGB pixels`)
  }
  return {
    widthPx,
    heightPx,
    format: AV_PIX_FMT_RGB24,
    planes: [Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)],
    strides: [widthPx * 3],
  }
}
