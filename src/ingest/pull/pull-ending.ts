import { ServiceError } from '../../domain/errors.ts'
import type { SessionEndReason } from '../live-sessions.ts'
import { PullError } from './pull.ts'

/** Why a pull's session ended; `null` when it was told to leave. */
export function toEndReason(failure: PullError | null, signal: AbortSignal): SessionEndReason {
  if (failure === null) {
    const reason = signal.reason as unknown
    return typeof reason === 'string' ? (reason as SessionEndReason) : 'shutdown'
  }
  switch (failure.reason) {
    case 'peer-closed':
    case 'protocol-error':
      return failure.reason
    case 'stalled':
    case 'no-media':
      return 'no-media'
    case 'failed':
      return 'internal'
    default:
      return 'connection-error'
  }
}

/** What opening the session, or writing to it, threw. */
export function toPullError(error: unknown): PullError {
  if (error instanceof PullError) return error
  if (error instanceof ServiceError && error.kind === 'conflict') {
    return new PullError('busy', 'Somebody else publishes on the stream.', error)
  }
  return new PullError('failed', 'The stream cannot be written.', error)
}
