import { ServiceError, type ErrorKind } from '../../domain/errors.ts'

const STATUS_BY_KIND: Record<ErrorKind, number> = {
  'invalid-argument': 400,
  unauthenticated: 401,
  'permission-denied': 403,
  'not-found': 404,
  conflict: 409,
  'limit-exceeded': 429,
  'malformed-media': 500, // stored media, so not the viewer's fault
  unavailable: 503,
  'data-loss': 500,
  internal: 500,
}

export type PlaybackFailure = {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** The one place where a thrown value becomes an answer to a player. Bugs reveal nothing. */
export function toPlaybackFailure(error: unknown): PlaybackFailure {
  if (!(error instanceof ServiceError) || error.kind === 'internal') {
    return { status: 500, code: 'InternalFailure', message: 'Internal failure.' }
  }
  return { status: STATUS_BY_KIND[error.kind], code: error.code, message: error.message }
}
