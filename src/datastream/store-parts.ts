import { join } from 'node:path'
import type { EpochMs } from '../domain/time.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type { Semaphore } from '../platform/semaphore.ts'
import { LazyLog } from './lazy-log.ts'
import type { MasterKeys } from './master-keys.ts'
import type { Measure } from './measure.ts'
import type { OpenStream } from './open-stream.ts'
import { openSegmentLog, type SegmentLogOptions } from './segment-log.ts'
import type { ShardLog } from './shard-log.ts'
import { Shard, toShardId } from './shard.ts'
import type { StreamCipher } from './stream-cipher.ts'
import type { ShardRow, StreamRow } from './stream-rows.ts'
import { createUnreadableLog } from './unreadable-log.ts'

export type DataStreamsParts = {
  /** Holds a folder per stream generation; appears with the first record. */
  readonly directory: string
  readonly meta: MetaStore
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
  /** Default: none, and no stream can be encrypted. */
  readonly masterKeys?: MasterKeys
}

export type DataStreamsOptions = {
  /** Open shards of all streams together. */
  readonly maxShards: number
  /** How often segments that expired are removed. Readers never see an expired record anyway. */
  readonly trimIntervalMs: number
  /**
   * The limits per shard: refuse what is over them, only count it, or neither. In force for the
   * Kinesis API's records and polls, and for subscriptions.
   */
  readonly capacity: 'enforce' | 'report' | 'off'
  /** Whether to refuse what goes beyond the quotas of the service on changes and on-demand streams. */
  readonly quotas: 'enforce' | 'off'
  readonly segment: Partial<SegmentLogOptions>
}

/** What the parts of the store share. */
export type StoreParts = DataStreamsParts & {
  readonly options: DataStreamsOptions
  readonly measure: Measure
  /** What the logs of all shards have in common: {@link SegmentLogOptions.commits}. */
  readonly commits: Semaphore
}

/** Shards at work; their logs are opened when they are needed. */
export function openShards(
  parts: StoreParts,
  stream: StreamRow,
  rows: readonly ShardRow[],
  cipher: StreamCipher,
): Shard[] {
  const shardParts = { now: parts.clock.now(), cipher }
  return rows.map((row) => {
    return new Shard(row, new LazyLog(() => openLog(parts, stream, row)), shardParts)
  })
}

async function openLog(parts: StoreParts, stream: StreamRow, row: ShardRow): Promise<ShardLog> {
  const { events, metrics, options } = parts
  const names = { stream: stream.name, shardId: toShardId(row.number) }
  try {
    return await openSegmentLog(folderOfShard(parts, stream.createdAt, row.number), {
      commits: parts.commits,
      onSync: (seconds) => metrics.datastreamSyncSeconds.observe(seconds),
      onDamage: (damage) => events.shardLogDamaged({ ...names, ...damage }),
      onCut: (cut) => events.shardLogRecovered({ ...names, ...cut }),
      ...options.segment,
    })
  } catch (error) {
    // The other shards must go on; this one answers everybody with what is wrong with it.
    parts.log.error({ ...names, err: error }, 'a shard log cannot be opened')
    return createUnreadableLog(error)
  }
}

/** Logs that are opened at the same time. */
const OPENING = 16

/** Opens the logs that nobody needed yet, so that the first who does need not wait. Never rejects. */
export async function openLogs(streams: Iterable<OpenStream>, signal: AbortSignal): Promise<void> {
  const shards = [...streams].flatMap((stream) => stream.shards)
  for (let i = 0; i < shards.length && !signal.aborted; i += OPENING) {
    await Promise.all(shards.slice(i, i + OPENING).map(({ log }) => log.opened()))
  }
}

/** Of a generation of a stream. */
export function folderOf({ directory }: StoreParts, createdAt: EpochMs): string {
  return join(directory, String(createdAt))
}

export function folderOfShard(parts: StoreParts, createdAt: EpochMs, number: number): string {
  return join(folderOf(parts, createdAt), String(number))
}
