/**
 * Who may write to a stream next when several calls of one producer overlap: it opens another before
 * the old one has drained. A fragment is written whole before another begins; of those that wait, the
 * one with the earliest producer time is next.
 */
export class FragmentTurns {
  #holder: Turn | null = null
  readonly #waiting = new Set<Turn>()
  #granting = false
  /** The fragment that was written last, by whom ever. */
  last: WrittenFragment | null = null

  /** Somebody waits for the holder's fragment to end. */
  isWaitedFor(turn: Turn): boolean {
    return this.#holder === turn && this.#waiting.size > 0
  }

  /**
   * @returns false when another is at it: `turn.onGranted` is called when it is its turn
   */
  take(turn: Turn): boolean {
    if (this.#holder === turn) return true
    if (this.#holder === null && this.#waiting.size === 0) {
      this.#holder = turn
      return true
    }
    this.#waiting.add(turn)
    this.#grantSoon()
    return false
  }

  /** Its fragment is over, or it does not want one any more. */
  giveBack(turn: Turn): void {
    this.#waiting.delete(turn)
    if (this.#holder !== turn) return
    this.#holder = null
    this.#grantSoon()
  }

  /** Not at once: who gave its turn back may have its next fragment at hand, an earlier one. */
  #grantSoon(): void {
    if (this.#granting) return
    this.#granting = true
    queueMicrotask(() => {
      this.#granting = false
      if (this.#holder !== null) return
      let next: Turn | null = null
      for (const turn of this.#waiting) {
        if (next === null || turn.producerTimestamp < next.producerTimestamp) next = turn
      }
      if (next === null) return
      this.#waiting.delete(next)
      this.#holder = next
      next.onGranted()
    })
  }
}

export type Turn = {
  /** Of the fragment that it is wanted for. */
  readonly producerTimestamp: number
  readonly onGranted: () => void
}

export type WrittenFragment = {
  readonly header: Uint8Array
  /** When its last frame begins, by the producer's clock. */
  readonly producerEnd: number
}
