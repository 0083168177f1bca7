import { ServiceError, type ErrorKind } from '../../domain/errors.ts'

export type WireError = {
  readonly status: number
  /** With its suffix, for `x-amzn-ErrorType`. */
  readonly type: string
  readonly body: object
}

/** How an operation's model declares that the caller may not, and names the member of the message. */
export type ErrorDialect = 'not-authorized' | 'access-denied' | 'webrtc-storage'

/**
 * Producers look at the status number alone (404: create the stream; 401, 403: new credentials), the
 * SDKs at the type.
 */
const BY_KIND: Record<ErrorKind, readonly [status: number, type: string]> = {
  'invalid-argument': [400, 'InvalidArgumentException'],
  unauthenticated: [403, 'InvalidSignatureException'],
  'permission-denied': [401, 'NotAuthorizedException'],
  'not-found': [404, 'ResourceNotFoundException'],
  conflict: [400, 'ResourceInUseException'],
  'limit-exceeded': [400, 'ClientLimitExceededException'],
  'malformed-media': [400, 'InvalidArgumentException'],
  unavailable: [500, 'InternalFailure'],
  'data-loss': [500, 'InternalFailure'],
  internal: [500, 'InternalFailure'],
}

/** What the protocol names otherwise than its kind has it. */
const BY_CODE: Readonly<Record<string, string>> = {
  // Its model declares no ValidationException: a constraint that fails is an invalid argument.
  ValidationException: 'InvalidArgumentException',
  StreamBusy: 'ConnectionLimitExceededException',
  TooManyTags: 'TagsPerResourceExceededLimitException',
}

const DENIED: Record<ErrorDialect, readonly [status: number, type: string]> = {
  'not-authorized': [401, 'NotAuthorizedException'],
  'access-denied': [401, 'AccessDeniedException'],
  'webrtc-storage': [403, 'AccessDeniedException'],
}

/** The one place where a thrown value becomes an answer of the Kinesis Video protocol. */
export function toWireError(error: unknown, dialect: ErrorDialect = 'not-authorized'): WireError {
  const { status, type, message } = toFailure(error, dialect)
  return { status, type, body: { [dialect === 'webrtc-storage' ? 'message' : 'Message']: message } }
}

function toFailure(error: unknown, dialect: ErrorDialect) {
  const kind = error instanceof ServiceError ? error.kind : 'internal'
  const [status, byKind] = kind === 'permission-denied' ? DENIED[dialect] : BY_KIND[kind]
  if (status >= 500 || !(error instanceof ServiceError)) {
    return { status, type: byKind, message: 'Internal Service Failure' }
  }
  const { code, message } = error
  const own = code.endsWith('Exception') && kind !== 'permission-denied' ? code : byKind
  return { status, type: BY_CODE[code] ?? own, message }
}
