import { epochMs, type EpochMs } from '../domain/time.ts'
import type { MetaBatch, MetaKey, MetaStore } from '../platform/meta-store.ts'
import type { DataStreams, StreamChoices } from './data-streams.ts'
import { splitHashSpace, type HashRange } from './hash-range.ts'

/**
 * What the metadata store holds of the streams.
 *
 * ```
 * datastream generation                      latest creation time given out
 * datastream stream  <name>                  StreamRow
 * datastream shard   <created at> <number>   ShardRow
 * datastream garbage <created at>            the files of this generation are to be removed
 * datastream garbage <created at> <number>   those of this shard of it
 * ```
 *
 * A stream's creation time, in milliseconds and never given out twice, names its generation: the
 * folder, the shard rows, and what iterators are bound to. Shards have rows of their own, so that a
 * split is one commit of three small rows.
 */
export type StreamRow = StreamChoices & {
  readonly name: string
  readonly createdAt: EpochMs
  readonly retentionHours: number
  /** What arrived before had expired when the retention was last made longer: it stays so. */
  readonly expiredBefore: EpochMs
  /** Number of the next shard: numbers are never given out twice. */
  readonly nextShard: number
  /** Changes of the last day that are counted against a quota. */
  readonly counted: readonly CountedChange[]
}

export type CountedChange = {
  readonly kind: 'mode' | 'shard-count' | 'start-encryption' | 'stop-encryption'
  readonly at: EpochMs
}

export type ShardRow = {
  readonly number: number
  readonly range: HashRange
  readonly createdAt: EpochMs
  /** Numbers of the shards it came from: none, one (split) or two (merge). */
  readonly parents: readonly number[]
  /** `null` while it is open. */
  readonly closedAt: EpochMs | null
}

/** What arrived before it has expired. */
export function horizonOf(
  { retentionHours, expiredBefore }: Pick<StreamRow, 'retentionHours' | 'expiredBefore'>,
  now: EpochMs,
): EpochMs {
  return epochMs(Math.max(expiredBefore, now - retentionHours * 3_600_000))
}

const ROOT = 'datastream'
const generationKey: MetaKey = [ROOT, 'generation']
const streamKey = (name: string): MetaKey => [ROOT, 'stream', name]
const shardKey = (createdAt: EpochMs, number: number): MetaKey => [ROOT, 'shard', createdAt, number]
const garbageKey = (createdAt: EpochMs, number?: number): MetaKey =>
  number === undefined ? [ROOT, 'garbage', createdAt] : [ROOT, 'garbage', createdAt, number]

const DEFAULT_RETENTION_HOURS = 24
const DEFAULT_CHOICES: StreamChoices = {
  mode: 'PROVISIONED',
  maxRecordKiB: 1024,
  tags: {},
  distribution: 'USER_PARTITION_KEY',
  warmMiBps: 0,
  shardLevelMetrics: [],
  policy: null,
  encryption: null,
}

export type StoredStream = { readonly stream: StreamRow; readonly shards: readonly ShardRow[] }

export async function readStreams(meta: MetaStore): Promise<readonly StoredStream[]> {
  const stored: StoredStream[] = []
  for await (const { value } of meta.entries<StreamRowOfAnyAge>({ prefix: [ROOT, 'stream'] })) {
    const shards: ShardRow[] = []
    const rows = meta.entries<ShardRow>({ prefix: [ROOT, 'shard', value.createdAt] })
    for await (const row of rows) shards.push(row.value)
    const stream = { ...addedLater(shards), ...value }
    // Conditions compare whole rows, so what is in memory must be what is stored.
    if (Object.keys(stream).length > Object.keys(value).length) {
      await meta.commit({ puts: [{ key: streamKey(stream.name), value: stream }] })
    }
    stored.push({ stream, shards })
  }
  return stored
}

