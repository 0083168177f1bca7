import { ServiceError, type ErrorKind } from '../../domain/errors.ts'

export type WireError = {
  readonly status: number
  /** With its suffix, for `x-amzn-ErrorType`. */
  readonly type: string
  readonly message: string
}

/**
 * Producers look at the status number alone (404: create the stream; 401, 403: new credentials), the
 * SDKs at the type.
 */
const BY_KIND: Record<ErrorKind, readonly [status: number, type: string]> = {
  'invalid-argument': [400, 'InvalidArgumentException'],
  unauthenticated: [403, 'InvalidSignatureException'],
  'permission-denied': [401, 'NotAuthorizedException'],
  'not-found': [404, 'ResourceNotFoundException'],
  conflict: [400, 'ConnectionLimitExceededException'],
  'limit-exceeded': [400, 'ClientLimitExceededException'],
  'malformed-media': [400, 'InvalidArgumentException'],
  unavailable: [500, 'InternalFailure'],
  'data-loss': [500, 'InternalFailure'],
  internal: [500, 'InternalFailure'],
}

/**
 * The one place where a thrown value becomes an answer of the Kinesis Video protocol. Its model
 * declares no ValidationException: a constraint that fails is an invalid argument.
 */
export function toWireError(error: unknown): WireError {
  const kind = error instanceof ServiceError ? error.kind : 'internal'
  const [status, byKind] = BY_KIND[kind]
  if (status >= 500 || !(error instanceof ServiceError)) {
    return { status, type: byKind, message: 'Internal Service Failure' }
  }
  const type =
    error.code.endsWith('Exception') && error.code !== 'ValidationException' ? error.code : byKind
  return { status, type, message: error.message }
}
