/** A clock that is this much ahead of where the last round left it has been set, not waited for. */
const MAX_AHEAD_MS = 10 * 60_000

/** Rounds for which a jump is not believed: an hour, in which a wrong clock may be set right. */
const DOUBTED_ROUNDS = 120

/**
 * Keeps a clock that is set ahead by mistake from expiring a whole archive: what it alone makes old
 * is hidden, and not deleted for an hour. A machine that slept looks the same and loses nothing but
 * that hour of space. One that is set back is believed at once, since nothing expires by it.
 */
export class ClockDoubt {
  readonly #roundMs: number
  #trusted: number
  #rounds = 0

  constructor(now: number, roundMs: number) {
    this.#trusted = now
    this.#roundMs = roundMs
  }

  /**
   * To be called once a round.
   *
   * @returns how much of the clock's time is not believed, in milliseconds
   */
  note(now: number): number {
    const isAhead = now - this.#trusted > MAX_AHEAD_MS
    if (!isAhead || this.#rounds >= DOUBTED_ROUNDS) {
      this.#trusted = now
      this.#rounds = 0
      return 0
    }
    this.#rounds++
    this.#trusted += this.#roundMs
    return now - this.#trusted
  }
}
