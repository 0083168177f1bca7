import { once } from 'node:events'

/** Time that a stopping service gets before the process ends anyway. */
const STOP_LIMIT_MS = 20_000

/**
 * Runs a service until SIGINT or SIGTERM, then disposes it: stop accepting, finish fragments, sync,
 * checkpoint, close. A second signal exits at once.
 */
export async function runUntilSignal(
  start: (signal: AbortSignal) => Promise<AsyncDisposable>,
): Promise<void> {
  const stopping = new AbortController()
  const onSignal = () => {
    if (stopping.signal.aborted) process.exit(130)
    stopping.abort()
    // Disposal empties the event loop and Node exits by itself; this catches a forgotten handle.
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  try {
    const service = await start(stopping.signal)
    try {
      if (!stopping.signal.aborted) await once(stopping.signal, 'abort')
    } finally {
      await service[Symbol.asyncDispose]()
    }
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}
