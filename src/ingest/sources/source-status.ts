import type { EpochMs } from '../../domain/time.ts'
import type { PullFailure } from '../pull/pull.ts'

/** How a source is doing, as the API, the metrics and the console show it. */
export type SourceStatus = {
  readonly state: SourceState
  readonly since: EpochMs
  /** When waiting. */
  readonly nextAttemptAt: EpochMs | null
  /** Failed ones since media last came for 30 s, or since the start or a change. */
  readonly failedAttempts: number
  readonly lastFailure: SourceFailure | null
  /** Attempts after the first one, by why the one before ended; since the start or a change. */
  readonly reconnects: Readonly<Partial<Record<PullFailure, number>>>
}

export type SourceState = 'disabled' | 'connecting' | 'publishing' | 'waiting'

export type SourceFailure = {
  readonly reason: PullFailure
  /** For people; without secrets. */
  readonly message: string
  readonly at: EpochMs
}
