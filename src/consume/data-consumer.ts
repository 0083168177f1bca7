import type { DataStreamInfo, DataStreams, ReadLimits, ShardInfo } from '../datastream/index.ts'
import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { consumeShard, type RecordBatch, type ShardCheckpoint } from './consume-shard.ts'
import type { RetryPolicy } from './handle-with-retries.ts'
import type { LeaseStore } from './lease-store.ts'
import { LeasedLoops, type Wanted } from './leased-loops.ts'
import { planReadyShards } from './shard-lineage.ts'
import type { Consumer } from './video-consumer.ts'

export type DataConsumerOptions = {
  /** Names the lease and checkpoint rows: two applications read independently. */
  readonly application: string
  readonly dataStreams: DataStreams
  /** Consumed whenever it exists; a stream created again under the name is a new one. */
  readonly stream: string
  readonly leases: LeaseStore
  /** Where an application begins that has never read the stream. `newest`: what comes from now. */
  readonly start: 'newest' | 'oldest'
  readonly handle: (batch: RecordBatch, signal: AbortSignal) => Promise<void>
  /** Default: try again for ever, so that nothing is lost while a dependency is away. */
  readonly retry?: RetryPolicy
  readonly limits?: ReadLimits
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
  readonly syncIntervalMs?: number
  readonly drainMs?: number
}

export const DEFAULT_DATA_RETRY: RetryPolicy = {
  retries: null,
  firstDelayMs: 200,
  maxDelayMs: 30_000,
}
const DEFAULT_LIMITS: ReadLimits = { maxRecords: 1_000, maxBytes: 2 * 1024 * 1024 }

/** Starts a worker that consumes a data stream, one loop per shard, parents before children. */
export function startDataConsumer(options: DataConsumerOptions): Consumer {
  const { application, stream, leases, clock, events, metrics, log } = options
  const startedAt = clock.now()
  return new LeasedLoops<ShardInfo>({
    application,
    leases,
    clock,
    log,
    syncIntervalMs: options.syncIntervalMs ?? 1_000,
    drainMs: options.drainMs ?? 10_000,
    want: () => planWork(options, startedAt),
    run: ({ shardId }, lease, ends) =>
      consumeShard({
        dataStreams: options.dataStreams,
        stream,
        shardId,
        lease,
        limits: options.limits ?? DEFAULT_LIMITS,
        retry: options.retry ?? DEFAULT_DATA_RETRY,
        handle: options.handle,
        clock,
        onSkipped: (skipped) => events.consumerSkipped({ application, stream, ...skipped }),
        onRetry: (failure) => events.consumerFailed({ application, stream, ...failure }),
        onHandled: ({ count, lagMs }) => {
          metrics.consumeHandled.inc({ application, stream }, count)
          metrics.consumeLagMs.set({ application, stream }, lagMs)
        },
        ...ends,
      }),
  })
}

async function planWork(
  options: DataConsumerOptions,
  startedAt: EpochMs,
): Promise<Wanted<ShardInfo>> {
  const { application, leases, start, dataStreams, stream } = options
  const info = describeIfThere(dataStreams, stream)
  if (info === null) return { items: new Map(), keeps: (key) => key.startsWith(`${stream}:`) }

  const generation = `${stream}:${info.createdAt}`
  const keyOf = (shardId: string) => `${generation}:${shardId}`
  if (leases.readCheckpoint(application, generation) === null) {
    await leases.seedCheckpoints(application, [
      { key: generation, position: { startedAt } },
      ...(start === 'newest' ? toNewestSeeds(info, keyOf, startedAt) : []),
    ])
  }
  const isFinished = (shardId: string) =>
    leases.readCheckpoint<ShardCheckpoint>(application, keyOf(shardId))?.at === 'shard-end'
  const ready = planReadyShards(info.shards, isFinished)
  const known = new Set([generation, ...info.shards.map(({ shardId }) => keyOf(shardId))])
  return {
    items: new Map(ready.map((shard) => [keyOf(shard.shardId), shard])),
    keeps: (key) => known.has(key) || !key.startsWith(`${stream}:`),
  }
}

/**
 * First positions of an application that wants only what is new: closed shards count as read, open
 * ones begin when the worker did. Shards born later have no seed and are read from their horizon.
 */
function toNewestSeeds(
  info: DataStreamInfo,
  keyOf: (shardId: string) => string,
  startedAt: EpochMs,
): { key: string; position: ShardCheckpoint }[] {
  return info.shards.map(({ shardId, endingSequenceNumber }) => ({
    key: keyOf(shardId),
    position:
      endingSequenceNumber === null
        ? { at: 'timestamp', timestamp: startedAt }
        : { at: 'shard-end' },
  }))
}

function describeIfThere(dataStreams: DataStreams, stream: string): DataStreamInfo | null {
  try {
    return dataStreams.describe(stream)
  } catch (error) {
    if (error instanceof ServiceError && error.kind === 'not-found') return null
    throw error
  }
}
