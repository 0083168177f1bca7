import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type {
  DataStreamInfo,
  DataStreams,
  DataStreamSettings,
  IteratorStart,
  PutResult,
  ReadLimits,
  ReadResult,
  RecordToPut,
  ShardPosition,
  StoredRecord,
} from './data-streams.ts'
import { hashPartitionKey, parseHashKey } from './hash-range.ts'
import { nodeDisk, type LogDisk } from './log-disk.ts'
import { PartialPutError } from './partial-put-error.ts'
import { lastWhere } from './segment-index.ts'
import { openSegmentLog, type SegmentLogOptions } from './segment-log.ts'
import { parseSequenceNumber } from './sequence-number.ts'
import { Shard, toHorizon, toSeconds, toShardId } from './shard.ts'
import type { LogEntryToAppend } from './shard-log.ts'
import { createUnreadableLog } from './unreadable-log.ts'
import {
  creationBatch,
  deletionBatch,
  garbageGoneBatch,
  planCreation,
  planGeneration,
  readGarbage,
  readStreams,
  updateBatch,
  type ShardRow,
  type StoredStream,
  type StreamRow,
} from './stream-rows.ts'

export type DataStreamsParts = {
  /** Holds a folder per stream generation; appears with the first record. */
  readonly directory: string
  readonly meta: MetaStore
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
}

export type DataStreamsOptions = {
  /** Open shards of all streams together. */
  readonly maxShards: number
  /** How often segments that expired are removed. Readers never see an expired record anyway. */
  readonly trimIntervalMs: number
  readonly segment: Partial<SegmentLogOptions>
}

const DEFAULTS: DataStreamsOptions = { maxShards: 10_000, trimIntervalMs: 60_000, segment: {} }
/** Logs that are opened at the same time at start. */
const OPENING = 16

/** Opens the streams that `meta` names and finishes deletions that a crash interrupted. */
export async function openDataStreams(
  parts: DataStreamsParts,
  options: Partial<DataStreamsOptions> = {},
): Promise<DataStreams> {
  const streams = new SegmentedDataStreams(parts, { ...DEFAULTS, ...options })
  await streams.start()
  return streams
}

/** One generation of a stream at work. */
type OpenStream = {
  row: StreamRow
  readonly shards: readonly Shard[]
  readonly byId: ReadonlyMap<string, Shard>
  /** Open shards in the order of their hash ranges, which cover the space without a gap. */
  readonly byHash: readonly Shard[]
  /** Aborts when the stream is deleted. */
  readonly gone: AbortController
}

class SegmentedDataStreams implements DataStreams {
  readonly #parts: DataStreamsParts
  readonly #options: DataStreamsOptions
  readonly #disk: LogDisk
  readonly #streams = new Map<string, OpenStream>()
  /** Names whose creation or deletion is on its way. */
  readonly #busy = new Set<string>()
  /** Shards of streams being created, so that the limit holds meanwhile. */
  #shardsOnTheWay = 0
  #creating: Promise<unknown> = Promise.resolve()
  readonly #stopping = new AbortController()
  #trimming: Promise<void> = Promise.resolve()

  constructor(parts: DataStreamsParts, options: DataStreamsOptions) {
    this.#parts = parts
    this.#options = options
    this.#disk = options.segment.disk ?? nodeDisk
  }

