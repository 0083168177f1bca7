import type { EpochMs } from '../../domain/time.ts'
import { CODEC_FLV, type Sample, type Track } from '../../domain/track.ts'
import { withoutTemporalDelimiter } from '../../media/av1/av1-config.ts'
import {
  annexBToLengthPrefixed,
  isLengthPrefixed,
  startsWithStartCode,
} from '../../media/nal/nal-units.ts'
import type { PictureSize } from '../../media/vpx/vp8-frame.ts'
import type { AmfObject, AmfValue } from '../amf/amf-cursor.ts'
import { AUDIO_TRACK, VIDEO_TRACK } from '../parameter-sets.ts'
import { WrappingTimestamp } from '../wrapping-timestamp.ts'
import { parseFlvAudio, type AudioCodec, type FlvAudioPart } from './audio-body.ts'
import { describesItself, toTrackOfConfig, toTrackOfSample } from './audio-tracks.ts'
import { parseFlvVideo, type FlvUnknown, type FlvVideo } from './video-body.ts'
import { readVideoConfig, toTrackOfKeySample, type VideoConfig } from './video-tracks.ts'

/** What the intake needs of a publisher; IngestPublisher fulfils it. */
export type FlvSink = {
  expect(kinds: readonly Track['kind'][]): void
  describe(track: Track): void
  write(sample: Sample): void
  drop(reason: string): void
}

/**
 * Turns one publisher's media, in RTMP messages or in the tags of an FLV file, into Tracks and
 * Samples; samples are views on the bodies. Video is track 1, audio track 2 and, with Enhanced RTMP's
 * multitrack, the ones behind it. Codecs without a name in Matroska become data tracks.
 */
export class FlvIntake {
  readonly #sink: FlvSink
  readonly #time = new WrappingTimestamp()
  #video: VideoConfig | null = null
  #announcedSize: PictureSize | null = null
  /** By track number: what its track was last described for. */
  readonly #sound = new Map<number, { readonly codec: AudioCodec; readonly flags: number }>()
  /** By track number: the codec without a name. */
  readonly #unknown = new Map<number, string>()
  #samples = 0
  #progress = 0

  constructor(sink: FlvSink) {
    this.#sink = sink
  }

  /** Samples that were written. */
  get samples(): number {
    return this.#samples
  }

  /** Grows with each key sample of video, and with every sample while there is no video. */
  get progress(): number {
    return this.#progress
  }

  /** onMetaData says which tracks to wait for. Other data messages say nothing that is kept. */
  metadata(values: readonly AmfValue[]): void {
    const properties = values.find((value) => value instanceof Map) as AmfObject | undefined
    if (properties === undefined) return
    const hasVideo = properties.has('videocodecid') || properties.has('width')
    const hasAudio = properties.has('audiocodecid') || properties.has('audiosamplerate')
    if (hasVideo && hasAudio) this.#sink.expect(['video', 'audio'])
    else if (hasVideo) this.#sink.expect(['video'])
    else if (hasAudio) this.#sink.expect(['audio'])
    this.#announcedSize = toSize(properties.get('width'), properties.get('height'))
  }

