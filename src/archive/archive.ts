import type { Fragment, FragmentNumber } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Track } from '../domain/track.ts'
import type { BytePool } from '../platform/byte-pool.ts'

/**
 * The store of Fragments: one append-only Matroska file per chunk, a fixed-width index row per
 * fragment beside it, a catalogue row per chunk in the MetaStore. docs/design/archive.md numbers
 * the invariants.
 */
export interface Archive extends AsyncDisposable {
  /**
   * Opens the one writer of a stream.
   *
   * @throws ServiceError `conflict`/`StreamBusy` while another writer is open
   */
  openWriter(streamId: StreamId): Promise<FragmentWriter>
  /**
   * Persisted fragments inside the retention, in order of `range.by`; at most `range.limit`. By
   * producer time, of fragments that begin at the same instant only the one with the highest number:
   * a producer that sends a range again replaces it.
   *
   * @throws ServiceError `data-loss`/`ChunkDamaged` when fragments of the range can neither be read
   *   nor listed, because both of a chunk's files are damaged or gone
   */
  list(streamId: StreamId, range: FragmentRange): Promise<readonly Fragment[]>
  /**
   * The first persisted fragments after the given one (`null`: from the oldest), by number. Leaves
   * out what `list` would fail at: who follows a stream goes on behind it.
   */
  after(
    streamId: StreamId,
    fragmentNumber: FragmentNumber | null,
    limit: number,
  ): Promise<readonly Fragment[]>
  /** The newest persisted fragments, oldest of them first. Answered from memory for up to 32. */
  newest(streamId: StreamId, count: number): Promise<readonly Fragment[]>
  /**
   * `null` when it is not there, or hidden by retention.
   *
   * @throws ServiceError `data-loss`/`ChunkDamaged` as {@link list}
   */
  find(streamId: StreamId, fragmentNumber: FragmentNumber): Promise<Fragment | null>
  /**
   * @param memory may be used for `bytes`: give them back to it when nobody reads them any more
   * @throws ServiceError `not-found`/`FragmentNotFound` when it was removed meanwhile,
   *   `data-loss`/`FragmentUnreadable` when its file is missing, shorter or other than the index says
   */
  read(fragment: Fragment, memory?: BytePool): Promise<StoredFragment>
  /**
   * Resolves as soon as a fragment after the given one is persisted; at once when there is one.
   * Rejects with the signal's reason when aborted.
   */
  waitAfter(
    streamId: StreamId,
    fragmentNumber: FragmentNumber | null,
    signal: AbortSignal,
  ): Promise<void>
  /**
   * What is written from now on, while it grows, also with a retention of 0. Who comes in the middle of
   * a fragment gets it from its beginning when others follow already, or else begins with the next.
   *
   * Follows until the signal aborts (the iteration then rejects with its reason) or the iteration is
   * left. Up to 16 MiB wait for a slow follower; then it gets `overrun` and the iteration ends.
   */
  follow(streamId: StreamId, signal: AbortSignal): Promise<AsyncIterableIterator<LiveEvent>>
  usage(streamId: StreamId): Promise<ArchiveUsage>
  /** The disk, what streams take of it, and when which limit is reached. */
  space(): Promise<ArchiveSpace>
  /** Where there is media in a range, and why there is none in the rest of it. */
  coverage(streamId: StreamId, range: CoverageRange): Promise<Coverage>
  /**
   * Exempts what overlaps a range, by one of the clocks, from retention and eviction; on disk when it
   * resolves. What is past its retention and still there is seen again. Chunks are kept whole.
   *
   * @throws ServiceError `invalid-argument`/`InvalidRange`, `limit-exceeded`/`TooManyHolds`
   */
  hold(streamId: StreamId, range: ClockRange, terms: HoldTerms): Promise<Hold>
  /**
   * Deletes what is persisted and overlaps a range, whole fragments, for good: hidden from every read
   * at once, overwritten in its chunks and out of the index when it resolves.
   *
   * @throws ServiceError `conflict`/`RangeHeld` when a hold wants some of it and `held` is `refuse`;
   *   `unavailable`/`DeletionUnfinished` when the disk fails: hidden, and tried again by itself
   */
  deleteRange(
    streamId: StreamId,
    range: ClockRange,
    options?: { readonly held?: 'refuse' | 'delete' },
  ): Promise<DeletedRange>
  /** Of all streams, in order of their making. */
  holds(): readonly Hold[]
  /** @throws ServiceError `not-found`/`HoldNotFound` */
  releaseHold(id: string): Promise<void>
  /**
   * Removes all media of a stream that is no longer registered.
   *
   * @throws ServiceError `conflict`/`StreamBusy`, `conflict`/`StreamHeld`
   */
  remove(streamId: StreamId): Promise<void>
}

