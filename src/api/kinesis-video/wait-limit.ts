import type { Clock } from '../../platform/clock.ts'

/** So often it is looked during a limit: a wait ends up to a quarter late. */
const LOOKS = 4

/**
 * Ends what waits for too long: for media that does not come, for a reader that takes nothing. One
 * timer serves any number of waits, one at a time; what happens between them does not count.
 */
export class WaitLimit implements Disposable {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #ended = new AbortController()
  /** Aborts when a wait was too long, and with the given signal. */
  readonly over: AbortSignal
  #waitingSince: number | null = null
  #hasRunOut = false

  constructor(options: {
    readonly clock: Clock
    readonly limitMs: number
    readonly signal: AbortSignal
  }) {
    this.#clock = options.clock
    this.#limitMs = options.limitMs
    this.over = AbortSignal.any([options.signal, this.#ended.signal])
    void this.#watch()
  }

  /** A wait was too long. */
  get hasRunOut(): boolean {
    return this.#hasRunOut
  }

  /** @param wait to be given up by its maker when {@link over} aborts */
  async during<T>(wait: Promise<T>): Promise<T> {
    this.#waitingSince = this.#clock.monotonicMs()
    try {
      return await wait
    } finally {
      this.#waitingSince = null
    }
  }

  [Symbol.dispose](): void {
    this.#ended.abort(new Error('nobody waits'))
  }

  async #watch(): Promise<void> {
    try {
      while (!this.over.aborted) {
        await this.#clock.sleep(this.#limitMs / LOOKS, this.over)
        const since = this.#waitingSince
        if (since === null || this.#clock.monotonicMs() - since < this.#limitMs) continue
        this.#hasRunOut = true
        this.#ended.abort(new Error(`waited for ${this.#limitMs} ms`))
      }
    } catch {
      // It is over.
    }
  }
}
