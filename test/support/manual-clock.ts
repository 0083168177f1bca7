import { epochMs, type EpochMs } from '../../src/domain/time.ts'
import type { Clock } from '../../src/platform/clock.ts'

type Sleeper = { readonly at: number; readonly wake: () => void }

/** Stands still until told. `advance` wakes the sleepers that have become due, earliest first. */
export class ManualClock implements Clock {
  #now: number
  #sleepers: Sleeper[] = []
  #watchers: (() => void)[] = []

  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  now(): EpochMs {
    return epochMs(this.#now)
  }

  monotonicMs(): number {
    return this.#now
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal.reason)
      }
      const sleeper: Sleeper = {
        at: this.#now + ms,
        wake: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      this.#sleepers.push(sleeper)
      signal.addEventListener('abort', onAbort, { once: true })
      for (const watcher of this.#watchers.splice(0)) watcher()
    })
  }

  advance(ms: number): void {
    this.#now += ms
    const due = this.#sleepers.filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at)
    this.#sleepers = this.#sleepers.filter(({ at }) => at > this.#now)
    for (const { wake } of due) wake()
  }

  /** Resolves when somebody sleeps for `ms` from now, exactly. */
  async sleeping(ms: number): Promise<void> {
    while (!this.#sleepers.some(({ at }) => at === this.#now + ms)) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
  }
}
