import type { EpochMs } from '../domain/time.ts'
import type { ReadLimits, ShardInfo, StoredRecord } from './data-streams.ts'
import { toDecimal } from './hash-range.ts'
import { END_INDEX, shardRenderer } from './sequence-number.ts'
import { RecordTail } from './record-tail.ts'
import { ShardCapacity } from './shard-capacity.ts'
import type { LazyLog } from './lazy-log.ts'
import type { LogEntry, LogEntryToAppend } from './shard-log.ts'
import { ShardTraffic } from './shard-traffic.ts'
import type { StreamCipher } from './stream-cipher.ts'
import type { ShardRow } from './stream-rows.ts'

/** Records read of a shard, and the index to read next. */
export type ShardRead = { readonly records: readonly StoredRecord[]; readonly next: number }

/** What followers of the tip have in common, so that each record is read and numbered once. */
const MAX_TAIL_BYTES = 4 * 1024 * 1024

type Waiter = { readonly index: number; readonly wake: () => void }

export type ShardParts = { readonly now: EpochMs; readonly cipher: StreamCipher }

/** One shard at work: its row, its log, the numbers its records get, and who waits for records. */
export class Shard {
  readonly log: LazyLog
  readonly capacity: ShardCapacity
  readonly traffic: ShardTraffic
  readonly #cipher: StreamCipher
  #row: ShardRow
  #info: ShardInfo
  readonly #render: (index: number, recordedAt: number) => string
  readonly #waiters = new Set<Waiter>()
  readonly #appending = new Set<Promise<unknown>>()
  readonly #followers = new Set<() => void>()
  readonly #tail = new RecordTail(MAX_TAIL_BYTES)

  constructor(row: ShardRow, log: LazyLog, { now, cipher }: ShardParts) {
    this.log = log
    this.#cipher = cipher
    this.capacity = new ShardCapacity(now)
    this.traffic = new ShardTraffic(now)
    this.#row = row
    this.#render = shardRenderer(row.number, toSeconds(row.createdAt))
    this.#info = this.#toInfo()
  }

  get row(): ShardRow {
    return this.#row
  }

  get info(): ShardInfo {
    return this.#info
  }

  /** The row of an open shard says now that it is closed: whoever waits reads to its end. */
  close(row: ShardRow): void {
    this.#row = row
    this.#info = this.#toInfo()
    this.#wakeAll()
  }

