import {
  AVERROR_EAGAIN,
  AVERROR_EOF,
  AVMEDIA_TYPE_VIDEO,
  AV_CODEC_ID_AV1,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_HEVC,
  AV_CODEC_ID_MJPEG,
  AV_CODEC_ID_VP8,
  AV_CODEC_ID_VP9,
  AV_LOG_QUIET,
  AV_NOPTS_VALUE,
  type AVCodecID,
  type AVPixelFormat,
} from 'node-av/constants'
import { Codec, CodecContext, CodecParameters, FFmpegError, Frame, Log, Packet } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'
import { CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'
import type { Picture } from './picture.ts'

/** One coded picture of the track, in decode order; times in milliseconds. */
export type CodedSample = {
  readonly ptsMs: number
  readonly isKey: boolean
  readonly data: Uint8Array
}

export type DecodedFrame = {
  readonly ptsMs: number
  readonly widthPx: number
  readonly heightPx: number
  /** Its memory is valid until the generator that gave it is advanced. */
  readonly picture: Picture
}

/** Above this a parameter set is a peer's lie or attack: 8192 x 4320 and a margin. */
const MAX_PIXELS = 40_000_000
const MAX_FAILURES_IN_A_ROW = 32

const DECODER_IDS: Readonly<Record<string, AVCodecID>> = {
  [CODEC_AVC]: AV_CODEC_ID_H264,
  [CODEC_HEVC]: AV_CODEC_ID_HEVC,
  V_VP8: AV_CODEC_ID_VP8,
  V_VP9: AV_CODEC_ID_VP9,
  V_AV1: AV_CODEC_ID_AV1,
  V_MJPEG: AV_CODEC_ID_MJPEG,
}

/**
 * Decodes one video track on the calling thread, one fragment after the other. Blocks while it
 * works: for worker threads only.
 */
export class VideoDecoder implements Disposable {
  readonly #context: CodecContext
  readonly #packet = new Packet()
  readonly #frame = new Frame()

  /** @throws ServiceError `malformed-media` when the codec is unknown or its setup is invalid */
  constructor(track: Track) {
    Log.setLevel(AV_LOG_QUIET) // what a peer sends wrong is reported by our errors, not on stderr
    this.#context = openContext(track)
    this.#packet.alloc()
    this.#frame.alloc()
  }

  /**
   * Yields the frames of one fragment in presentation order, all of them: what the decoder held
   * back for reordering comes out at the end. Samples that cannot be decoded are passed over.
   *
   * @throws ServiceError `malformed-media`/`UndecodableMedia` when no frame came out at all
   */
  *decode(samples: Iterable<CodedSample>): Generator<DecodedFrame, void, undefined> {
    let sent = 0
    let received = 0
    let failure = 0
    let continues = false
    try {
      for (const sample of samples) {
        sent++
        const result = this.#send(sample)
        if (result < 0) failure = result
        for (const frame of this.#receive()) {
          received++
          yield frame
        }
      }
      // A decoder that held nothing back keeps its references, so that a GOP which was split over
      // two fragments goes on in the next call. Otherwise the tail is drained, which ends the GOP.
      continues = received === sent
      if (!continues) {
        this.#context.sendPacketSync(null)
        for (const frame of this.#receive()) {
          received++
          yield frame
        }
      }
      if (received === 0 && sent > 0) {
        throw new ServiceError(
          'malformed-media',
          'UndecodableMedia',
          `None of ${sent} samples could be decoded${failure < 0 ? `: ${textOf(failure)}` : ''}.`,
        )
      }
    } finally {
      // Also when the caller stopped reading: half a fragment is no base for the next one.
      if (!continues) this.reset()
      this.#frame.unref()
    }
  }

  /** Forgets all references; the next sample has to be a key sample. */
  reset(): void {
    this.#context.flushBuffers()
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#packet.free()
    this.#context.freeContext()
  }

  #send(sample: CodedSample): number {
    const { data } = sample
    this.#packet.data = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    this.#packet.pts = BigInt(sample.ptsMs)
    this.#packet.dts = AV_NOPTS_VALUE
    this.#packet.isKeyframe = sample.isKey
    const result = this.#context.sendPacketSync(this.#packet)
    this.#packet.unref()
    return result
  }

  *#receive(): Generator<DecodedFrame, void, undefined> {
    const frame = this.#frame
    let failures = 0
    while (true) {
      const result = this.#context.receiveFrameSync(frame)
      if (result === AVERROR_EAGAIN || result === AVERROR_EOF) return
      if (result < 0) {
        // A broken picture is reported once; the ones after it may be whole again.
        if (++failures > MAX_FAILURES_IN_A_ROW) return
        continue
      }
      const planes = frame.data
      if (planes !== null && frame.width > 0 && frame.height > 0) {
        yield {
          ptsMs: Number(frame.bestEffortTimestamp),
          widthPx: frame.width,
          heightPx: frame.height,
          picture: {
            widthPx: frame.width,
            heightPx: frame.height,
            format: frame.format as AVPixelFormat,
            planes,
            strides: frame.linesize.slice(0, planes.length),
          },
        }
      }
      frame.unref()
    }
  }
}

function openContext(track: Track): CodecContext {
  const id = DECODER_IDS[track.codecId]
  const codec = id === undefined ? null : Codec.findDecoder(id)
  if (id === undefined || codec === null) {
    throw new ServiceError(
      'malformed-media',
      'UnsupportedCodec',
      `There is no decoder for codec ${JSON.stringify(track.codecId.slice(0, 64))}.`,
    )
  }
  const context = new CodecContext()
  context.allocContext3(codec)
  const parameters = new CodecParameters()
  parameters.alloc()
  try {
    parameters.codecType = AVMEDIA_TYPE_VIDEO
    parameters.codecId = id
    if (track.codecPrivate.byteLength > 0) parameters.extradata = Buffer.from(track.codecPrivate)
    let result = context.parametersToContext(parameters)
    context.threadCount = 1 // one worker thread per detector: more would take other streams' cores
    context.setOption('max_pixels', MAX_PIXELS)
    // Options go in one by one: open2 with a Dictionary frees it twice in node-av 6.1.1.
    if (result >= 0) result = context.open2Sync(codec)
    if (result >= 0) return context
    throw new ServiceError(
      'malformed-media',
      'InvalidCodecConfiguration',
      `The decoder for ${track.codecId} does not accept its configuration: ${textOf(result)}.`,
    )
  } catch (error) {
    context.freeContext()
    throw error
  } finally {
    parameters.free()
  }
}

function textOf(code: number): string {
  return FFmpegError.strerror(code)
}