/** Members that rows of earlier versions lack. */
function addedLater(shards: readonly ShardRow[]) {
  return { ...DEFAULT_CHOICES, nextShard: shards.length, counted: [], expiredBefore: epochMs(0) }
}
type StreamRowOfAnyAge = Omit<StreamRow, keyof ReturnType<typeof addedLater>> & Partial<StreamRow>

/** Files that may still be there: of a deleted stream, or of one shard of it (`number`). */
export type Garbage = { readonly createdAt: EpochMs; readonly number: number | null }

export async function readGarbage(meta: MetaStore): Promise<readonly Garbage[]> {
  const garbage: Garbage[] = []
  for await (const { key } of meta.entries({ prefix: [ROOT, 'garbage'] })) {
    const [, , createdAt, number] = key
    garbage.push({
      createdAt: epochMs(Number(createdAt)),
      number: number === undefined ? null : Number(number),
    })
  }
  return garbage
}

/** A creation time later than every one before, even when the clock went back. */
export function planGeneration(meta: MetaStore, now: EpochMs): EpochMs {
  return epochMs(Math.max(now, (meta.get<number>(generationKey) ?? 0) + 1))
}

export function planCreation(
  { name, shardCount, retentionHours, ...choices }: Parameters<DataStreams['create']>[0],
  createdAt: EpochMs,
): StoredStream {
  return {
    stream: {
      ...DEFAULT_CHOICES,
      ...choices,
      ...{ name, createdAt, nextShard: shardCount, counted: [], expiredBefore: epochMs(0) },
      retentionHours: retentionHours ?? DEFAULT_RETENTION_HOURS,
    },
    shards: splitHashSpace(shardCount).map((range, number) => ({
      number,
      range,
      createdAt,
      parents: [],
      closedAt: null,
    })),
  }
}

export function creationBatch({ stream, shards }: StoredStream): MetaBatch {
  return {
    conditions: [{ key: streamKey(stream.name), equals: null }],
    puts: [
      { key: generationKey, value: stream.createdAt },
      { key: streamKey(stream.name), value: stream },
      ...shards.map((shard) => ({ key: shardKey(stream.createdAt, shard.number), value: shard })),
    ],
  }
}

export function updateBatch(before: StreamRow, after: StreamRow): MetaBatch {
  return {
    conditions: [{ key: streamKey(before.name), equals: before }],
    puts: [{ key: streamKey(before.name), value: after }],
  }
}

/** Rows of shards that end and of shards that begin, and the stream's, in one step. */
export function reshardBatch(
  before: StreamRow,
  after: StreamRow,
  shards: readonly ShardRow[],
): MetaBatch {
  return {
    conditions: [{ key: streamKey(before.name), equals: before }],
    puts: [
      { key: streamKey(after.name), value: after },
      ...shards.map((shard) => ({ key: shardKey(after.createdAt, shard.number), value: shard })),
    ],
  }
}

export function expiredShardBatch({ name, createdAt }: StreamRow, shard: ShardRow): MetaBatch {
  const key = shardKey(createdAt, shard.number)
  return {
    conditions: [{ key, equals: shard }],
    deletes: [key],
    puts: [{ key: garbageKey(createdAt, shard.number), value: name }],
  }
}

export function shardGarbageGoneBatch(createdAt: EpochMs, number: number): MetaBatch {
  return { deletes: [garbageKey(createdAt, number)] }
}

/** The garbage row comes with the deletion, so that no crash leaves files that nobody knows. */
export function deletionBatch(
  { stream, shards }: StoredStream,
  others: readonly MetaKey[],
): MetaBatch {
  return {
    conditions: [{ key: streamKey(stream.name), equals: stream }],
    deletes: [
      streamKey(stream.name),
      ...shards.map((shard) => shardKey(stream.createdAt, shard.number)),
      ...others,
    ],
    puts: [{ key: garbageKey(stream.createdAt), value: stream.name }],
  }
}

export function garbageGoneBatch(createdAt: EpochMs): MetaBatch {
  return { deletes: [garbageKey(createdAt)] }
}
