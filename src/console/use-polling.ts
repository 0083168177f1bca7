import { useCallback, useEffect, useRef, useState } from 'react'
import { ApiError } from './api.ts'
import { toRetryDelayMs } from './backoff.ts'

export type Polled<T> = {
  /** The last answer, kept while later tries fail. */
  readonly data: T | null
  readonly error: ApiError | null
  readonly refresh: () => void
}

/**
 * Asks again and again: `intervalMs` after each answer, later after failures, not at all while the
 * tab is hidden or after a 401. Starts anew when `key` changes.
 */
export function usePolling<T>(
  key: string,
  intervalMs: number,
  ask: (signal: AbortSignal) => Promise<T>,
): Polled<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: ApiError | null }>({
    key,
    data: null,
    error: null,
  })
  const [round, setRound] = useState(0)
  const latestAsk = useRef(ask)
  useEffect(() => {
    latestAsk.current = ask
  })

  useEffect(() => {
    const ended = new AbortController()
    let timer: number | undefined
    let failures = 0
    let isAsking = false

    const run = async () => {
      if (isAsking || document.hidden || ended.signal.aborted) return
      isAsking = true
      window.clearTimeout(timer)
      try {
        const data = await latestAsk.current(ended.signal)
        if (ended.signal.aborted) return
        failures = 0
        setState({ key, data, error: null })
      } catch (error) {
        if (ended.signal.aborted) return
        failures += 1
        const known = error instanceof ApiError ? error : new ApiError(0, String(error))
        setState((before) => ({
          key,
          data: before.key === key ? before.data : null,
          error: known,
        }))
        if (known.status === 401) return // until signed in, which starts anew
      } finally {
        isAsking = false
      }
      timer = window.setTimeout(() => void run(), toRetryDelayMs(intervalMs, failures))
    }
    const onVisibility = () => void run()

    document.addEventListener('visibilitychange', onVisibility)
    void run()
    return () => {
      ended.abort()
      window.clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisibility)
    }
  }, [key, intervalMs, round])

  const refresh = useCallback(() => setRound((before) => before + 1), [])
  const isCurrent = state.key === key
  return {
    data: isCurrent ? state.data : null,
    error: isCurrent ? state.error : null,
    refresh,
  }
}
