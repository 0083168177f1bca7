import type { SourceStatus } from './api-types.ts'
import { formatWait } from './format.ts'

/** Why a pulled camera sends nothing now, and when it is called again. */
export function SourceNotice(props: { readonly source: SourceStatus; readonly nowMs: number }) {
  const { state, nextAttemptAt, failedAttempts, lastFailure } = props.source
  if (state === 'publishing') return null
  return (
    <p className={lastFailure === null ? 'notice' : 'problem'} role="status">
      {state === 'disabled' && 'The camera is not called: its source is disabled.'}
      {state === 'connecting' && 'The camera is being called.'}
      {state === 'waiting' && nextAttemptAt === null && 'The camera is called soon.'}
      {state === 'waiting' && nextAttemptAt !== null && (
        <>The camera is called {formatWait(Date.parse(nextAttemptAt), props.nowMs)}.</>
      )}
      {lastFailure !== null && (
        <>
          {' '}
          {failedAttempts > 1 ? `${failedAttempts} attempts failed` : 'The last attempt failed'} (
          {lastFailure.reason}): {lastFailure.message}
        </>
      )}
    </p>
  )
}
