import type { EpochMs } from '../domain/time.ts'
import { TokenBucket } from '../platform/token-bucket.ts'

const MEBIBYTE = 1024 * 1024
/** Of enhanced fan-out, per consumer and shard, and of all pollers of a shard together. */
export const READ_BYTES_PER_SECOND = 2 * MEBIBYTE
const WRITE_BYTES_PER_SECOND = MEBIBYTE
const WRITE_RECORDS_PER_SECOND = 1000
const READ_CALLS_PER_SECOND = 5
const ITERATORS_PER_SECOND = 5

/** What one shard may take and give (Kinesis Data Streams, "Quotas and limits"). */
export class ShardCapacity {
  readonly #writeBytes: TokenBucket
  readonly #writeRecords: TokenBucket
  readonly #readBytes: TokenBucket
  readonly #readCalls: TokenBucket
  readonly #iterators: TokenBucket

  constructor(now: EpochMs) {
    this.#writeBytes = new TokenBucket(WRITE_BYTES_PER_SECOND, now)
    this.#writeRecords = new TokenBucket(WRITE_RECORDS_PER_SECOND, now)
    this.#readBytes = new TokenBucket(READ_BYTES_PER_SECOND, now)
    this.#readCalls = new TokenBucket(READ_CALLS_PER_SECOND, now)
    this.#iterators = new TokenBucket(ITERATORS_PER_SECOND, now)
  }

  /** Whether one record fits; it is counted if it does. */
  takeRecord(bytes: number, now: EpochMs): boolean {
    if (!this.#writeRecords.admits(1, now) || !this.#writeBytes.admits(bytes, now)) return false
    this.#writeRecords.take(1, now)
    this.#writeBytes.take(bytes, now)
    return true
  }

  /** Whether a poll may read; what it read is counted by {@link chargeRead}. */
  takePoll(now: EpochMs): boolean {
    if (!this.#readCalls.admits(1, now) || this.#readBytes.debtMs(now) > 0) return false
    this.#readCalls.take(1, now)
    return true
  }

  /** Whether an iterator may be given out; it is counted if it may. */
  takeIterator(now: EpochMs): boolean {
    if (!this.#iterators.admits(1, now)) return false
    this.#iterators.take(1, now)
    return true
  }

  chargeRead(bytes: number, now: EpochMs): void {
    this.#readBytes.take(bytes, now)
  }
}
