import { setTimeout as delay } from 'node:timers/promises'
import { epochMs, type EpochMs } from '../domain/time.ts'

/** The only source of "now" and the only way to wait, so that tests can hold both. */
export interface Clock {
  now(): EpochMs
  /** Goes forward whatever the wall clock is set to; from any zero, with a fraction. For intervals. */
  monotonicMs(): number
  /** Rejects with the signal's reason when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => epochMs(Date.now()),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal })
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    }
  },
}
