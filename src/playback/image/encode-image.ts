import sharp from 'sharp'
import { ServiceError } from '../../domain/errors.ts'
import { toRgb24, VideoDecoder, type Rgb24Image } from '../../platform/av.ts'
import type { EncodedImage, ImageCall } from './image-call.ts'

/**
 * Decodes up to the wanted frame and encodes it. Where that frame is damaged, the last whole one
 * before it is taken. For worker threads only.
 *
 * @throws ServiceError `malformed-media`
 */
export async function encodeImage(call: ImageCall): Promise<EncodedImage> {
  using decoder = new VideoDecoder(call.track)
  const first = decodeUpTo(decoder, call, call.frameMs)
  const found =
    first.image === null && first.frameMs !== null
      ? decodeUpTo(decoder, call, first.frameMs)
      : first
  if (found.image === null || found.frameMs === null) {
    throw new ServiceError('malformed-media', 'UndecodableMedia', 'No frame could be decoded.')
  }
  return { bytes: await encode(found.image, call), frameMs: found.frameMs }
}

type Decoded = {
  readonly image: Rgb24Image | null
  /** Of `image`; without one, of the last frame that could be decoded before. */
  readonly frameMs: number | null
}

function decodeUpTo(decoder: VideoDecoder, call: ImageCall, frameMs: number): Decoded {
  let before: number | null = null
  for (const frame of decoder.decode(call.samples)) {
    if (frame.ptsMs === frameMs) {
      const widthPx = Math.min(call.widthPx ?? frame.widthPx, frame.widthPx)
      return { image: toRgb24(frame.picture, widthPx), frameMs }
    }
    if (frame.ptsMs < frameMs) before = frame.ptsMs
  }
  return { image: null, frameMs: before }
}

async function encode(image: Rgb24Image, { format, quality }: ImageCall): Promise<Uint8Array> {
  const raw = { width: image.widthPx, height: image.heightPx, channels: 3 as const }
  const pixels = sharp(image.bytes, { raw })
  const encoded = format === 'png' ? pixels.png() : pixels.jpeg({ quality })
  return new Uint8Array(await encoded.toBuffer())
}
