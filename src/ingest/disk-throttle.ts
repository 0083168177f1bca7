import type { Clock } from '../platform/clock.ts'

/**
 * When the disk is slower than the peer, the peer has to wait: until half of what waits has gone.
 *
 * @returns `null` when it need not; rejects with the signal's reason
 */
export function untilDrained(
  publisher: { readonly queuedBytes: number },
  options: {
    readonly pauseAboveBytes: number
    readonly clock: Clock
    readonly signal: AbortSignal
  },
): Promise<void> | null {
  const { pauseAboveBytes, clock, signal } = options
  if (publisher.queuedBytes <= pauseAboveBytes) return null
  return (async () => {
    while (publisher.queuedBytes > pauseAboveBytes / 2) await clock.sleep(DRAIN_POLL_MS, signal)
  })()
}

const DRAIN_POLL_MS = 20
