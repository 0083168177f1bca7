import { ServiceError, type ErrorKind } from '../../domain/errors.ts'

const STATUS_BY_KIND: Record<ErrorKind, number> = {
  'invalid-argument': 400,
  unauthenticated: 401,
  'permission-denied': 403,
  'not-found': 404,
  conflict: 409,
  'limit-exceeded': 429,
  'malformed-media': 422,
  unavailable: 503,
  'data-loss': 500,
  internal: 500,
}

export type HttpFailure = {
  readonly status: number
  readonly code: string
  readonly message: string
}

/**
 * The one place where a thrown value becomes a control-API or playback response. Unknown errors
 * reveal nothing. Fastify's own refusals (unparsable JSON, failed schema) keep their 4xx status.
 */
export function toHttpFailure(error: unknown): HttpFailure {
  if (error instanceof ServiceError && error.kind !== 'internal') {
    return { status: STATUS_BY_KIND[error.kind], code: error.code, message: error.message }
  }
  const refused = error as { statusCode?: number; message?: string }
  if (refused?.statusCode !== undefined && refused.statusCode >= 400 && refused.statusCode < 500) {
    return {
      status: refused.statusCode,
      code: 'InvalidRequest',
      message: String(refused.message ?? 'Invalid request.'),
    }
  }
  return { status: 500, code: 'InternalFailure', message: 'Internal failure.' }
}
