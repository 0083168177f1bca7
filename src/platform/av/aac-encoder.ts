import { AV_LOG_QUIET, AV_SAMPLE_FMT_FLTP, FF_ENCODER_AAC } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, Frame, Log, Packet, Rational } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'
import { toChannelLayout } from './channel-layout.ts'

export type AacFormat = { readonly sampleRateHz: number; readonly channels: number }

/** Samples of one raw data block (ISO/IEC 14496-3 §4.5.1.1). */
export const AAC_BLOCK_SAMPLES = 1024
/**
 * The block that begins with one frame of input comes out when the second one behind it went in: its
 * window reaches over two frames, and a third is looked at for attacks.
 */
export const AAC_LOOKAHEAD_FRAMES = 3

/** Bits per second and channel: transparent for speech, with room for all that G.711 can carry. */
const BITS_PER_SAMPLE = 4

/**
 * AAC LC by FFmpeg's own encoder, on the calling thread. Blocks while it works: for worker threads
 * only.
 */
export class AacEncoder implements Disposable {
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  readonly #format: AacFormat

  /** @throws ServiceError `internal` */
  constructor(format: AacFormat) {
    Log.setLevel(AV_LOG_QUIET)
    this.#format = format
    const codec = Codec.findEncoderByName(FF_ENCODER_AAC)
    if (codec === null) throw failed('There is no AAC encoder')
    this.#context.allocContext3(codec)
    this.#context.sampleFormat = AV_SAMPLE_FMT_FLTP
    this.#context.sampleRate = format.sampleRateHz
    this.#context.channelLayout = toChannelLayout(format.channels)
    this.#context.bitRate = BigInt(BITS_PER_SAMPLE * format.sampleRateHz * format.channels)
    this.#context.timeBase = new Rational(1, format.sampleRateHz)
    this.#context.threadCount = 1
    // Three times as fast as the default and steadier at these rates; noise substitution would make
    // two encodings of one stretch differ where fragments meet.
    this.#context.setOption('aac_coder', 'fast')
    this.#context.setOption('aac_pns', 0)
    const result = this.#context.open2Sync(codec)
    if (result < 0) {
      this.#context.freeContext()
      throw failed('The AAC encoder was not opened', result)
    }
    this.#packet.alloc()
  }

  /**
   * @param channels {@link AAC_BLOCK_SAMPLES} each, -1..1
   * @param index counted by the caller, rising by one
   * @returns the blocks that are finished by it, each under the index of the frame it begins with
   */
  encode(channels: readonly Float32Array[], index: number): readonly AacBlock[] {
    const frame = new Frame()
    frame.alloc()
    try {
      frame.format = AV_SAMPLE_FMT_FLTP
      frame.nbSamples = AAC_BLOCK_SAMPLES
      frame.sampleRate = this.#format.sampleRateHz
      frame.channelLayout = toChannelLayout(this.#format.channels)
      const room = frame.getBuffer(0)
      if (room < 0) throw failed('There is no memory for a frame', room)
      for (const [i, samples] of channels.entries()) {
        const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)
        frame.data![i]!.set(bytes)
      }
      frame.pts = BigInt(index * AAC_BLOCK_SAMPLES)
      const sent = this.#context.sendFrameSync(frame)
      if (sent < 0) throw failed('A frame was not encoded', sent)
    } finally {
      frame.free()
    }
    const blocks: AacBlock[] = []
    while (this.#context.receivePacketSync(this.#packet) >= 0) {
      const at = Math.round(Number(this.#packet.pts) / AAC_BLOCK_SAMPLES)
      blocks.push({ index: at, data: new Uint8Array(this.#packet.data!) })
      this.#packet.unref()
    }
    return blocks
  }

  [Symbol.dispose](): void {
    this.#packet.free()
    this.#context.freeContext()
  }
}

/** A raw data block; decoded, it gives the samples of the frame with its index. */
export type AacBlock = { readonly index: number; readonly data: Uint8Array }

function failed(what: string, code?: number): ServiceError {
  const why = code === undefined ? '' : `: ${FFmpegError.strerror(code)}`
  return new ServiceError('internal', 'InternalFailure', `${what}${why}.`)
}
