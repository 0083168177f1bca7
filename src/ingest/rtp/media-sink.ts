import type { EpochMs } from '../../domain/time.ts'
import type { Sample, Track } from '../../domain/track.ts'

/** What the intake needs of the publisher (IngestPublisher fulfils it). */
export type MediaSink = {
  /** One entry per track that is to be waited for. */
  expect(kinds: readonly Track['kind'][]): void
  describe(track: Track): void
  write(sample: Sample): void
  drop(reason: string, count?: number): void
  /** The track's tick `ticks` was at `wallMs` by the sender's own clock. */
  observeClock(trackNumber: number, at: { readonly ticks: number; readonly wallMs: EpochMs }): void
  /** Something of this track is missing before its next sample. */
  markLoss(trackNumber: number): void
}
