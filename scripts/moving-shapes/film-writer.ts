import {
  AVERROR_EAGAIN,
  AVERROR_EOF,
  AV_CHANNEL_ORDER_NATIVE,
  AV_CH_LAYOUT_MONO,
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_H264,
  AV_LOG_ERROR,
  AV_OPT_TYPE_STRING,
  AV_OPT_SEARCH_CHILDREN,
  AV_PIX_FMT_RGB24,
  AV_PIX_FMT_YUV420P,
  AV_SAMPLE_FMT_FLTP,
  SWS_BICUBIC,
  type AVCodecID,
} from 'node-av/constants'
import {
  Codec,
  CodecContext,
  FFmpegError,
  FormatContext,
  Frame,
  Log,
  Packet,
  Rational,
  SoftwareScaleContext,
  type Stream,
} from 'node-av/lib'

export type FilmOptions = {
  readonly path: string
  readonly widthPx: number
  readonly heightPx: number
  readonly framesPerSecond: number
  readonly keyEverySeconds: number
  readonly sampleRateHz: number
  readonly audioBitrateBps: number
  /** x264's constant rate factor: lower is better and larger. */
  readonly crf: number
}

/** Samples of one AAC frame (ISO/IEC 14496-3 §4.5.2.1). */
export const AAC_FRAME_SAMPLES = 1_024

type Encoder = { readonly context: CodecContext; readonly stream: Stream }

/**
 * Writes H.264 with B-frames and AAC into an MP4 file, on one thread, so that the same pictures
 * give the same bytes. Pictures and sound are taken in the order of their time.
 */
export class FilmWriter implements AsyncDisposable {
  readonly #options: FilmOptions
  readonly #format = new FormatContext()
  readonly #scaler = new SoftwareScaleContext()
  readonly #packet = new Packet()
  readonly #video: Encoder
  readonly #audio: Encoder
  #pictures = 0n
  #audioSamples = 0n

  private constructor(options: FilmOptions) {
    const { widthPx, heightPx, framesPerSecond, sampleRateHz } = options
    Log.setLevel(AV_LOG_ERROR)
    this.#options = options
    this.#packet.alloc()
    this.#scaler.getContext(
      widthPx,
      heightPx,
      AV_PIX_FMT_RGB24,
      widthPx,
      heightPx,
      AV_PIX_FMT_YUV420P,
      SWS_BICUBIC,
    )
    check(this.#format.allocOutputContext2(null, 'mp4', options.path), 'make the muxer')
    this.#video = this.#addEncoder(
      AV_CODEC_ID_H264,
      new Rational(1, framesPerSecond),
      (context) => {
        context.width = widthPx
        context.height = heightPx
        context.pixelFormat = AV_PIX_FMT_YUV420P
        context.framerate = new Rational(framesPerSecond, 1)
        context.gopSize = framesPerSecond * options.keyEverySeconds
        context.maxBFrames = 2
        setCodecOption(context, 'preset', 'slow')
        setCodecOption(context, 'crf', String(options.crf))
        setCodecOption(context, 'x264-params', 'scenecut=0:open-gop=0')
      },
    )
    this.#audio = this.#addEncoder(AV_CODEC_ID_AAC, new Rational(1, sampleRateHz), (context) => {
      context.sampleRate = sampleRateHz
      context.sampleFormat = AV_SAMPLE_FMT_FLTP
      context.channelLayout = MONO
      context.bitRate = BigInt(options.audioBitrateBps)
    })
  }

  static async open(options: FilmOptions): Promise<FilmWriter> {
    const writer = new FilmWriter(options)
    check(await writer.#format.openOutput(), `open ${options.path}`)
    check(await writer.#format.writeHeader(null), 'write the header')
    return writer
  }

  /** @param rgb rows of R, G, B bytes */
  async addPicture(rgb: Buffer): Promise<void> {
    const { widthPx, heightPx } = this.#options
    const luma = widthPx * heightPx
    const yuv = Buffer.alloc((luma * 3) / 2)
    const planes = [yuv, yuv.subarray(luma), yuv.subarray((luma * 5) / 4)]
    const strides = [widthPx, widthPx / 2, widthPx / 2]
    check(this.#scaler.scaleSync([rgb], [widthPx * 3], 0, heightPx, planes, strides), 'convert')
    const pts = this.#pictures++
    const size = { width: widthPx, height: heightPx, format: AV_PIX_FMT_YUV420P }
    using frame = Frame.fromVideoBuffer(yuv, { ...size, pts })
    await this.#encode(this.#video, frame)
  }

  /** @param samples -1..1, {@link AAC_FRAME_SAMPLES} of them */
  async addSound(samples: Float32Array): Promise<void> {
    const pts = this.#audioSamples
    this.#audioSamples += BigInt(samples.length)
    using frame = Frame.fromAudioBuffer(Buffer.from(samples.buffer), {
      nbSamples: samples.length,
      format: AV_SAMPLE_FMT_FLTP,
      sampleRate: this.#options.sampleRateHz,
      channelLayout: MONO,
      pts,
    })
    await this.#encode(this.#audio, frame)
  }

  async finish(): Promise<void> {
    await this.#encode(this.#video, null)
    await this.#encode(this.#audio, null)
    check(await this.#format.writeTrailer(), 'write the trailer')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scaler.freeContext()
    this.#packet.free()
    this.#video.context.freeContext()
    this.#audio.context.freeContext()
    await this.#format.closeOutput()
    this.#format.freeContext()
  }

  #addEncoder(id: AVCodecID, timeBase: Rational, configure: (c: CodecContext) => void): Encoder {
    const codec = Codec.findEncoder(id)
    if (codec === null) throw new Error(`no encoder ${id}`)
    const context = new CodecContext()
    context.allocContext3(codec)
    context.timeBase = timeBase
    context.threadCount = 1
    context.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER) // MP4 keeps parameter sets in its header
    configure(context)
    check(context.open2Sync(codec), 'open the encoder')
    const stream = this.#format.newStream(null)
    stream.timeBase = timeBase
    check(stream.codecpar.fromContext(context), 'describe the stream')
    return { context, stream }
  }

  async #encode({ context, stream }: Encoder, frame: Frame | null): Promise<void> {
    check(context.sendFrameSync(frame), 'encode')
    while (true) {
      const result = context.receivePacketSync(this.#packet)
      if (result === AVERROR_EAGAIN || result === AVERROR_EOF) return
      check(result, 'encode')
      this.#packet.streamIndex = stream.index
      if (this.#packet.duration === 0n) this.#packet.duration = 1n // x264 sets none: one frame
      this.#packet.rescaleTs(context.timeBase, stream.timeBase)
      check(await this.#format.interleavedWriteFrame(this.#packet), 'write')
    }
  }
}

const MONO = { nbChannels: 1, order: AV_CHANNEL_ORDER_NATIVE, mask: AV_CH_LAYOUT_MONO }

function setCodecOption(context: CodecContext, name: string, value: string): void {
  const result = context.setOption(name, value, AV_OPT_TYPE_STRING, AV_OPT_SEARCH_CHILDREN)
  check(result, `set ${name}`)
}

function check(result: number, what: string): void {
  if (result < 0) throw new Error(`could not ${what}: ${FFmpegError.strerror(result)}`)
}
