import { join } from 'node:path'
import type { EpochMs } from '../domain/time.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type { MasterKeys } from './master-keys.ts'
import type { Measure } from './measure.ts'
import { openSegmentLog, type SegmentLogOptions } from './segment-log.ts'
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
}

/** Logs that are opened at the same time. */
const OPENING = 16

export async function openShards(
  parts: StoreParts,
  stream: StreamRow,
  rows: readonly ShardRow[],
  cipher: StreamCipher,
): Promise<Shard[]> {
  const opened: Shard[] = []
  for (let i = 0; i < rows.length; i += OPENING) {
    const some = rows.slice(i, i + OPENING)
    opened.push(...(await Promise.all(some.map((row) => openShard(parts, stream, row, cipher)))))
  }
  return opened
}

async function openShard(
  parts: StoreParts,
  stream: StreamRow,
  row: ShardRow,
  cipher: StreamCipher,
): Promise<Shard> {
  const { events, metrics, options } = parts
  const shardParts = { now: parts.clock.now(), cipher }
  const names = { stream: stream.name, shardId: toShardId(row.number) }
  try {
    const log = await openSegmentLog(folderOfShard(parts, stream.createdAt, row.number), {
      onSync: (seconds) => metrics.datastreamSyncSeconds.observe(seconds),
      onDamage: (damage) => events.shardLogDamaged({ ...names, ...damage }),
      onCut: (cut) => events.shardLogRecovered({ ...names, ...cut }),
      ...options.segment,
    })
    return new Shard(row, log, shardParts)
  } catch (error) {
    // The other shards must start; this one answers everybody with what is wrong with it.
    parts.log.error({ ...names, err: error }, 'a shard log cannot be opened')
    return new Shard(row, createUnreadableLog(error), shardParts)
  }
}

/** Of a generation of a stream. */
export function folderOf({ directory }: StoreParts, createdAt: EpochMs): string {
  return join(directory, String(createdAt))
}

export function folderOfShard(parts: StoreParts, createdAt: EpochMs, number: number): string {
  return join(folderOf(parts, createdAt), String(number))
}
