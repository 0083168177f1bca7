import { AV_PIX_FMT_RGB24, SWS_BICUBIC } from 'node-av/constants'
import { SoftwareScaleContext } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'
import type { Picture } from './picture.ts'

/** Rows of R, G, B bytes without padding: what image encoders take. */
export type Rgb24Image = {
  readonly bytes: Uint8Array
  readonly widthPx: number
  readonly heightPx: number
}

export type PictureSize = { readonly widthPx: number; readonly heightPx: number }

/** Copies a decoded picture out of the decoder, scaled to a size. */
export function toRgb24(
  picture: Picture,
  { widthPx, heightPx }: PictureSize = picture,
): Rgb24Image {
  // swscale's fast paths write in groups of pixels: the slack takes what runs over the last row.
  const memory = Buffer.alloc(widthPx * heightPx * 3 + 64)
  const context = new SoftwareScaleContext()
  try {
    context.getContext(
      picture.widthPx,
      picture.heightPx,
      picture.format,
      widthPx,
      heightPx,
      AV_PIX_FMT_RGB24,
      SWS_BICUBIC,
    )
    const result = context.scaleSync(
      [...picture.planes],
      [...picture.strides],
      0,
      picture.heightPx,
      [memory],
      [widthPx * 3],
    )
    if (result < 0) throw new ServiceError('internal', 'ScaleFailed', 'A picture was not scaled.')
  } finally {
    context.freeContext()
  }
  return { bytes: memory.subarray(0, widthPx * heightPx * 3), widthPx, heightPx }
}
