import type { FragmentStart } from '../../archive/index.ts'
import type { FragmentNumber } from '../../domain/fragment.ts'
import type { Track } from '../../domain/track.ts'
import { toMediaSegment, type SegmentTrack } from '../../media/fmp4/media-segment.ts'
import { toFmp4Timescale, toPlayableTracks } from '../../media/fmp4/playable-track.ts'
import {
  planAudioRun,
  planVideoEnd,
  planVideoRun,
  type TimedRun,
} from '../../media/fmp4/sample-timing.ts'
import { toSilentFrame } from '../../media/fmp4/silent-aac.ts'
import type { StoredSample } from '../../media/matroska/scanner.ts'
import type { FragmentSource } from '../audio/index.ts'
import { toInitId } from '../hls/init-id.ts'
import { LiveSamples } from './live-samples.ts'
import { PartCutter, type PartTiming } from './part-cutter.ts'

/** A part of a segment (draft-pantos-hls-rfc8216bis §4.4.4.9), as fMP4. */
export type Part = {
  readonly bytes: Uint8Array
  readonly durationMs: number
  /** It begins with a key sample. */
  readonly isIndependent: boolean
}

export type GrowingFragmentOptions = {
  readonly fragmentNumber: FragmentNumber
  readonly start: FragmentStart
  /** The media sequence number that it will have. */
  readonly sequence: number
  readonly timing: PartTiming
  readonly source: FragmentSource
  /** The sound that leads to it, by fragment; where that has to be transcoded. */
  readonly leading: readonly (readonly StoredSample[])[]
}

const AAC_FRAME_TICKS = 1024

/**
 * Cuts one fragment into parts while it is written. Each sample is in one part, as it will be in the
 * segment, at the same presentation time; together the parts are what the segment is.
 */
export class GrowingFragment {
  readonly fragmentNumber: FragmentNumber
  readonly start: FragmentStart
  readonly sequence: number
  readonly initId: string
  readonly parts: Part[] = []
  readonly #samples: LiveSamples
  readonly #cutter: PartCutter
  readonly #video: Track | null
  readonly #audio: Track | null
  readonly #source: FragmentSource
  readonly #leading: readonly (readonly StoredSample[])[]
  readonly #isTranscoded: boolean
  /** Of the part that is open. */
  #pictures: StoredSample[] = []
  /** Of the whole fragment. */
  readonly #sounds: StoredSample[] = []
  #soundsSent = 0
  #endMs: number
  #isEnded = false

  constructor(options: GrowingFragmentOptions) {
    const { fragmentNumber, start, sequence, timing, source, leading } = options
    const played = source.toPlayed(start.tracks)
    const tracks = toPlayableTracks(played)
    this.fragmentNumber = fragmentNumber
    this.start = start
    this.sequence = sequence
    this.initId = toInitId(tracks)
    this.#samples = new LiveSamples(start.tracks, start.producerTimestamp)
    this.#video = tracks.find(({ kind }) => kind === 'video') ?? null
    this.#audio = tracks.find(({ kind }) => kind === 'audio') ?? null
    this.#cutter = new PartCutter(timing, start.producerTimestamp, this.#video !== null)
    this.#source = source
    this.#leading = leading
    this.#isTranscoded = played !== start.tracks
    this.#endMs = start.producerTimestamp
  }

  /** Its stored sound so far. */
  get sounds(): readonly StoredSample[] {
    return this.#sounds
  }

  /** No part will come any more. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  get sizeBytes(): number {
    return this.parts.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  /** How long it is, as far as its parts are there. */
  get durationMs(): number {
    return this.parts.reduce((sum, part) => sum + part.durationMs, 0)
  }

  /**
   * @param bytes as `LiveEvent` has them
   * @param producerEndMs where they end
   * @throws MalformedMediaError
   */
  async append(bytes: Uint8Array, producerEndMs: number): Promise<void> {
    this.#endMs = Math.max(this.#endMs, producerEndMs)
    for (const sample of this.#samples.read(bytes)) {
      const kind = this.#kindOf(sample)
      if (kind === null) continue
      const startMs = this.#cutter.partStartMs
      const endMs = this.#cutter.push({ kind, ptsMs: sample.ptsMs })
      if (endMs !== null) await this.#close(startMs, endMs, 'goes on')
      if (kind === 'video') this.#pictures.push(sample)
      else this.#sounds.push({ ...sample, data: new Uint8Array(sample.data) })
    }
  }

  async end(): Promise<void> {
    const startMs = this.#cutter.partStartMs
    const endMs =
      this.#pictures.length === 0
        ? this.#endMs
        : planVideoEnd(this.#pictures, {
            nextMs: null,
            endMs: this.#endMs,
            besideAudio: this.#sounds.length > 0,
          })
    if (endMs > startMs) await this.#close(startMs, endMs, 'is over')
    this.#isEnded = true
  }

  #kindOf({ trackNumber }: StoredSample): 'video' | 'audio' | null {
    if (trackNumber === this.#video?.number) return 'video'
    return trackNumber === this.#audio?.number ? 'audio' : null
  }

  async #close(startMs: number, endMs: number, fragment: 'goes on' | 'is over'): Promise<void> {
    const pictures = this.#pictures
    this.#pictures = []
    const tracks: SegmentTrack[] = []
    if (this.#video !== null && pictures.length > 0) {
      tracks.push({ track: this.#video, ...planVideoRun(pictures, endMs) })
    }
    const sound = await this.#soundUntil(fragment)
    if (sound !== null) tracks.push(sound)
    if (tracks.length === 0) return
    const bytes = Buffer.concat(toMediaSegment({ sequence: this.sequence, tracks }))
    this.parts.push({
      bytes,
      durationMs: endMs - startMs,
      isIndependent: tracks[0]!.samples[0]!.isKey,
    })
  }

  /** What of the sound has become known since the part before; `null`: nothing. */
  async #soundUntil(fragment: 'goes on' | 'is over'): Promise<SegmentTrack | null> {
    if (this.#audio === null || this.#sounds.length === 0) return null
    if (this.#isTranscoded) {
      const fragments = [...this.#leading, this.#sounds]
      const run = await this.#source.transcode(this.start.tracks, fragments)
      return run === null ? null : this.#unsent(this.#audio, run, run.samples.length)
    }
    const run = this.#toAudioRun(this.#audio)
    if (run === null) return null
    // How long the newest sample is shows with the next one.
    const known = fragment === 'is over' ? run.samples.length : run.samples.length - 1
    return this.#unsent(this.#audio, run, known)
  }

  /** Over all of it: the grid is the one of the segment, and what is known stays as it is. */
  #toAudioRun(track: Track): TimedRun | null {
    return planAudioRun(this.#sounds, {
      sampleRateHz: toFmp4Timescale(track),
      frameTicks: AAC_FRAME_TICKS,
      silence: toSilentFrame(track),
      fromMs: this.start.discontinuity ? this.start.producerTimestamp : null,
      toMs: null,
    })
  }

  #unsent(track: Track, run: TimedRun, known: number): SegmentTrack | null {
    const samples = run.samples.slice(this.#soundsSent, known)
    if (samples.length === 0) return null
    const before = run.samples
      .slice(0, this.#soundsSent)
      .reduce((ticks, { durationTicks }) => ticks + durationTicks, 0)
    this.#soundsSent = known
    return { track, baseDecodeTime: run.baseDecodeTime + before, samples }
  }
}