  /**
   * @param timestamp milliseconds, 32 bits
   * @throws MalformedMediaError
   */
  video(body: Uint8Array, timestamp: number, arrivedAt: EpochMs): void {
    const dts = this.#time.unwrap(timestamp)
    const video = parseFlvVideo(body)
    switch (video.type) {
      case 'config':
        this.#unknown.delete(VIDEO_TRACK)
        this.#video = readVideoConfig(video.codec, video.record, this.#announcedSize)
        if (this.#video.track !== null) this.#sink.describe(this.#video.track)
        break
      case 'sample':
        this.#videoSample(video, dts, arrivedAt)
        break
      case 'unknown':
        this.#video = null
        this.#unknownSample(VIDEO_TRACK, 'VIDEO', video, dts, arrivedAt)
        break
      case 'nothing':
        if (video.dropped !== null) this.#sink.drop(video.dropped)
    }
  }

  /**
   * @param timestamp milliseconds, 32 bits
   * @throws MalformedMediaError
   */
  audio(body: Uint8Array, timestamp: number, arrivedAt: EpochMs): void {
    const dts = this.#time.unwrap(timestamp)
    const audio = parseFlvAudio(body)
    if (audio.type !== 'several') {
      this.#audioPart(audio, dts, arrivedAt)
      return
    }
    for (const part of audio.parts) this.#audioPart(part, dts, arrivedAt)
  }

  #videoSample(
    video: Extract<FlvVideo, { type: 'sample' }>,
    dts: number,
    arrivedAt: EpochMs,
  ): void {
    // VP8 needs no configuration, and VP9 hardly.
    if (this.#video?.codec !== video.codec) this.#video = withoutConfig(video.codec)
    if (this.#video === null) {
      this.#sink.drop('no-parameter-sets')
      return
    }
    const data = toStored(this.#video, video.data)
    if (data === null) {
      this.#sink.drop('malformed-sample')
      return
    }
    if (video.isKey && this.#video.track === null) {
      const track = toTrackOfKeySample(this.#video, data)
      if (track !== null) this.#sink.describe(track)
    }
    if (video.isKey) this.#progress++
    this.#write(VIDEO_TRACK, dts + video.compositionMs, dts, video.isKey, data, arrivedAt)
  }

  #audioPart(audio: FlvAudioPart, dts: number, arrivedAt: EpochMs): void {
    if (audio.type === 'nothing') return
    if (audio.trackId > MAX_AUDIO_TRACK_ID) {
      this.#sink.drop('further-audio-track')
      return
    }
    const number = AUDIO_TRACK + audio.trackId
    if (audio.type === 'unknown') {
      this.#sound.delete(number)
      this.#unknownSample(number, 'AUDIO', audio, dts, arrivedAt)
      return
    }
    const { codec } = audio
    if (audio.type === 'config') {
      const track = toTrackOfConfig(number, codec, audio.record)
      if (track === null) return
      this.#describeSound(track, codec, 0)
    } else if (this.#isDescribed(number, codec, audio.flags, audio.data)) {
      this.#write(number, dts, dts, true, audio.data, arrivedAt)
    }
  }

  /** False when the sample cannot be kept, which is counted. */
  #isDescribed(number: number, codec: AudioCodec, flags: number, data: Uint8Array): boolean {
    const sound = this.#sound.get(number)
    if (!describesItself(codec)) {
      if (sound?.codec === codec) return true
      this.#sink.drop('no-parameter-sets')
      return false
    }
    if (sound?.codec === codec && sound.flags === flags) return true
    const track = toTrackOfSample(number, codec, flags, data)
    if (track === null) {
      this.#sink.drop('malformed-sample')
      return false
    }
    this.#describeSound(track, codec, flags)
    return true
  }

  #describeSound(track: Track, codec: AudioCodec, flags: number): void {
    this.#unknown.delete(track.number)
    this.#sound.set(track.number, { codec, flags })
    this.#sink.describe(track)
  }

  /** The body as it came, in a data track that says by its codec ID how to read it. */
  #unknownSample(
    number: number,
    kind: 'VIDEO' | 'AUDIO',
    sample: FlvUnknown,
    dts: number,
    arrivedAt: EpochMs,
  ): void {
    const { codec, isConfig, data } = sample
    if (isConfig || this.#unknown.get(number) !== codec) {
      this.#unknown.set(number, codec)
      this.#sink.describe({
        number,
        kind: 'data',
        codecId: `${CODEC_FLV}/${kind}/${codec}`,
        codecPrivate: isConfig ? data : new Uint8Array(0),
        timescale: 1000,
        video: null,
        audio: null,
      })
    }
    if (!isConfig) this.#write(number, dts, dts, true, data, arrivedAt)
  }

  #write(
    trackNumber: number,
    pts: number,
    dts: number,
    isKey: boolean,
    data: Uint8Array,
    arrivedAt: EpochMs,
  ): void {
    this.#samples++
    if (this.#video === null) this.#progress++
    this.#sink.write({ trackNumber, pts, dts, isKey, data, arrivedAt })
  }
}

/** Track ids of one byte would make 256 tracks; no encoder has more than a few. */
const MAX_AUDIO_TRACK_ID = 15

/** As Matroska has it; `null` when a sample's NAL units are neither behind lengths nor start codes. */
function toStored({ codec, nalLengthBytes }: VideoConfig, data: Uint8Array): Uint8Array | null {
  if (nalLengthBytes === null) return codec === 'av1' ? withoutTemporalDelimiter(data) : data
  if (isLengthPrefixed(data, nalLengthBytes)) return data
  if (nalLengthBytes !== 4 || !startsWithStartCode(data)) return null
  const converted = annexBToLengthPrefixed(data)
  return converted.length > 0 ? converted : null
}

function withoutConfig(codec: VideoConfig['codec']): VideoConfig | null {
  if (codec !== 'vp8' && codec !== 'vp9') return null
  return { codec, nalLengthBytes: null, track: null, codecPrivate: new Uint8Array(0) }
}

function toSize(width: AmfValue, height: AmfValue): PictureSize | null {
  return isLength(width) && isLength(height) ? { widthPx: width, heightPx: height } : null
}

function isLength(value: AmfValue): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65_535
}
