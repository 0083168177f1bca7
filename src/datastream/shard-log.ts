import type { EpochMs } from '../domain/time.ts'

/**
 * One shard's durable, ordered bytes. Knows nothing of sequence numbers' looks, iterators or
 * limits. Engines: append-only segment files (the default).
 */
export interface ShardLog extends AsyncDisposable {
  /**
   * Resolves when the whole batch is on disk. Concurrent batches share one sync. The data is not looked at
   * any more when the promise has settled, well or not.
   */
  append(
    batch: readonly LogEntryToAppend[],
  ): Promise<{ readonly first: number; readonly last: number }>
  /** Entries from `index` on, until a limit is reached; at least one when there is any. */
  read(
    index: number,
    limits: { maxEntries: number; maxBytes: number },
  ): Promise<readonly LogEntry[]>
  /** Index of the first entry that arrived at or after `time`; `nextIndex` when there is none. */
  seekTime(time: EpochMs): Promise<number>
  /** Forgets entries that arrived before `time`, in whole segments. */
  trimBefore(time: EpochMs): Promise<void>
  /** Bytes that its entries take on the disk, with what is around them. */
  storedBytes(): Promise<number>
  /** No append succeeds afterwards. */
  seal(): Promise<void>
  readonly firstIndex: number
  /** What the next appended entry will get: entries below it are durable. */
  readonly nextIndex: number
}

export type LogEntryToAppend = {
  readonly key: string
  readonly data: Uint8Array
  readonly arrivedAt: EpochMs
  /** `data` is encrypted, with the key in it: only a note for who reads it. */
  readonly isSealed?: boolean
}
export type LogEntry = LogEntryToAppend & { readonly index: number }
