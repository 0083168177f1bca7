/** What a caller may do about a failure. Edges map a kind to a status; nothing else does. */
export type ErrorKind =
  | 'invalid-argument' // the request can never succeed as sent
  | 'unauthenticated'
  | 'permission-denied'
  | 'not-found'
  | 'conflict' // wrong state or version: read again, then decide
  | 'limit-exceeded' // slow down and retry
  | 'malformed-media' // the peer sent bytes that break the container or codec rules
  | 'unavailable' // a dependency is down or full: retry with backoff
  | 'data-loss' // stored bytes disagree with the index
  | 'internal' // our bug

/**
 * A failure that we expected could happen. `code` is stable and listed in docs/ref/errors.md;
 * `message` is for people and may change; `context` holds ids and offsets, never secrets, and goes
 * into the log record whole.
 */
export class ServiceError extends Error {
  override name = 'ServiceError'
  readonly kind: ErrorKind
  readonly code: string
  readonly context: Readonly<Record<string, unknown>>

  constructor(
    kind: ErrorKind,
    code: string,
    message: string,
    options: { cause?: unknown; context?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.code = code
    this.context = options.context ?? {}
  }
}

/** Carries enough to find the offending byte in a hex dump of what the peer sent. */
export class MalformedMediaError extends ServiceError {
  override name = 'MalformedMediaError'
  constructor(message: string, at: { offset: number; path: string }, cause?: unknown) {
    super('malformed-media', 'MalformedMedia', `${message} (at byte ${at.offset}, in ${at.path})`, {
      cause,
      context: at,
    })
  }
}
