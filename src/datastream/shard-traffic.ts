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

/** Counts a shard's writes, and finds a key that makes up much of them (Misra and Gries, 1982). */
export class ShardTraffic {
  #since: EpochMs
  #bytes = 0
  #records = 0
  readonly #keys = new Map<string, number>()

  constructor(now: EpochMs) {
    this.#since = now
  }

  add(key: string, bytes: number): void {
    this.#bytes += bytes
    this.#records += 1
    const counted = this.#keys.get(key)
    if (counted !== undefined || this.#keys.size < KEYS) {
      this.#keys.set(key, (counted ?? 0) + bytes)
      return
    }
    const least = Math.min(bytes, ...this.#keys.values())
    for (const [other, count] of this.#keys) {
      if (count === least) this.#keys.delete(other)
      else this.#keys.set(other, count - least)
    }
    if (bytes > least) this.#keys.set(key, bytes - least)
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
    return traffic
  }

  #hotKey(): Traffic['hotKey'] {
    let hot: { key: string; share: number } | null = null
    for (const [key, bytes] of this.#keys) {
      const share = bytes / this.#bytes
      if (share > (hot?.share ?? 1 / KEYS)) hot = { key, share }
    }
    return hot
  }
}
