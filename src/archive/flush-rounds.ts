import type { Clock } from '../platform/clock.ts'

/** A killed process loses under a second of media that arrived: this, and what a write takes. */
export const FLUSH_INTERVAL_MS = 900

/**
 * A round takes writers up to this age: the longer, the fewer rounds and the earlier their writes. With
 * this a fragment of two seconds is written in three calls.
 */
const JOIN_MS = FLUSH_INTERVAL_MS / 6

/** What has bytes that wait to be written. */
export type Flushable = { flush(): void }

type Round = { readonly begunMs: number; readonly writers: Set<Flushable> }

/**
 * Says when writers write what they gathered: together, five sixths of an interval to a whole one after the
 * first of it came, so that the writes of many streams end side by side and wake the event loop
 * once, and a few timers serve them all.
 */
export class FlushRounds implements Disposable {
  readonly #clock: Clock
  readonly #stopping = new AbortController()
  readonly #roundOf = new Map<Flushable, Round>()
  /** The one that writers join, until it is too old for it. */
  #newest: Round | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Something waits; no matter how often it is said. */
  join(writer: Flushable): void {
    if (this.#roundOf.has(writer)) return
    const round = this.#roundToJoin()
    round.writers.add(writer)
    this.#roundOf.set(writer, round)
  }

  /** Nothing waits any more. */
  leave(writer: Flushable): void {
    this.#roundOf.get(writer)?.writers.delete(writer)
    this.#roundOf.delete(writer)
  }

  /** Who still waits has to flush without it. */
  [Symbol.dispose](): void {
    this.#stopping.abort()
  }

  #roundToJoin(): Round {
    const nowMs = this.#clock.monotonicMs()
    if (this.#newest !== null && nowMs - this.#newest.begunMs <= JOIN_MS) return this.#newest
    const round: Round = { begunMs: nowMs, writers: new Set() }
    this.#newest = round
    this.#run(round).catch(() => undefined) // disposed
    return round
  }

  async #run(round: Round): Promise<void> {
    await this.#clock.sleep(FLUSH_INTERVAL_MS, this.#stopping.signal)
    for (const writer of round.writers) writer.flush()
  }
}
