import type { EpochMs } from '../../domain/time.ts'
import { parseAvcConfig } from '../../media/nal/avc-config.ts'
import { parseHevcConfig } from '../../media/nal/hevc-config.ts'
import {
  annexBToLengthPrefixed,
  isLengthPrefixed,
  startsWithStartCode,
} from '../../media/nal/nal-units.ts'
import { AUDIO_TRACK, toAacTrack, toAvcTrack, toHevcTrack, VIDEO_TRACK } from '../parameter-sets.ts'
import type { IngestPublisher } from '../publisher.ts'
import type { Amf0Value } from './amf0.ts'
import { TYPE_AUDIO, TYPE_VIDEO } from './commands.ts'
import { parseFlvAudio, parseFlvVideo, type FlvVideo, type VideoCodec } from './flv.ts'
import { RtmpProtocolError } from './rtmp-error.ts'

/** Turns one publisher's RTMP media messages into Tracks and Samples; samples are views. */
export class MediaIntake {
  readonly #publisher: IngestPublisher
  readonly #time = new WrappingTimestamp()
  /** Of the video's last configuration; `null` before it. */
  #nalLengthBytes: number | null = null

  constructor(publisher: IngestPublisher) {
    this.#publisher = publisher
  }

  /** onMetaData says which tracks to wait for. */
  metadata(values: readonly Amf0Value[]): void {
    const properties = values.find((value) => value instanceof Map) as
      ReadonlyMap<string, Amf0Value> | undefined
    if (properties === undefined) return
    const hasVideo = properties.has('videocodecid') || properties.has('width')
    const hasAudio = properties.has('audiocodecid') || properties.has('audiosamplerate')
    if (hasVideo && hasAudio) this.#publisher.expect(['video', 'audio'])
    else if (hasVideo) this.#publisher.expect(['video'])
    else if (hasAudio) this.#publisher.expect(['audio'])
  }

  /**
   * @param timestamp milliseconds, 32 bits
   * @throws MalformedMediaError, RtmpProtocolError
   */
  media(typeId: number, timestamp: number, payload: Uint8Array, arrivedAt: EpochMs): void {
    const dts = this.#time.unwrap(timestamp)
    if (typeId === TYPE_VIDEO) this.#video(payload, dts, arrivedAt)
    else if (typeId === TYPE_AUDIO) this.#audio(payload, dts, arrivedAt)
  }

  #video(body: Uint8Array, dts: number, arrivedAt: EpochMs): void {
    const video = parseFlvVideo(body)
    switch (video.type) {
      case 'config':
        this.#nalLengthBytes = nalLengthBytesOf(video.codec, video.record)
        this.#publisher.describe(
          video.codec === 'avc' ? toAvcTrack(video.record) : toHevcTrack(video.record),
        )
        break
      case 'sample':
        this.#videoSample(video, dts, arrivedAt)
        break
      case 'unsupported':
        throw new RtmpProtocolError(`video codec ${video.codec} is not supported`)
      case 'nothing':
        break
    }
  }

  #videoSample(
    video: Extract<FlvVideo, { type: 'sample' }>,
    dts: number,
    arrivedAt: EpochMs,
  ): void {
    const data = this.#toLengthPrefixed(video.data)
    if (data === null) {
      this.#publisher.drop('malformed-sample')
      return
    }
    this.#publisher.write({
      trackNumber: VIDEO_TRACK,
      pts: dts + video.compositionMs,
      dts,
      isKey: video.isKey,
      data,
      arrivedAt,
    })
  }

  /** `null` when the sample's NAL units are neither length-prefixed nor behind start codes. */
  #toLengthPrefixed(data: Uint8Array): Uint8Array | null {
    if (this.#nalLengthBytes === null || isLengthPrefixed(data, this.#nalLengthBytes)) return data
    if (this.#nalLengthBytes !== 4 || !startsWithStartCode(data)) return null
    const converted = annexBToLengthPrefixed(data)
    return converted.length > 0 ? converted : null
  }

  #audio(body: Uint8Array, dts: number, arrivedAt: EpochMs): void {
    const audio = parseFlvAudio(body)
    switch (audio.type) {
      case 'config':
        this.#publisher.describe(toAacTrack(audio.record))
        break
      case 'sample':
        this.#publisher.write({
          trackNumber: AUDIO_TRACK,
          pts: dts,
          dts,
          isKey: true,
          data: audio.data,
          arrivedAt,
        })
        break
      case 'unsupported': // the picture is worth keeping without its sound
        this.#publisher.drop('unsupported-audio')
        break
      case 'nothing':
        break
    }
  }
}

/** RTMP times are 32-bit milliseconds that wrap every 49.7 days; these go on. */
export class WrappingTimestamp {
  #last: number | null = null

  unwrap(timestamp: number): number {
    // The nearer way round: forward or backward by less than half of the range.
    this.#last = this.#last === null ? timestamp : this.#last + ((timestamp - this.#last) | 0)
    return this.#last
  }
}

function nalLengthBytesOf(codec: VideoCodec, record: Uint8Array): number {
  return codec === 'avc'
    ? parseAvcConfig(record).nalLengthBytes
    : parseHevcConfig(record).nalLengthBytes
}
