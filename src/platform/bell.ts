import type { Clock } from './clock.ts'

/** Longest single wait; timers overflow at 2^31 ms and a loop may look again now and then. */
const LONGEST_WAIT_MS = 3_600_000

/** Wakes one waiting loop early. A ring while nobody waits is remembered, once. */
export class Bell {
  #rung = false
  #wake: (() => void) | null = null

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /**
   * Resolves at the next ring, after `ms`, or after an hour; rejects with the signal's reason when
   * aborted. One waiter at a time.
   */
  async wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.#rung) {
      const early = new AbortController()
      const end = () => early.abort()
      this.#wake = end
      signal.addEventListener('abort', end, { once: true })
      try {
        await clock.sleep(Math.min(ms, LONGEST_WAIT_MS), early.signal)
      } catch (error) {
        if (!early.signal.aborted) throw error
      } finally {
        this.#wake = null
        signal.removeEventListener('abort', end)
      }
      signal.throwIfAborted()
    }
    this.#rung = false
  }
}
