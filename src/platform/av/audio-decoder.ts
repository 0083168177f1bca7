import {
  AV_LOG_QUIET,
  AV_SAMPLE_FMT_DBL,
  AV_SAMPLE_FMT_FLT,
  AV_SAMPLE_FMT_FLTP,
  AV_SAMPLE_FMT_S16,
  AV_SAMPLE_FMT_S16P,
  AV_SAMPLE_FMT_S32,
  AV_SAMPLE_FMT_S32P,
  AV_SAMPLE_FMT_U8,
  type FFDecoderCodec,
} from 'node-av/constants'
import { Codec, CodecContext, Frame, Log, Packet } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'
import { toChannelLayout } from './channel-layout.ts'

/** Coded sound as FFmpeg wants to know it. */
export type AudioSource = {
  /** FFmpeg's name of the decoder. */
  readonly decoder: string
  /** As announced; what is decoded may have another. */
  readonly sampleRateHz: number
  readonly channels: number
  /** Of G.726 and PCM; else 0. */
  readonly bitsPerCodedSample: number
  readonly extradata: Uint8Array
}

/** What one coded unit became; one array per channel, -1..1. */
export type DecodedSound = {
  readonly sampleRateHz: number
  readonly channels: readonly Float32Array[]
}

/** Decodes one track's sound on the calling thread. Blocks while it works: for worker threads only. */
export class AudioDecoder implements Disposable {
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  readonly #frame = new Frame()

  /** @throws ServiceError `malformed-media`/`UnsupportedCodec`, `malformed-media`/`InvalidCodecConfiguration` */
  constructor(source: AudioSource) {
    Log.setLevel(AV_LOG_QUIET)
    const codec = Codec.findDecoderByName(source.decoder as FFDecoderCodec)
    if (codec === null) {
      throw new ServiceError('malformed-media', 'UnsupportedCodec', `No decoder ${source.decoder}.`)
    }
    this.#context.allocContext3(codec)
    this.#context.sampleRate = source.sampleRateHz
    this.#context.channelLayout = toChannelLayout(source.channels)
    if (source.bitsPerCodedSample > 0) this.#context.bitsPerCodedSample = source.bitsPerCodedSample
    if (source.extradata.length > 0) this.#context.extraData = Buffer.from(source.extradata)
    this.#context.threadCount = 1
    if (this.#context.open2Sync(codec) < 0) {
      this.#context.freeContext()
      throw new ServiceError(
        'malformed-media',
        'InvalidCodecConfiguration',
        `The decoder ${source.decoder} does not accept its configuration.`,
      )
    }
    this.#packet.alloc()
    this.#frame.alloc()
  }

  /** `null` when nothing comes of it: a unit that is broken, or the first of a codec that overlaps. */
  decode(data: Uint8Array): DecodedSound | null {
    this.#packet.data = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const sent = this.#context.sendPacketSync(this.#packet)
    this.#packet.unref()
    if (sent < 0) return null
    const pieces: DecodedSound[] = []
    while (this.#context.receiveFrameSync(this.#frame) >= 0) {
      pieces.push(toSound(this.#frame))
      this.#frame.unref()
    }
    return joined(pieces)
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#packet.free()
    this.#context.freeContext()
  }
}

/** Some decoders give more than one frame for a unit. */
function joined(pieces: readonly DecodedSound[]): DecodedSound | null {
  const [first] = pieces
  if (first === undefined || pieces.length === 1) return first ?? null
  const channels = first.channels.map((_, channel) => {
    const parts = pieces.map((piece) => piece.channels[channel] ?? piece.channels[0]!)
    const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  })
  return { sampleRateHz: first.sampleRateHz, channels }
}

type Layout = {
  readonly isPlanar: boolean
  readonly bytes: number
  readonly read: (view: DataView, at: number) => number
}

const LAYOUTS = new Map<number, Layout>([
  [AV_SAMPLE_FMT_U8, { isPlanar: false, bytes: 1, read: (v, at) => v.getUint8(at) / 128 - 1 }],
  [AV_SAMPLE_FMT_S16, { isPlanar: false, bytes: 2, read: readInt16 }],
  [AV_SAMPLE_FMT_S16P, { isPlanar: true, bytes: 2, read: readInt16 }],
  [AV_SAMPLE_FMT_S32, { isPlanar: false, bytes: 4, read: readInt32 }],
  [AV_SAMPLE_FMT_S32P, { isPlanar: true, bytes: 4, read: readInt32 }],
  [AV_SAMPLE_FMT_FLT, { isPlanar: false, bytes: 4, read: readFloat32 }],
  [AV_SAMPLE_FMT_FLTP, { isPlanar: true, bytes: 4, read: readFloat32 }],
  [AV_SAMPLE_FMT_DBL, { isPlanar: false, bytes: 8, read: (v, at) => v.getFloat64(at, true) }],
])

function readInt16(view: DataView, at: number): number {
  return view.getInt16(at, true) / 0x8000
}

function readInt32(view: DataView, at: number): number {
  return view.getInt32(at, true) / 0x8000_0000
}

function readFloat32(view: DataView, at: number): number {
  return view.getFloat32(at, true)
}

/** Copies: the frame's memory is FFmpeg's. */
function toSound(frame: Frame): DecodedSound {
  const layout = LAYOUTS.get(frame.format)
  const planes = frame.extendedData ?? frame.data ?? []
  if (layout === undefined) {
    throw new ServiceError('internal', 'InternalFailure', `Sample format ${frame.format}.`)
  }
  const { isPlanar, bytes, read } = layout
  const count = frame.channelLayout.nbChannels
  const channels = Array.from({ length: count }, (_, channel) => {
    const plane = planes[isPlanar ? channel : 0]!
    const view = new DataView(plane.buffer, plane.byteOffset, plane.byteLength)
    const step = isPlanar ? bytes : bytes * count
    const start = isPlanar ? 0 : bytes * channel
    return Float32Array.from({ length: frame.nbSamples }, (__, i) => read(view, start + i * step))
  })
  return { sampleRateHz: frame.sampleRate, channels }
}
