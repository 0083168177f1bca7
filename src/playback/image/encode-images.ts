import sharp from 'sharp'
import { ServiceError } from '../../domain/errors.ts'
import { toRgb24, VideoDecoder, type DecodedFrame } from '../../platform/av.ts'
import type { EncodedImage, ImageAnswer, ImageCall, ImageStyle } from './image-call.ts'
import { toImageSize } from './image-size.ts'

/**
 * Decodes a GOP once, as far as the last wanted frame, and encodes the wanted ones beside it. In place
 * of a frame that is damaged, the last whole one before it is taken, for which the GOP is decoded
 * once more. For worker threads only.
 *
 * @throws ServiceError `malformed-media` when nothing can be decoded
 */
export async function encodeImages(call: ImageCall): Promise<ImageAnswer> {
  using decoder = new VideoDecoder(call.track)
  const wanted = new Set(call.frames)
  const first = await encodeFrames(decoder, call, wanted)
  const instead = new Map<number, number>()
  for (const frameMs of wanted) {
    const before = first.decoded.findLast((ptsMs) => ptsMs < frameMs)
    const isMissing = !first.images.has(frameMs) && !first.isFull
    if (isMissing && before !== undefined) instead.set(frameMs, before)
  }
  const lacking = new Set([...instead.values()].filter((ptsMs) => !first.images.has(ptsMs)))
  const second = lacking.size === 0 ? first : await encodeFrames(decoder, call, lacking)
  const images = new Map([...second.images, ...first.images])

  const answer = call.frames.map((frameMs) => images.get(instead.get(frameMs) ?? frameMs) ?? null)
  if (answer.every((image) => image === null)) {
    throw new ServiceError('malformed-media', 'UndecodableMedia', 'No frame could be decoded.')
  }
  return first.isFull
    ? answer.slice(0, answer.findLastIndex((image) => image !== null) + 1)
    : answer
}

type Encoded = {
  readonly images: ReadonlyMap<number, EncodedImage>
  /** Presentation times of all frames that came out. */
  readonly decoded: readonly number[]
  /** The images take all bytes that they may. */
  readonly isFull: boolean
}

/** So many are encoded, by other threads, while the next is decoded. */
const MAX_BESIDE = 2

async function encodeFrames(
  decoder: VideoDecoder,
  { samples, style, maxBytes }: ImageCall,
  wanted: ReadonlySet<number>,
): Promise<Encoded> {
  const images = new Map<number, EncodedImage>()
  const decoded: number[] = []
  const beside: Promise<void>[] = []
  const last = Math.max(...wanted)
  let bytes = 0
  for (const frame of decoder.decode(samples)) {
    decoded.push(frame.ptsMs)
    if (wanted.has(frame.ptsMs) && !images.has(frame.ptsMs)) {
      if (beside.length >= MAX_BESIDE) await beside.shift()
      if (bytes > maxBytes) break
      beside.push(
        encode(frame, style).then((image) => {
          images.set(image.frameMs, image)
          bytes += image.bytes.length
        }),
      )
    }
    if (frame.ptsMs >= last) break
  }
  await Promise.all(beside)
  return { images, decoded, isFull: bytes > maxBytes }
}

/** The standard's Huffman tables (ITU-T T.81 Annex K.3): 6 % more bytes for half of the CPU. */
const FAST_JPEG = { optimiseCoding: false }
/** Of deflate: 3 % more bytes for two thirds of the CPU. */
const FAST_PNG = { compressionLevel: 3 }

/** Takes the pixels at once: they are gone when the decoder goes on. */
async function encode(frame: DecodedFrame, style: ImageStyle): Promise<EncodedImage> {
  const { format, size, quality } = style
  const image = toRgb24(frame.picture, toImageSize(frame, size))
  const raw = { width: image.widthPx, height: image.heightPx, channels: 3 as const }
  const pixels = sharp(image.bytes, { raw })
  const encoded = format === 'png' ? pixels.png(FAST_PNG) : pixels.jpeg({ quality, ...FAST_JPEG })
  return { bytes: new Uint8Array(await encoded.toBuffer()), frameMs: frame.ptsMs }
}
