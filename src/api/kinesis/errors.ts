import { ServiceError, type ErrorKind } from '../../domain/errors.ts'

export type WireError = {
  readonly status: number
  readonly type: string
  readonly message: string
}

/** The service's own names; a code that is none of them is named after its kind. */
const TYPE_BY_KIND: Record<ErrorKind, string> = {
  'invalid-argument': 'InvalidArgumentException',
  unauthenticated: 'MissingAuthenticationTokenException',
  'permission-denied': 'AccessDeniedException',
  'not-found': 'ResourceNotFoundException',
  conflict: 'ResourceInUseException',
  'limit-exceeded': 'LimitExceededException',
  'malformed-media': 'InvalidArgumentException',
  unavailable: 'InternalFailure',
  'data-loss': 'InternalFailure',
  internal: 'InternalFailure',
}
const FORBIDDEN: ReadonlySet<ErrorKind> = new Set(['unauthenticated', 'permission-denied'])

/**
 * The one place where a thrown value becomes an answer of the Kinesis protocol: 400 for what the
 * client can mend, 403 for who it is, 500 for the rest, which reveals nothing.
 */
export function toWireError(error: unknown, accountId: string): WireError {
  if (!(error instanceof ServiceError)) return INTERNAL_FAILURE
  const type = error.code.endsWith('Exception') ? error.code : TYPE_BY_KIND[error.kind]
  if (type === 'InternalFailure') return INTERNAL_FAILURE
  const status = FORBIDDEN.has(error.kind) ? 403 : 400
  return { status, type, message: toWireMessage(error, accountId) }
}

const INTERNAL_FAILURE: WireError = {
  status: 500,
  type: 'InternalFailure',
  message: 'Internal Service Failure',
}

/** The service's texts name the account, which the store does not know. */
function toWireMessage({ message, context: { stream } }: ServiceError, accountId: string): string {
  if (typeof stream !== 'string') return message
  // A function: what looks like a pattern of replacement in a name is none.
  return message.replace(`tream ${stream}`, (named) => `${named} under account ${accountId}`)
}
