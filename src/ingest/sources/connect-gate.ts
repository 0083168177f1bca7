import type { Clock } from '../../platform/clock.ts'

/**
 * Lets a few sources connect at a time, in order of arrival: handshakes and first key frames of
 * hundreds of cameras at once would be a peak that nothing else ever needs. A place is free again when
 * it is left, or after `holdMs`: peers that hang must not keep the others waiting.
 */
export class ConnectGate {
  readonly #clock: Clock
  readonly #holdMs: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(clock: Clock, options: { readonly places: number; readonly holdMs: number }) {
    this.#clock = clock
    this.#holdMs = options.holdMs
    this.#free = options.places
  }

  /** @returns how to leave, safe more than once; rejects with the signal's reason */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free--
    else await this.#turn(signal)
    const left = new AbortController()
    const leave = () => {
      if (left.signal.aborted) return
      left.abort()
      this.#pass()
    }
    void this.#clock.sleep(this.#holdMs, left.signal).then(leave, () => undefined) // it has left
    return leave
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1)
        reject(signal.reason)
      }
      this.#waiting.push(enter)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** A place goes to who waits longest, else it is free. */
  #pass(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
