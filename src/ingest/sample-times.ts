import type { EpochMs } from '../domain/time.ts'
import type { Sample, Track } from '../domain/track.ts'

/** What a timeline goes by: all tracks count from one zero (RTMP), or each from its own (RTP). */
export type TrackClocks = 'shared' | 'own'

export type ArrivedSample = {
  readonly sample: Sample
  readonly track: Track
  /** Monotonic. */
  readonly atMs: number
  /** Media of the track was lost before it. */
  readonly afterLoss: boolean
}

export type PlacedSample = {
  /** Wall time of presentation and decoding, by the producer's clock. */
  readonly pts: EpochMs
  readonly dts: EpochMs
  /** How long the sample lasts, as far as its track's last step tells. */
  readonly durationMs: number
  /** Since the track's sample before, by its own clock. */
  readonly stepMs: number
  /** What is stored next does not continue what is stored. */
  readonly jumped: boolean
}

export type ClockReading = {
  /** Of the track's timescale, unwrapped as its samples' are; need not be a whole number. */
  readonly ticks: number
  /** Milliseconds since 1970, by the producer's clock; need not be a whole number. */
  readonly wallMs: number
}

export type ClockFacts = {
  /** Where producer times come from. */
  readonly source: 'arrival' | 'sender-report'
  /** Of the producer's media clock against ours, positive when it gains; `null` in the beginning. */
  readonly driftPpm: number | null
}
