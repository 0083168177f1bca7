/** Standard Webhooks 1.0.0, "Deliverability and reliability": pauses after the first attempt. */
export const STANDARD_RETRY_DELAYS_MS: readonly number[] = [
  5_000,
  5 * 60_000,
  30 * 60_000,
  2 * 3_600_000,
  5 * 3_600_000,
  10 * 3_600_000,
  14 * 3_600_000,
  20 * 3_600_000,
  24 * 3_600_000,
]

/** A receiver cannot put off a delivery for longer than the schedule's own longest pause. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000

/** How an attempt ended. */
export type AttemptOutcome =
  | { readonly kind: 'delivered' }
  /** Asked to stop for good: 410. */
  | { readonly kind: 'gone' }
  | {
      readonly kind: 'failed'
      /** Short and from a closed set: `timeout`, `connection`, `status-500`, ... */
      readonly reason: string
      /** Whether the receiver asked for less: 429, 502, 504, or a Retry-After header. */
      readonly slowDown: boolean
      readonly retryAfterMs: number | null
    }

export type RetryPlan =
  | { readonly kind: 'retry'; readonly inMs: number; readonly pauseHookMs: number }
  | { readonly kind: 'give-up' }

/**
 * What to do after a failed attempt. Jitter lengthens a pause by up to a quarter, so that
 * deliveries that failed together do not come back together.
 *
 * @param attempts made so far, this one included
 * @param random 0 <= random < 1
 */
export function planRetry(
  outcome: Extract<AttemptOutcome, { kind: 'failed' }>,
  attempts: number,
  delaysMs: readonly number[],
  random: number,
): RetryPlan {
  const delayMs = delaysMs[attempts - 1]
  if (delayMs === undefined) return { kind: 'give-up' }
  const jittered = Math.round(delayMs * (1 + random / 4))
  const asked = Math.min(outcome.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS)
  const inMs = Math.max(jittered, asked)
  // Asked to slow down: the hook's other deliveries wait too, at least a step of the schedule.
  const pauseHookMs = outcome.slowDown ? Math.max(asked, delaysMs[0] ?? 0) : 0
  return { kind: 'retry', inMs, pauseHookMs }
}

/** RFC 9110 §10.2.3: seconds or an HTTP date. `null` when absent or unreadable. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null
  if (/^[0-9]{1,9}$/.test(value.trim())) return Number(value.trim()) * 1_000
  const date = value.endsWith(' GMT') ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs)
}
