import type { EpochMs } from '../domain/time.ts'

/**
 * A rate with a second's worth of burst. What is larger than the whole bucket passes when that is
 * full and leaves a debt, which is paid off at the rate: the average holds.
 */
export class TokenBucket {
  readonly #ratePerSecond: number
  #level: number
  #filledAt: EpochMs

  constructor(ratePerSecond: number, now: EpochMs) {
    this.#ratePerSecond = ratePerSecond
    this.#level = ratePerSecond
    this.#filledAt = now
  }

  /** Whether so much may pass now; nothing is taken. */
  admits(amount: number, now: EpochMs): boolean {
    this.#fill(now)
    return this.#level >= Math.min(amount, this.#ratePerSecond)
  }

  take(amount: number, now: EpochMs): void {
    this.#fill(now)
    this.#level -= amount
  }

  /** Until the debt is paid; 0 when there is none. */
  debtMs(now: EpochMs): number {
    this.#fill(now)
    return this.#level >= 0 ? 0 : Math.ceil((-this.#level / this.#ratePerSecond) * 1000)
  }

  #fill(now: EpochMs): void {
    const passedMs = Math.max(0, now - this.#filledAt) // a clock that goes back brings nothing
    this.#filledAt = now
    const filled = this.#level + (passedMs / 1000) * this.#ratePerSecond
    this.#level = Math.min(this.#ratePerSecond, filled)
  }
}