export type FragmentRange = {
  readonly by: 'producer' | 'server'
  /** Fragments that overlap `from <= t < to` by the chosen clock. */
  readonly from: EpochMs
  readonly to: EpochMs
  readonly limit: number
}

export type CoverageRange = Omit<FragmentRange, 'limit'>

/**
 * Spans and gaps follow each other without a hole from `range.from` up to `range.to`, or up to now or
 * the newest media when that is earlier: what has not happened yet is no gap.
 */
export type Coverage = {
  readonly spans: readonly CoveredSpan[]
  readonly gaps: readonly CoverageGap[]
}

/** Media without a gap, cut at the range's ends. */
export type CoveredSpan = {
  readonly from: EpochMs
  readonly to: EpochMs
  readonly fragments: number
  readonly bytes: number
}

export type CoverageGap = {
  readonly from: EpochMs
  readonly to: EpochMs
  readonly reason: GapReason
  /** For people. */
  readonly detail?: string
}

/**
 * - `no-publisher`: nobody was connected
 * - `media-time-jump`: the producer's clock left it out
 * - `write-failed`, `queue-full`: media came and the disk failed, or was too slow
 * - `lost`: media came and was given up for another reason, which `detail` names
 * - `crash`: the service ended without notice
 * - `expired`: before the retention, whatever there was
 * - `redacted`: deleted on request
 * - `evicted`: it went before its time, for lack of space or over the quota; `detail` says which
 * - `unreadable`: it was kept, and its files were found gone or damaged; it is back when they are
 * - `unknown`: no reason was recorded
 */
export type GapReason =
  | 'no-publisher'
  | 'media-time-jump'
  | 'write-failed'
  | 'queue-full'
  | 'lost'
  | 'crash'
  | 'expired'
  | 'redacted'
  | 'evicted'
  | 'unreadable'
  | 'unknown'

/** Half open, by one of the clocks. */
export type ClockRange = {
  readonly by: 'producer' | 'server'
  readonly from: number
  readonly to: number
}

export type HoldTerms = {
  readonly name: string
  readonly reason: string
  /** When it ends by itself; never, when left out. */
  readonly until?: EpochMs | null
}

/** What a deletion took; `chunks` went as a whole. */
export type DeletedRange = {
  readonly fragments: number
  readonly chunks: number
  readonly bytes: number
}

/** A range of a stream that retention and eviction leave alone. */
export type Hold = HoldTerms & {
  readonly id: string
  readonly streamId: StreamId
  readonly by: 'producer' | 'server'
  readonly from: EpochMs
  readonly to: EpochMs
  readonly until: EpochMs | null
  readonly createdAt: EpochMs
}

/**
 * A fragment is told as `begin`, `media`*, then `end` or `abandoned`; one at a time, in order of their
 * numbers. Bytes are nobody's to write on.
 */
export type LiveEvent =
  | {
      readonly type: 'begin'
      readonly fragmentNumber: FragmentNumber
      readonly start: FragmentStart
      /** The Tags ahead of the Cluster. */
      readonly tags: Uint8Array
      /**
       * The one that ended before, persisted or not yet; `null`: none did since the archive was opened.
       * When it is after the last one that a reader has, what is between comes from the archive.
       */
      readonly previous: FragmentNumber | null
    }
  | ({
      readonly type: 'media'
      readonly fragmentNumber: FragmentNumber
      /** Whole elements: first the Cluster's start with its Timecode, then blocks. */
      readonly bytes: Uint8Array
    } & AppendedMedia)
  | {
      readonly type: 'end'
      readonly fragmentNumber: FragmentNumber
      readonly producerTags: Uint8Array | null
    }
  /** Also after `end`, when it could not be persisted. */
  | {
      readonly type: 'abandoned'
      readonly fragmentNumber: FragmentNumber
      readonly reason: string
    }
  /** It is in the archive; also one whose beginning was not told. */
  | { readonly type: 'persisted'; readonly fragment: Fragment }
  /** The follower was too slow: it reads on in the archive and follows anew. */
  | { readonly type: 'overrun' }

