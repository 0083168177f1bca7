import type { EpochMs } from '../domain/time.ts'

/** What came to a shard per second since it was last asked. */
export type Traffic = {
  readonly bytesPerSecond: number
  readonly recordsPerSecond: number
  /** The key with the most bytes and at least so much of all, 0..1; `null`: none stands out. */
  readonly hotKey: { readonly key: string; readonly share: number } | null
}

/** Keys that are watched; one with more than 1/KEYS of the bytes is always among them. */
const KEYS = 16
/** About so many bytes pass between two records that are looked at: a busy shard has enough of them. */
const SAMPLE_BYTES = 4096

/**
 * Counts a shard's writes, and finds a key that makes up much of them (Misra and Gries, 1982): a key
 * that is not watched takes as much from every watched one as from itself. What was taken from all is
 * one number, so most records cost one look-up.
 */
export class ShardTraffic {
  #since: EpochMs
  #bytes = 0
  #records = 0
  /** By key, its bytes and what had been taken from all when it came. */
  readonly #keys = new Map<string, number>()
  #taken = 0
  #bytesToSample = 0
  #bytesUnseen = 0
  /** The smallest of the keys' counts; exact when there are {@link KEYS} of them. */
  #least = 0

  constructor(now: EpochMs) {
    this.#since = now
  }

  add(key: string, bytes: number): void {
    this.#bytes += bytes
    this.#records += 1
    this.#bytesUnseen += bytes
    if (this.#bytesUnseen < this.#bytesToSample) return
    this.#count(key, this.#bytesUnseen)
    this.#bytesUnseen = 0
    // Not every so many bytes: producers may go through their keys in turn.
    this.#bytesToSample = SAMPLE_BYTES * (0.5 + Math.random())
  }

  #count(key: string, bytes: number): void {
    const counted = this.#keys.get(key)
    if (counted !== undefined || this.#keys.size < KEYS) {
      this.#keys.set(key, (counted ?? this.#taken) + bytes)
      if (this.#keys.size === KEYS && (counted === undefined || counted === this.#least)) {
        this.#least = Math.min(...this.#keys.values())
      }
      return
    }
    const taken = this.#taken + bytes
    if (taken < this.#least) {
      this.#taken = taken
      return
    }
    this.#taken = this.#least
    for (const [other, count] of this.#keys) if (count === this.#least) this.#keys.delete(other)
    if (taken > this.#least) this.#keys.set(key, taken)
    if (this.#keys.size === KEYS) this.#least = Math.min(...this.#keys.values())
  }

  /** Since the last call; counting starts anew. */
  take(now: EpochMs): Traffic {
    const seconds = Math.max(1, (now - this.#since) / 1000)
    const traffic = {
      bytesPerSecond: this.#bytes / seconds,
      recordsPerSecond: this.#records / seconds,
      hotKey: this.#hotKey(),
    }
    this.#since = now
    this.#bytes = 0
    this.#records = 0
    this.#keys.clear()
    this.#taken = 0
    return traffic
  }

  #hotKey(): Traffic['hotKey'] {
    let hot: { key: string; share: number } | null = null
    for (const [key, count] of this.#keys) {
      const share = (count - this.#taken) / this.#bytes
      if (share > (hot?.share ?? 1 / KEYS)) hot = { key, share }
    }
    return hot
  }
}
