import type { Clock } from '../platform/clock.ts'

/**
 * When the disk is slower than the peer, the peer has to wait: until half of what waits has gone.
 *
 * @param publisher `undefined` while nobody publishes
 * @returns `null` when it need not; rejects with the signal's reason
 */
export function untilDrained(
  publisher: { readonly queuedBytes: number } | undefined,
  options: ThrottleOptions,
): Promise<void> | null {
  const { pauseAboveBytes = DEFAULT_PAUSE_ABOVE_BYTES, clock, signal } = options
  if (publisher === undefined || publisher.queuedBytes <= pauseAboveBytes) return null
  return (async () => {
    while (publisher.queuedBytes > pauseAboveBytes / 2) await clock.sleep(DRAIN_POLL_MS, signal)
  })()
}

export type ThrottleOptions = {
  /** Default 4 MiB. */
  readonly pauseAboveBytes?: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

const DRAIN_POLL_MS = 20
export const DEFAULT_PAUSE_ABOVE_BYTES = 4 * 1024 * 1024
