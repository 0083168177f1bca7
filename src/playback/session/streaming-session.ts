import type { StreamId } from '../../domain/stream.ts'
import type { EpochMs } from '../../domain/time.ts'
import type { SelectorClock } from '../fragment-pages.ts'

/**
 * What a streaming session of the Kinesis Video API plays (KVS API: GetHLSStreamingSessionURL,
 * GetDASHStreamingSessionURL). A value: whoever holds it gets the same after a restart.
 */
export type StreamingSession = {
  readonly streamId: StreamId
  readonly mode: PlaybackMode
  /** By which fragments are chosen and shown; live ones are always chosen in order of arrival. */
  readonly clock: SelectorClock
  /** Fragments that start in it are listed, both ends included; `null` for LIVE. */
  readonly range: { readonly from: number; readonly to: number | null } | null
  readonly discontinuities: DiscontinuityMode
  readonly showTimestamps: boolean
  readonly showNumbers: boolean
  readonly window: SessionWindow
  readonly madeAt: EpochMs
  readonly start: SessionStart
}

export type PlaybackMode = 'LIVE' | 'LIVE_REPLAY' | 'ON_DEMAND'

/** NEVER still marks what no decoder survives unmarked: other codec parameters. */
export type DiscontinuityMode = 'ALWAYS' | 'NEVER' | 'ON_DISCONTINUITY'

/** How many fragments are listed at once. */
export type SessionWindow = {
  readonly fragments: number
  /** `usual`: more where RFC 8216 §6.2.2 wants three target durations; `asked`: never. */
  readonly bound: 'usual' | 'asked'
}

/** What a session that moves on counts from. */
export type SessionStart = {
  /** LIVE: fragments behind this counter are its own. */
  readonly afterCounter: number
  /** `Fragment.sequence` of the first of them. */
  readonly sequence: number
  /** There was nothing to play yet: a gap stands in the first place. */
  readonly waits: boolean
  /** A playlist's target duration must not change: what the fragments so far let expect. */
  readonly targetDurationS: number
}
