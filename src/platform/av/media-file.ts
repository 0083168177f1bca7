import {
  AVERROR_EOF,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_HEVC,
  AV_LOG_QUIET,
  AV_NOPTS_VALUE,
} from 'node-av/constants'
import { FFmpegError, FormatContext, Log, Packet, type Stream } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'
import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'

/** One sample of a file, in ticks of its track's timescale, in the file's (decode) order. */
export type MediaFileSample = {
  readonly trackNumber: number
  readonly pts: number
  readonly dts: number
  readonly isKey: boolean
  readonly data: Uint8Array
}

/** A local media file's H.264, H.265 and AAC tracks. Video is track 1. */
export interface MediaFile extends AsyncDisposable {
  readonly tracks: readonly Track[]
  /** From the file's start, once. */
  samples(): AsyncGenerator<MediaFileSample, void, undefined>
}

const CODEC_IDS = new Map<number, string>([
  [AV_CODEC_ID_H264, CODEC_AVC],
  [AV_CODEC_ID_HEVC, CODEC_HEVC],
  [AV_CODEC_ID_AAC, CODEC_AAC],
])

/**
 * Opens a local file (MP4, Matroska, FLV: what keeps NAL units length-prefixed) with FFmpeg's
 * demuxer. Reads happen in the thread pool.
 *
 * @throws ServiceError `malformed-media`/`UnreadableMediaFile`
 */
export async function openMediaFile(path: string): Promise<MediaFile> {
  Log.setLevel(AV_LOG_QUIET)
  const format = new FormatContext()
  try {
    check(await format.openInput(path), path)
    check(await format.findStreamInfo(null), path)
  } catch (error) {
    await format.closeInput()
    throw error
  }
  return new FormatMediaFile(format, path)
}

class FormatMediaFile implements MediaFile {
  readonly tracks: readonly Track[]
  readonly #format: FormatContext
  readonly #path: string
  /** Track number by the file's stream index. */
  readonly #numbers: ReadonlyMap<number, number>

  constructor(format: FormatContext, path: string) {
    this.#format = format
    this.#path = path
    const chosen = [AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO]
      .map((kind) => format.streams?.find((stream) => isKind(stream, kind)))
      .filter((stream) => stream !== undefined)
    this.tracks = chosen.map((stream, i) => toTrack(stream, i + 1))
    this.#numbers = new Map(chosen.map((stream, i) => [stream.index, i + 1]))
  }

  async *samples(): AsyncGenerator<MediaFileSample, void, undefined> {
    const packet = new Packet()
    packet.alloc()
    try {
      while (true) {
        const result = await this.#format.readFrame(packet)
        if (result === AVERROR_EOF) return
        check(result, this.#path)
        const trackNumber = this.#numbers.get(packet.streamIndex)
        if (trackNumber !== undefined && packet.data !== null) {
          const dts = packet.dts === AV_NOPTS_VALUE ? packet.pts : packet.dts
          yield {
            trackNumber,
            pts: Number(packet.pts),
            dts: Number(dts),
            isKey: packet.isKeyframe,
            data: new Uint8Array(packet.data),
          }
        }
        packet.unref()
      }
    } finally {
      packet.free()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#format.closeInput()
  }
}

function isKind(stream: Stream, kind: number): boolean {
  return stream.codecpar.codecType === kind && CODEC_IDS.has(stream.codecpar.codecId)
}

function toTrack(stream: Stream, number: number): Track {
  const { codecpar, timeBase } = stream
  const isVideo = codecpar.codecType === AVMEDIA_TYPE_VIDEO
  return {
    number,
    kind: isVideo ? 'video' : 'audio',
    codecId: CODEC_IDS.get(codecpar.codecId)!,
    codecPrivate: new Uint8Array(codecpar.extradata ?? []),
    timescale: timeBase.den / timeBase.num,
    video: isVideo ? { widthPx: codecpar.width, heightPx: codecpar.height } : null,
    audio: isVideo ? null : { sampleRateHz: codecpar.sampleRate, channels: codecpar.channels },
  }
}

function check(result: number, path: string): void {
  if (result >= 0) return
  throw new ServiceError(
    'malformed-media',
    'UnreadableMediaFile',
    `Cannot read ${path}: ${FFmpegError.strerror(result)}.`,
  )
}
