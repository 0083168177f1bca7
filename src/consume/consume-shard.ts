import type { DataStreams, IteratorStart, ReadLimits, StoredRecord } from '../datastream/index.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import { handleWithRetries, type RetryPolicy } from './handle-with-retries.ts'
import type { HeldLease } from './lease-store.ts'

/** What a consumer has finished in one shard; absent: nothing, and it begins at the horizon. */
export type ShardCheckpoint =
  | { readonly at: 'sequence-number'; readonly sequenceNumber: string }
  | { readonly at: 'timestamp'; readonly timestamp: EpochMs }
  /** Read to its end: its children may begin. */
  | { readonly at: 'shard-end' }

export type RecordBatch = {
  readonly shardId: string
  readonly records: readonly StoredRecord[]
}

export type ShardToConsume = {
  readonly dataStreams: DataStreams
  readonly stream: string
  readonly shardId: string
  readonly lease: HeldLease
  readonly limits: ReadLimits
  readonly retry: RetryPolicy
  /** Called again with the same records after a failure or a crash: must be idempotent. */
  readonly handle: (batch: RecordBatch, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly onSkipped: (skipped: { count: number; reason: string; error?: unknown }) => void
  readonly onRetry: (failure: { attempt: number; retryInMs: number; error: unknown }) => void
  readonly onHandled: (progress: { count: number; lagMs: number }) => void
  /** Ends the loop after the batch in hand. */
  readonly stopping: AbortSignal
  /** Ends the handler too. */
  readonly signal: AbortSignal
}

/**
 * Feeds a shard's records to `handle` in order, at least once, from the checkpoint on, saving it
 * after each batch. Returns when stopped, or when the shard is closed and read to its end.
 *
 * @throws the reason of `signal`, or of `stopping` when the handler was failing then; ServiceError
 *   `conflict`/`LeaseLost`, whatever the data stream throws
 */
export async function consumeShard(options: ShardToConsume): Promise<void> {
  const { dataStreams, shardId, lease, limits, stopping, signal } = options
  const idle = AbortSignal.any([stopping, signal])
  const saved = lease.readCheckpoint<ShardCheckpoint>()
  if (saved?.at === 'shard-end') return
  let position = await dataStreams.seek(options.stream, shardId, toIteratorStart(saved))

  while (!stopping.aborted) {
    signal.throwIfAborted()
    const { records, next, millisBehindLatest } = await dataStreams.read(position, limits)
    const last = records.at(-1)
    if (last !== undefined) {
      const givenUp = await handleWithRetries(() => options.handle({ shardId, records }, signal), {
        policy: options.retry,
        clock: options.clock,
        stopping,
        signal,
        onRetry: options.onRetry,
      })
      if (givenUp !== null) options.onSkipped({ count: records.length, ...givenUp })
      await lease.saveCheckpoint(toCheckpoint(last))
      if (givenUp === null) options.onHandled({ count: records.length, lagMs: millisBehindLatest })
    }
    if (next === null) {
      await lease.saveCheckpoint({ at: 'shard-end' } satisfies ShardCheckpoint)
      return
    }
    position = next
    if (last === undefined) await waitAt(options, position, idle)
  }
}

/** Resolves when there may be a record, or when stopping. */
async function waitAt(
  { dataStreams, stopping, signal }: ShardToConsume,
  position: Parameters<DataStreams['waitAt']>[0],
  idle: AbortSignal,
): Promise<void> {
  try {
    await dataStreams.waitAt(position, idle)
  } catch (error) {
    signal.throwIfAborted()
    if (!stopping.aborted) throw error
  }
}

function toIteratorStart(
  saved: Exclude<ShardCheckpoint, { at: 'shard-end' }> | null,
): IteratorStart {
  if (saved === null) return { type: 'TRIM_HORIZON' }
  return saved.at === 'timestamp'
    ? { type: 'AT_TIMESTAMP', timestamp: saved.timestamp }
    : { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: saved.sequenceNumber }
}

function toCheckpoint({ sequenceNumber }: StoredRecord): ShardCheckpoint {
  return { at: 'sequence-number', sequenceNumber }
}
