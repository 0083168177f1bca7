import { ServiceError } from '../domain/errors.ts'
import type { Clock } from '../platform/clock.ts'

export type RetryPolicy = {
  /**
   * Further tries after the first; `null`: until it works. Failures of a dependency that is away
   * (`unavailable`) do not count: they are waited out, since what follows would meet the same.
   */
  readonly retries: number | null
  /** Doubles with every try, up to `maxDelayMs`. */
  readonly firstDelayMs: number
  readonly maxDelayMs: number
}

export type RetryOptions = {
  readonly policy: RetryPolicy
  readonly clock: Clock
  /** No further tries; one under way goes on. */
  readonly stopping: AbortSignal
  readonly signal: AbortSignal
  readonly onRetry: (failure: { attempt: number; retryInMs: number; error: unknown }) => void
}

/** `null` when handled; else why it was given up. */
export type GivenUp = { readonly reason: SkipReason; readonly error: unknown }
export type SkipReason = 'failed' | 'malformed-media' | 'expired' | 'unreadable'

/**
 * Runs a handler until it works or trying again makes no sense.
 *
 * @throws the reason of the signal that ended it; nothing else
 */
export async function handleWithRetries(
  handle: () => Promise<void>,
  { policy, clock, stopping, signal, onRetry }: RetryOptions,
): Promise<GivenUp | null> {
  let failures = 0
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      await handle()
      return null
    } catch (error) {
      signal.throwIfAborted()
      const hopeless = toHopelessReason(error)
      if (hopeless !== null) return { reason: hopeless, error }
      if (!isAway(error)) failures++
      if (policy.retries !== null && failures > policy.retries) return { reason: 'failed', error }
      const retryInMs = Math.min(policy.firstDelayMs * 2 ** (attempt - 1), policy.maxDelayMs)
      onRetry({ attempt, retryInMs, error })
      await clock.sleep(retryInMs, AbortSignal.any([stopping, signal]))
    }
  }
}

/** A worker thread that crashed may have done so because of this very work: that one counts. */
function isAway(error: unknown): boolean {
  return (
    error instanceof ServiceError && error.kind === 'unavailable' && error.code !== 'WorkerCrashed'
  )
}

/** The same bytes fail the same way: these kinds are not tried again. */
function toHopelessReason(error: unknown): SkipReason | null {
  if (!(error instanceof ServiceError)) return null
  if (error.kind === 'malformed-media') return 'malformed-media'
  if (error.kind === 'data-loss') return 'unreadable'
  if (error.code === 'FragmentNotFound') return 'expired' // retention was faster than we
  return null
}