  async start(): Promise<void> {
    for (const createdAt of await readGarbage(this.#parts.meta)) await this.#removeFiles(createdAt)
    for (const stored of await readStreams(this.#parts.meta)) {
      this.#streams.set(stored.stream.name, await this.#open(stored))
    }
    this.#trimming = this.#trimForever(this.#stopping.signal)
  }

  async #open({ stream, shards }: StoredStream): Promise<OpenStream> {
    const opened: Shard[] = []
    for (let i = 0; i < shards.length; i += OPENING) {
      const some = shards.slice(i, i + OPENING)
      opened.push(...(await Promise.all(some.map((row) => this.#openShard(stream, row)))))
    }
    const byHash = opened
      .filter((shard) => shard.row.closedAt === null)
      .sort((a, b) => (a.row.range.from < b.row.range.from ? -1 : 1))
    const byId = new Map(opened.map((shard) => [shard.info.shardId, shard]))
    return { row: stream, shards: opened, byId, byHash, gone: new AbortController() }
  }

  async #openShard(stream: StreamRow, row: ShardRow): Promise<Shard> {
    const { events, metrics } = this.#parts
    const directory = join(this.#folderOf(stream.createdAt), String(row.number))
    const names = { stream: stream.name, shardId: toShardId(row.number) }
    try {
      const log = await openSegmentLog(directory, {
        onSync: (seconds) => metrics.datastreamSyncSeconds.observe(seconds),
        onCut: (cut) => events.shardLogRecovered({ ...names, ...cut }),
        ...this.#options.segment,
      })
      return new Shard(row, log)
    } catch (error) {
      // The other shards must start; this one answers everybody with what is wrong with it.
      this.#parts.log.error({ ...names, err: error }, 'a shard log cannot be opened')
      return new Shard(row, createUnreadableLog(error))
    }
  }

  #folderOf(createdAt: EpochMs): string {
    return join(this.#parts.directory, String(createdAt))
  }

  async create(options: Parameters<DataStreams['create']>[0]): Promise<void> {
    const { name, shardCount } = options
    if (this.#streams.has(name) || this.#busy.has(name)) throw nameTaken(name)
    const current = this.#openShardCount() + this.#shardsOnTheWay
    if (current + shardCount > this.#options.maxShards) {
      throw new ServiceError(
        'limit-exceeded',
        'LimitExceededException',
        'This request would exceed the shard limit for the account. ' +
          `Current shard count for the account: ${current}. Limit: ${this.#options.maxShards}. ` +
          `Number of additional shards that would have resulted from this request: ${shardCount}.`,
      )
    }
    this.#busy.add(name)
    this.#shardsOnTheWay += shardCount
    try {
      // In turn: two creations must not be given the same time.
      const created = this.#creating.then(async () => {
        const createdAt = planGeneration(this.#parts.meta, this.#parts.clock.now())
        const stored = planCreation(options, createdAt)
        if (!(await this.#parts.meta.commit(creationBatch(stored)))) throw nameTaken(name)
        return stored
      })
      this.#creating = created.catch(() => undefined)
      this.#streams.set(name, await this.#open(await created))
    } finally {
      this.#busy.delete(name)
      this.#shardsOnTheWay -= shardCount
    }
  }

  #openShardCount(): number {
    let count = 0
    for (const stream of this.#streams.values()) count += stream.byHash.length
    return count
  }

  /**
   * 1. the row is gone and the garbage row is there, in one step; 2. readers and writers are told;
   * 3. the files are removed; 4. the garbage row. A crash after 1 is finished by the next start.
   */
  async delete(name: string): Promise<void> {
    const stream = this.#find(name)
    if (this.#busy.has(name)) throw nameTaken(name)
    this.#busy.add(name)
    try {
      const shards = stream.shards.map((shard) => shard.row)
      if (!(await this.#parts.meta.commit(deletionBatch({ stream: stream.row, shards })))) {
        throw notFound(name)
      }
      this.#streams.delete(name)
      stream.gone.abort(notFound(name))
      for (const shard of stream.shards) await shard[Symbol.asyncDispose]()
      await this.#removeFiles(stream.row.createdAt)
    } finally {
      this.#busy.delete(name)
    }
  }

  async #removeFiles(createdAt: EpochMs): Promise<void> {
    await rm(this.#folderOf(createdAt), { recursive: true, force: true })
    await this.#disk.syncDirectory(this.#parts.directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error // nothing was ever put
    })
    await this.#parts.meta.commit(garbageGoneBatch(createdAt))
  }

  async update(
    name: string,
    change: { retentionHours?: number; tags?: Readonly<Record<string, string>> },
  ): Promise<void> {
    const stream = this.#find(name)
    const after: StreamRow = {
      ...stream.row,
      retentionHours: change.retentionHours ?? stream.row.retentionHours,
      tags: change.tags ?? stream.row.tags,
    }
    if (!(await this.#parts.meta.commit(updateBatch(stream.row, after)))) {
      throw new ServiceError(
        'conflict',
        'ResourceInUseException',
        `Stream ${name} is being changed by another request.`,
      )
    }
    stream.row = after
  }

  list(): readonly string[] {
    return [...this.#streams.keys()].sort()
  }

  describe(name: string): DataStreamInfo {
    const { row, shards } = this.#find(name)
    const horizon = this.#horizonOf(row)
    return {
      name,
      status: this.#busy.has(name) ? 'DELETING' : 'ACTIVE',
      createdAt: row.createdAt,
      retentionHours: row.retentionHours,
      shards: shards
        .filter(({ row: { closedAt } }) => closedAt === null || closedAt >= horizon)
        .map((shard) => shard.info),
    }
  }

  settings(name: string): DataStreamSettings {
    const { row } = this.#find(name)
    return { maxRecordBytes: row.maxRecordKiB * 1024, tags: row.tags }
  }

  #find(name: string): OpenStream {
    const stream = this.#streams.get(name)
    if (stream === undefined) throw notFound(name)
    return stream
  }

  #findShard(stream: OpenStream, shardId: string): Shard {
    const shard = stream.byId.get(shardId)
    if (shard !== undefined) return shard
    throw new ServiceError(
      'not-found',
      'ResourceNotFoundException',
      `Could not find shard ${shardId} in stream ${stream.row.name}.`,
      { context: { stream: stream.row.name, shardId } },
    )
  }

  #horizonOf(row: StreamRow): EpochMs {
    return toHorizon(this.#parts.clock.now(), row.retentionHours)
  }

  async put(name: string, records: readonly RecordToPut[]): Promise<readonly PutResult[]> {
    const stream = this.#find(name)
    refuseTooLarge(stream.row, records)
    const arrivedAt = this.#parts.clock.now()
    const results = new Array<PutResult | null>(records.length).fill(null)
    const shares = shareOut(stream, records)
    const outcomes = await Promise.allSettled(
      [...shares].map(async ([shard, positions]) => {
        const batch = positions.map((i) => toEntry(records[i]!, arrivedAt))
        const numbers = await this.#append(stream, shard, batch)
        const { shardId } = shard.info
        positions.forEach((position, i) => {
          results[position] = { shardId, sequenceNumber: numbers[i]! }
        })
      }),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed === undefined) return results as PutResult[]
    if (results.every((result) => result === null)) throw failed.reason
    throw new PartialPutError(results, failed.reason)
  }

  async #append(stream: OpenStream, shard: Shard, batch: readonly LogEntryToAppend[]) {
    const { name } = stream.row
    try {
      const numbers = await shard.append(batch)
      this.#parts.metrics.datastreamRecordsIn.inc({ stream: name }, batch.length)
      const bytes = batch.reduce((sum, { key, data }) => sum + key.length + data.byteLength, 0)
      this.#parts.metrics.datastreamBytesIn.inc({ stream: name }, bytes)
      return numbers
    } catch (error) {
      stream.gone.signal.throwIfAborted()
      const { shardId } = shard.info
      this.#parts.events.recordsNotStored({ stream: name, shardId, count: batch.length, error })
      throw error
    }
  }

  async seek(name: string, shardId: string, start: IteratorStart): Promise<ShardPosition> {
    const stream = this.#find(name)
    const shard = this.#findShard(stream, shardId)
    const index = await ofStream(stream, () => this.#indexAt(stream, shard, start))
    return { stream: name, streamCreatedAt: stream.row.createdAt, shardId, index }
  }

  async #indexAt(stream: OpenStream, shard: Shard, start: IteratorStart): Promise<number> {
    switch (start.type) {
      case 'TRIM_HORIZON':
        return shard.log.seekTime(this.#horizonOf(stream.row))
      case 'LATEST':
        return shard.log.nextIndex
      case 'AT_TIMESTAMP':
        refuseFuture(start.timestamp, this.#parts.clock.now())
        return shard.log.seekTime(start.timestamp)
      case 'AT_SEQUENCE_NUMBER':
        return indexOfNumber(stream.row, shard, start.sequenceNumber)
      case 'AFTER_SEQUENCE_NUMBER':
        return indexOfNumber(stream.row, shard, start.sequenceNumber, 1)
    }
  }

  async read(position: ShardPosition, limits: ReadLimits): Promise<ReadResult> {
    const stream = this.#generationOf(position)
    const shard = this.#findShard(stream, position.shardId)
    const { records, next } = await ofStream(stream, () =>
      shard.read(position.index, limits, this.#horizonOf(stream.row)),
    )
    this.#parts.metrics.datastreamRecordsOut.inc({ stream: position.stream }, records.length)
    const caughtUp = next >= shard.log.nextIndex
    const now = this.#parts.clock.now()
    const reached = records.at(-1)?.arrivedAt ?? toHorizon(now, stream.row.retentionHours)
    return {
      records,
      next: caughtUp && shard.row.closedAt !== null ? null : { ...position, index: next },
      // 0 means caught up and nothing else, even within one millisecond.
      millisBehindLatest: caughtUp ? 0 : Math.max(1, now - reached),
    }
  }

  #generationOf(position: ShardPosition): OpenStream {
    const stream = this.#find(position.stream)
    if (stream.row.createdAt !== position.streamCreatedAt) throw notFound(position.stream)
    return stream
  }

  async waitAt(position: ShardPosition, signal: AbortSignal): Promise<void> {
    const stream = this.#generationOf(position)
    await this.#findShard(stream, position.shardId).waitFor(position.index, signal)
  }

  async newest(name: string, count: number): Promise<readonly StoredRecord[]> {
    const stream = this.#find(name)
    const horizon = this.#horizonOf(stream.row)
    const tails = await ofStream(stream, () =>
      Promise.all(stream.shards.map((shard) => shard.readTail(count, horizon))),
    )
    // Each tail is reversed first: the sort is stable, so records of one shard and one millisecond
    // come newest first too.
    return tails
      .flatMap((tail) => tail.toReversed())
      .sort((a, b) => b.arrivedAt - a.arrivedAt)
      .slice(0, count)
  }

  async #trimForever(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#parts.clock.sleep(this.#options.trimIntervalMs, signal)
        for (const stream of this.#streams.values()) {
          signal.throwIfAborted()
          await this.#trim(stream)
        }
      }
    } catch (error) {
      if (!signal.aborted) this.#parts.log.error({ err: error }, 'trimming ended')
    }
  }

  async #trim(stream: OpenStream): Promise<void> {
    const horizon = this.#horizonOf(stream.row)
    for (const shard of stream.shards) {
      try {
        await shard.log.trimBefore(horizon)
      } catch (error) {
        if (stream.gone.signal.aborted) return
        const { shardId } = shard.info
        this.#parts.log.warn({ stream: stream.row.name, shardId, err: error }, 'trimming failed')
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the data streams are closed'))
    await this.#trimming
    await this.#creating
    for (const stream of this.#streams.values()) {
      for (const shard of stream.shards) await shard[Symbol.asyncDispose]()
    }
  }
}

/** Positions in the request, by the shard that takes the record. */
function shareOut(stream: OpenStream, records: readonly RecordToPut[]): Map<Shard, number[]> {
  const shares = new Map<Shard, number[]>()
  records.forEach((record, i) => {
    const shard = shardOf(stream.byHash, record)
    const share = shares.get(shard)
    if (share === undefined) shares.set(shard, [i])
    else share.push(i)
  })
  return shares
}

function shardOf(byHash: readonly Shard[], record: RecordToPut): Shard {
  const { explicitHashKey } = record
  if (explicitHashKey === undefined && byHash.length === 1) return byHash[0]!
  const digits =
    explicitHashKey === undefined
      ? hashPartitionKey(record.partitionKey)
      : parseHashKey(explicitHashKey)
  return byHash[lastWhere(byHash, (shard) => shard.row.range.from <= digits)]!
}

function toEntry(record: RecordToPut, arrivedAt: EpochMs): LogEntryToAppend {
  return { key: record.partitionKey, data: record.data, arrivedAt }
}

/** Runs `job`; a failure because the stream was deleted meanwhile says so. */
async function ofStream<T>(stream: OpenStream, job: () => Promise<T>): Promise<T> {
  try {
    return await job()
  } catch (error) {
    stream.gone.signal.throwIfAborted()
    throw error
  }
}

/** Index of the record `beyond` records after the one with this number, within the shard. */
function indexOfNumber(row: StreamRow, shard: Shard, text: string, beyond = 0): number {
  const number = parseSequenceNumber(text)
  if (
    number.shardNumber !== shard.row.number ||
    number.shardCreatedAt !== toSeconds(shard.row.createdAt)
  ) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      `StartingSequenceNumber ${text} used in GetShardIterator on shard ${shard.info.shardId} in ` +
        `stream ${row.name} is invalid because it did not come from this stream.`,
    )
  }
  return Math.min(Math.max(0, number.index + beyond), shard.log.nextIndex)
}

function refuseTooLarge(row: StreamRow, records: readonly RecordToPut[]): void {
  const most = row.maxRecordKiB * 1024
  for (const { data, partitionKey } of records) {
    const bytes = data.byteLength + Buffer.byteLength(partitionKey)
    if (bytes <= most) continue
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      `A record of ${bytes} bytes, its partition key included, exceeds the ${most} bytes of the stream.`,
    )
  }
}

function refuseFuture(timestamp: EpochMs, now: EpochMs): void {
  if (timestamp <= now) return
  throw new ServiceError(
    'invalid-argument',
    'InvalidArgumentException',
    'The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. ' +
      `timestampInMillis: ${timestamp}, currentTimestampInMillis: ${now}`,
  )
}

function nameTaken(name: string): ServiceError {
  return new ServiceError(
    'conflict',
    'ResourceInUseException',
    `Stream ${name} already exists or is being created or deleted.`,
    { context: { stream: name } },
  )
}

function notFound(name: string): ServiceError {
  return new ServiceError('not-found', 'ResourceNotFoundException', `Stream ${name} not found.`, {
    context: { stream: name },
  })
}
