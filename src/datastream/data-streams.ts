import type { EpochMs } from '../domain/time.ts'
import type { AccountSettings } from './account-settings.ts'
import type { StreamConsumers } from './stream-consumers.ts'

/**
 * The store of Records: named streams of shards on a durable log. Semantics as in Amazon Kinesis
 * Data Streams; the wire is `api/kinesis`. Errors are ServiceErrors whose `code` is the service's
 * exception name.
 */
export interface DataStreams extends AsyncDisposable {
  /** @throws `conflict`/`ResourceInUseException` when the name is taken */
  create(
    options: { name: string; shardCount: number; retentionHours?: number } & Partial<StreamChoices>,
  ): Promise<void>
  /** Its consumers go with it. @throws `conflict`/`ResourceInUseException` when it is not ACTIVE */
  delete(name: string): Promise<void>
  /**
   * Changes settings; what is absent stays.
   *
   * @throws `limit-exceeded`/`LimitExceededException` when quotas are enforced and this has been changed
   *   too often today, or there are too many on-demand streams
   */
  update(name: string, change: { retentionHours?: number } & Partial<StreamChoices>): Promise<void>
  /** Names in order. */
  list(): readonly string[]
  /** @throws `not-found`/`ResourceNotFoundException` */
  describe(name: string): DataStreamInfo
  /** @throws `not-found`/`ResourceNotFoundException` */
  settings(name: string): DataStreamSettings
  /**
   * SplitShard: the key, decimal, and what is above go to the second of two children.
   *
   * @throws `conflict`/`ResourceInUseException` when the stream is not ACTIVE,
   *   `invalid-argument`/`InvalidArgumentException`, `limit-exceeded`/`LimitExceededException`
   */
  split(name: string, shardId: string, newStartingHashKey: string): Promise<void>
  /** MergeShards: two neighbours become one child. @throws as {@link split} */
  merge(name: string, shardId: string, adjacentShardId: string): Promise<void>
  /** UpdateShardCount: ends with so many open shards of equal ranges. @throws as {@link split} */
  scale(name: string, shardCount: number): Promise<void>
  /**
   * Puts records; resolves when all are on disk (group commit). The answer has the request's order. Their data
   * must not change until then, and may when the promise has settled.
   *
   * @throws PartialPutError when some shards stored their records and others did not
   */
  put(name: string, records: readonly RecordToPut[]): Promise<readonly PutResult[]>
  /** As {@link put}, but each record answers for itself. */
  putEach(name: string, records: readonly RecordToPut[]): Promise<readonly PutOutcome[]>
  /** What all streams together have and may have. */
  limits(): {
    readonly openShards: number
    readonly maxShards: number
    readonly onDemandStreams: number
    readonly maxOnDemandStreams: number
  }
  readonly account: AccountSettings
  /** Where an iterator of the given kind starts. Positions are plain values; the edge seals them. */
  seek(name: string, shardId: string, start: IteratorStart): Promise<ShardPosition>
  /**
   * As {@link seek}, within what an open shard gives out to pollers.
   *
   * @throws `limit-exceeded`/`ProvisionedThroughputExceededException` where limits are enforced
   */
  seekToPoll(name: string, shardId: string, start: IteratorStart): Promise<ShardPosition>
  read(position: ShardPosition, limits: ReadLimits): Promise<ReadResult>
  /**
   * As {@link read}, within what pollers of a shard may have together.
   *
   * @throws `limit-exceeded`/`ProvisionedThroughputExceededException` where limits are enforced
   */
  poll(position: ShardPosition, limits: ReadLimits): Promise<ReadResult>
  /** The applications that are registered for enhanced fan-out. */
  consumers(name: string): StreamConsumers
  /**
   * SubscribeToShard: a shard's records as they come, for five minutes at most; without records, an
   * event every five seconds. Another subscription of the consumer to the shard takes over.
   *
   * @param signal ends it
   * @throws `not-found`/`ResourceNotFoundException`; `conflict`/`ResourceInUseException` within five
   *   seconds of the last subscription, and from the iterable when another one takes over
   */
  subscribe(
    name: string,
    to: { readonly consumer: string; readonly shardId: string; readonly start: IteratorStart },
    signal: AbortSignal,
  ): Promise<AsyncIterable<SubscriptionEvent>>
  /** Resolves when a record at or after the position exists or the shard is closed. */
  waitAt(position: ShardPosition, signal: AbortSignal): Promise<void>
  /** Bytes that a stream takes on the disk: records that expired until they are trimmed, too. */
  storedBytes(name: string): Promise<number>
  /** The last `count` records of a stream by arrival, newest first. */
  newest(name: string, count: number): Promise<readonly StoredRecord[]>
}

