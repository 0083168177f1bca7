import { ServiceError, type ErrorKind } from '../../domain/errors.ts'
import type { SessionDeps } from '../ingest-deps.ts'
import type { LiveSession, LiveSessions } from '../live-sessions.ts'

/**
 * One attempt at pulling a source, the same for every protocol: connects, opens a session of its
 * stream when media is about to come, and feeds it.
 *
 * Resolves only when `signal` aborts, after having left the peer politely and ended its session;
 * otherwise rejects with a {@link PullError}. Its session is ended in either case; the reason of
 * `signal` is the `SessionEndReason` to end it with. Trying again, and when, is the caller's.
 */
export type Pull = (target: PullTarget, deps: PullDeps, signal: AbortSignal) => Promise<void>

export type PullTarget = {
  readonly stream: string
  /** Without user information: may be shown. */
  readonly url: URL
  readonly credentials: { readonly username: string; readonly password: string } | null
  /** Of RTSP; `auto`: TCP, and UDP when the peer refuses it. */
  readonly transport: 'auto' | 'tcp' | 'udp'
  /** False for cameras that sign their certificate themselves. */
  readonly verifyCertificate: boolean
  /** To connect; the answer to the first request may take twice, the first key frame three times as long. */
  readonly connectTimeoutMs: number
  /** Without a key frame for so long, and for three GOPs, the source has stalled. */
  readonly stallTimeoutMs: number
}

export type PullDeps = SessionDeps & {
  readonly sessions: LiveSessions
  /** Media comes: the session is listed from here on. */
  readonly onPublishing: (session: LiveSession) => void
}

/** Why an attempt ended, for people and for metrics; the message names neither password nor key. */
export class PullError extends ServiceError {
  override name = 'PullError'
  readonly reason: PullFailure

  constructor(reason: PullFailure, message: string, cause?: unknown) {
    super(KINDS[reason], 'PullFailed', message, { cause, context: { reason } })
    this.reason = reason
  }
}

export type PullFailure =
  | 'unreachable' // name, route, refused, connect timeout
  | 'tls' // certificate or protocol
  | 'unauthorised'
  | 'not-found'
  | 'no-answer' // connected, but it does not answer
  | 'no-media' // nothing that we can take, or none came in time
  | 'stalled' // media came and stopped
  | 'peer-closed'
  | 'protocol-error'
  | 'busy' // somebody else publishes on the stream
  | 'failed' // ours: the archive cannot be written

const KINDS: Record<PullFailure, ErrorKind> = {
  unreachable: 'unavailable',
  tls: 'unavailable',
  unauthorised: 'unauthenticated',
  'not-found': 'not-found',
  'no-answer': 'unavailable',
  'no-media': 'unavailable',
  stalled: 'unavailable',
  'peer-closed': 'unavailable',
  'protocol-error': 'malformed-media',
  busy: 'conflict',
  failed: 'unavailable',
}
