/** The pause before the next try: the interval doubled with every failure in a row, up to a limit. */
export function toRetryDelayMs(intervalMs: number, failures: number, limitMs = 15_000): number {
  return Math.max(intervalMs, Math.min(intervalMs * 2 ** failures, limitMs))
}