export type RecordToPut = {
  readonly data: Uint8Array
  /** Empty: none was given, which a stream of `AUTO` distribution allows. */
  readonly partitionKey: string
  /** Decimal, 0..2^128-1. */
  readonly explicitHashKey?: string
}
export type PutResult = { readonly shardId: string; readonly sequenceNumber: string }
export type PutOutcome = PutResult | { readonly shardId: string; readonly error: unknown }

export type StoredRecord = {
  /** 56 decimal digits. */
  readonly sequenceNumber: string
  readonly partitionKey: string
  readonly data: Uint8Array
  readonly arrivedAt: EpochMs
  /** It is encrypted on the disk. */
  readonly isEncrypted?: boolean
}

export type DataStreamStatus = 'CREATING' | 'ACTIVE' | 'UPDATING' | 'DELETING'

export type DataStreamInfo = {
  readonly name: string
  readonly status: DataStreamStatus
  readonly createdAt: EpochMs
  readonly retentionHours: number
  /** What arrived before has expired. */
  readonly horizon: EpochMs
  /** In order of their number; without those whose last record has expired. */
  readonly shards: readonly ShardInfo[]
}
/** What a stream's owner chose, besides its name, shards and retention. */
export type StreamChoices = {
  readonly mode: CapacityMode
  /** Largest record, data and key together, 1024 to 10,240. */
  readonly maxRecordKiB: number
  /** All tags: a change replaces them. */
  readonly tags: Readonly<Record<string, string>>
  /** `AUTO`: keys do not decide the shard. */
  readonly distribution: 'USER_PARTITION_KEY' | 'AUTO'
  /** On-demand: what the stream is ready for, whatever its traffic was; 0: what its traffic says. */
  readonly warmMiBps: number
  readonly shardLevelMetrics: readonly ShardLevelMetric[]
  /** Resource policy, JSON text. */
  readonly policy: string | null
  /** What is put from now on is encrypted with data keys that this key wraps. */
  readonly encryption: { readonly keyId: string } | null
}
export type DataStreamSettings = StreamChoices

export type CapacityMode = 'PROVISIONED' | 'ON_DEMAND'

export const SHARD_LEVEL_METRICS = [
  'IncomingBytes',
  'IncomingRecords',
  'OutgoingBytes',
  'OutgoingRecords',
  'WriteProvisionedThroughputExceeded',
  'ReadProvisionedThroughputExceeded',
  'IteratorAgeMilliseconds',
] as const
export type ShardLevelMetric = (typeof SHARD_LEVEL_METRICS)[number]
export type ShardInfo = {
  readonly shardId: string
  readonly parentShardId: string | null
  readonly adjacentParentShardId: string | null
  /** Decimal strings. */
  readonly startingHashKey: string
  readonly endingHashKey: string
  readonly startingSequenceNumber: string
  readonly endingSequenceNumber: string | null
}

export type IteratorStart =
  | { readonly type: 'TRIM_HORIZON' | 'LATEST' }
  | {
      readonly type: 'AT_SEQUENCE_NUMBER' | 'AFTER_SEQUENCE_NUMBER'
      readonly sequenceNumber: string
    }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestamp: EpochMs }

/** The next record to read in one shard of one generation of a stream. */
export type ShardPosition = {
  readonly stream: string
  readonly streamCreatedAt: EpochMs
  readonly shardId: string
  /** Record index in the shard, from 0. */
  readonly index: number
}
export type ReadLimits = { readonly maxRecords: number; readonly maxBytes: number }
export type ReadResult = {
  readonly records: readonly StoredRecord[]
  /** `null` when the shard is closed and read to its end. */
  readonly next: ShardPosition | null
  readonly millisBehindLatest: number
}

/** What a subscriber is pushed. */
export type SubscriptionEvent = {
  readonly records: readonly StoredRecord[]
  readonly millisBehindLatest: number
  /** Sequence number to go on after; `null` when the shard is closed and read to its end. */
  readonly continuation: string | null
}