export type StoredFragment = {
  /** EBML, Segment start, Info and Tracks, exactly as the producer sent them. */
  readonly header: Uint8Array
  readonly tracks: readonly Track[]
  /** Leading Tags, Cluster, the producer's Tags: what follows `header` in a GetMedia answer. */
  readonly bytes: Uint8Array
}

export type ArchiveUsage = {
  readonly chunks: number
  readonly bytes: number
  readonly oldest: EpochMs | null
  readonly newest: EpochMs | null
}

/** Seconds from now: 0: it is so already; `null`: not as things go. */
export type ArchiveSpace = {
  /** `null` when the system does not say. */
  readonly disk: {
    readonly totalBytes: number
    readonly freeBytes: number
    /** Below it the oldest media of the largest stream goes. */
    readonly minFreeBytes: number
    /** `low`: nothing more may go; `full`: media that comes is given up. */
    readonly state: 'ok' | 'low' | 'full'
    /** Until no more than `minFreeBytes` is free. */
    readonly fullInSeconds: number | null
  } | null
  readonly streams: readonly StreamUsage[]
}

export type StreamUsage = {
  readonly streamId: StreamId
  readonly bytes: number
  readonly quotaBytes: number | null
  /** Over the last ten minutes. */
  readonly writeBytesPerSecond: number
  readonly retentionReachedInSeconds: number | null
  readonly quotaReachedInSeconds: number | null
}

/**
 * Takes one producer's media. Calls are made in the order begin, append*, end (or abandon), one
 * fragment at a time. Bytes handed over belong to the archive.
 */
export interface FragmentWriter extends AsyncDisposable {
  /** Assigns the number and queues the leading Tags. Rotates the chunk when it is due. */
  begin(start: FragmentStart): FragmentNumber
  /**
   * Queues whole Matroska elements: first the Cluster's start with its Timecode, then blocks.
   * Flushed together at least once a second.
   *
   * @throws ServiceError `unavailable`/`ArchiveQueueFull` when the disk is slower than the producer
   *   (more than `maxQueuedBytes` wait), `unavailable`/`ArchiveWriteFailed` when a write failed; the
   *   fragment is then abandoned and counted, and the next `begin` tries again.
   */
  append(parts: readonly Uint8Array[], info: AppendedMedia): void
  /**
   * Completes the fragment.
   *
   * @param producerTags a complete Tags element to keep behind the Cluster, or `null`
   * @returns resolves when the fragment is on disk and indexed (PERSISTED); do not wait for it
   *   before the next `begin`. Rejects as `append` does when it could not be persisted.
   */
  end(producerTags: Uint8Array | null): Promise<Fragment>
  /** Gives the open fragment up, if there is one. Its bytes stay in the chunk, unindexed. */
  abandon(reason: string): void
  /** Bytes queued and not yet written. */
  readonly queuedBytes: number
}

export type FragmentStart = {
  /** Matroska header (EBML, Segment start, Info, Tracks); another one starts another chunk. */
  readonly header: Uint8Array
  readonly tracks: readonly Track[]
  readonly producerTimestamp: EpochMs
  readonly serverTimestamp: EpochMs
  readonly discontinuity: boolean
  readonly startsWithKey: boolean
}

export type AppendedMedia = {
  readonly samples: number
  /** Wall end of the latest presented sample so far, by the producer's clock. */
  readonly producerEnd: EpochMs
  readonly arrivedAt: EpochMs
}

export type ArchiveOptions = {
  /**
   * Milliseconds of media kept, by the server timestamp; `null` for a stream that is gone. 0: a live
   * buffer of five minutes or 200 MB, which `list` does not answer.
   */
  readonly retentionMsOf: (streamId: StreamId) => number | null
  readonly nameOf: (streamId: StreamId) => string
  readonly maxQueuedBytes: number
  readonly maxChunkBytes: number
  /** Rate at which finished chunks are read again to find damage; 0, the default: not at all. */
  readonly checkBytesPerSecond?: number
  /** Bytes of media that a stream may have; `null`, as when left out: no limit of its own. */
  readonly quotaBytesOf?: (streamId: StreamId) => number | null
  /**
   * Disk space kept free. `null`, as when left out: a twentieth of the disk, at most 512 MiB. 0: all
   * may be used.
   */
  readonly minFreeBytes?: number | null
}
