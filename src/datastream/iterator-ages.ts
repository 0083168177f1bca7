import type { EpochMs } from '../domain/time.ts'

/** An iterator is good for so long: who does not poll again until then is gone. */
const KEPT_MS = 300_000

type Age = { readonly ms: number; readonly polledAt: EpochMs }

/**
 * How old what the pollers of a stream's shards read last was. An alarm is on the oldest: one shard
 * that nobody keeps up with must not hide behind others that are read.
 */
export class IteratorAges {
  readonly #byShard = new Map<string, Age>()
  #oldest = 0
  #oldestShard: string | null = null
  #countedAt = 0

  /** @returns the greatest age of all shards that are polled, in milliseconds */
  polled(shard: string, age: Age): number {
    this.#byShard.set(shard, age)
    if (age.ms >= this.#oldest) {
      this.#oldest = age.ms
      this.#oldestShard = shard
    } else if (shard === this.#oldestShard || age.polledAt - this.#countedAt > KEPT_MS) {
      this.#count(age.polledAt)
    }
    return this.#oldest
  }

  forget(shard: string): void {
    this.#byShard.delete(shard)
    if (shard === this.#oldestShard) this.#countedAt = 0 // the next poll counts
  }

  #count(now: EpochMs): void {
    this.#countedAt = now
    this.#oldest = 0
    this.#oldestShard = null
    for (const [shard, { ms, polledAt }] of this.#byShard) {
      if (now - polledAt > KEPT_MS) this.#byShard.delete(shard)
      else if (ms >= this.#oldest) {
        this.#oldest = ms
        this.#oldestShard = shard
      }
    }
  }
}
