import type { Clock } from '../platform/clock.ts'

/**
 * A killed process loses under a second of media that arrived: this, what a write takes, and the time
 * that a paced socket was not read.
 */
export const FLUSH_INTERVAL_MS = 800

/**
 * A round takes writers up to this age: the longer, the fewer rounds and the earlier their writes. With
 * this a fragment of two seconds is written in three calls.
 */
const JOIN_MS = FLUSH_INTERVAL_MS / 8

/** What has bytes that wait to be written. */
export type Flushable = { flush(): void }

type Round = {
  readonly begunMs: number
  readonly writers: Set<Flushable>
  readonly over: AbortController
}

/**
 * Says when writers write what they gathered: together, seven eighths of an interval to a whole one after
 * the first of it came, so that the writes of many streams end side by side and wake the event loop
 * once, and a few timers serve them all.
 */
export class FlushRounds implements Disposable {
  readonly #clock: Clock
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
    const round = this.#roundOf.get(writer)
    if (round === undefined) return
    this.#roundOf.delete(writer)
    round.writers.delete(writer)
    // The newest may be joined again: writers that end many fragments a second make no round for each.
    if (round.writers.size === 0 && round !== this.#newest) round.over.abort()
  }

  /** Who still waits has to flush without it. */
  [Symbol.dispose](): void {
    this.#newest?.over.abort()
    for (const round of this.#roundOf.values()) round.over.abort()
  }

  #roundToJoin(): Round {
    const nowMs = this.#clock.monotonicMs()
    const newest = this.#newest
    if (newest !== null && nowMs - newest.begunMs <= JOIN_MS) return newest
    if (newest?.writers.size === 0) newest.over.abort()
    const round: Round = { begunMs: nowMs, writers: new Set(), over: new AbortController() }
    this.#newest = round
    this.#run(round).catch(() => undefined) // it is over
    return round
  }

  async #run(round: Round): Promise<void> {
    await this.#clock.sleep(FLUSH_INTERVAL_MS, round.over.signal)
    for (const writer of round.writers) writer.flush()
  }
}