  /** @returns the sequence numbers, all durable; the data is its owner's again when it has ended */
  async append(batch: readonly LogEntryToAppend[]): Promise<readonly string[]> {
    const appended = this.log.append(batch)
    this.#appending.add(appended)
    try {
      const { first } = await appended
      const numbers = batch.map((entry, i) => this.#render(first + i, toSeconds(entry.arrivedAt)))
      if (this.#followers.size > 0) {
        this.#tail.add(
          first,
          withOwnData(batch).map((entry, i) => this.#toRecord(entry, numbers[i]!)),
        )
      }
      this.#wakeReaders()
      return numbers
    } finally {
      this.#appending.delete(appended)
    }
  }

  /** Resolves when every append that was begun has ended, well or not. */
  async appendsEnded(): Promise<void> {
    await Promise.allSettled(this.#appending)
  }

  #toInfo(): ShardInfo {
    const { number, createdAt, parents, range, closedAt } = this.#row
    return {
      shardId: toShardId(number),
      parentShardId: parents[0] === undefined ? null : toShardId(parents[0]),
      adjacentParentShardId: parents[1] === undefined ? null : toShardId(parents[1]),
      startingHashKey: toDecimal(range.from),
      endingHashKey: toDecimal(range.to),
      startingSequenceNumber: this.#render(-1, toSeconds(createdAt)),
      endingSequenceNumber: closedAt === null ? null : this.#render(END_INDEX, toSeconds(closedAt)),
    }
  }

  /** Records from `index` on that arrived at or after `horizon`. */
  async read(index: number, limits: ReadLimits, horizon: EpochMs): Promise<ShardRead> {
    const recent = this.#tail.read(index, limits, horizon)
    if (recent !== null) return { records: recent, next: index + recent.length }
    const most = { maxEntries: limits.maxRecords, maxBytes: limits.maxBytes }
    let entries = await this.log.read(index, most)
    if (entries[0] !== undefined && entries[0].arrivedAt < horizon) {
      const visible = Math.max(index, await this.log.seekTime(horizon))
      entries = await this.log.read(visible, most)
      if (entries.length === 0) return { records: [], next: visible }
    }
    const next = (entries.at(-1)?.index ?? Math.max(index, this.log.firstIndex) - 1) + 1
    // The clock may have gone back, so an entry can be older than one before it.
    const visible = entries.filter((entry) => entry.arrivedAt >= horizon)
    const sealed = visible.filter((entry) => entry.isSealed === true)
    if (sealed.length > 0) await this.#cipher.learn(sealed.map(({ data }) => data as Buffer))
    return { records: visible.map((entry) => this.#toRecord(entry, this.#numberOf(entry))), next }
  }

  /** The last `count` records, oldest first. */
  async readTail(count: number, horizon: EpochMs): Promise<readonly StoredRecord[]> {
    await this.log.opened()
    const records: StoredRecord[] = []
    const end = this.log.nextIndex
    for (let next = Math.max(this.log.firstIndex, end - count); next < end;) {
      const part = await this.read(next, { maxRecords: end - next, maxBytes: 1 << 20 }, horizon)
      records.push(...part.records)
      next = part.next
    }
    return records
  }

  #toRecord(entry: LogEntryToAppend, sequenceNumber: string): StoredRecord {
    const { arrivedAt } = entry
    if (entry.isSealed !== true) {
      return { sequenceNumber, partitionKey: entry.key, data: entry.data, arrivedAt }
    }
    const { key, data } = this.#cipher.unseal(this.#row.number, entry.data as Buffer)
    return { sequenceNumber, partitionKey: key, data, arrivedAt, isEncrypted: true }
  }

  #numberOf({ index, arrivedAt }: LogEntry): string {
    return this.#render(index, toSeconds(arrivedAt))
  }

  /** The number after which the record with this index comes, whether or not that is there yet. */
  numberBefore(index: number, now: EpochMs): string {
    return this.#render(index - 1, toSeconds(now))
  }

  /**
   * Calls `onChange` when there are more records, and when there will be none.
   *
   * @returns to be called when done
   */
  follow(onChange: () => void): () => void {
    this.#followers.add(onChange)
    return () => {
      this.#followers.delete(onChange)
      if (this.#followers.size === 0) this.#tail.clear()
    }
  }

  async waitFor(index: number, signal: AbortSignal): Promise<void> {
    await this.log.opened()
    signal.throwIfAborted()
    if (this.row.closedAt !== null || index < this.log.nextIndex) return
    await new Promise<void>((resolve, reject) => {
      const settle = (finish: () => void) => () => {
        this.#waiters.delete(waiter)
        signal.removeEventListener('abort', onAbort)
        finish()
      }
      const onAbort = settle(() => reject(signal.reason))
      const waiter: Waiter = { index, wake: settle(resolve) }
      signal.addEventListener('abort', onAbort)
      this.#waiters.add(waiter)
    })
  }

  #wakeReaders(): void {
    for (const waiter of this.#waiters) if (waiter.index < this.log.nextIndex) waiter.wake()
    for (const onChange of this.#followers) onChange()
  }

  #wakeAll(): void {
    for (const waiter of this.#waiters) waiter.wake()
    for (const onChange of this.#followers) onChange()
  }

  /** Wakes all waiters, whose next read then hears what became of the shard; closes the log. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#tail.clear()
    this.#wakeAll()
    await this.log[Symbol.asyncDispose]()
  }
}

/** Copies: what is appended lies in memory that is used again. In one piece, not in Node's pool. */
function withOwnData(batch: readonly LogEntryToAppend[]): readonly LogEntryToAppend[] {
  const sizeBytes = batch.reduce((sum, { data }) => sum + data.byteLength, 0)
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  let at = 0
  return batch.map((entry) => {
    bytes.set(entry.data, at)
    at += entry.data.byteLength
    return { ...entry, data: bytes.subarray(at - entry.data.byteLength, at) }
  })
}

export function toShardId(number: number): string {
  return `shardId-${String(number).padStart(12, '0')}`
}

export function toSeconds(time: EpochMs): number {
  return Math.floor(time / 1000)
}
