import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import type { SourceSettings } from '../../registry/index.ts'
import type { LiveSession, LiveSessions, SessionEndReason } from '../live-sessions.ts'
import { PullError, type Pull, type PullDeps, type PullFailure } from '../pull/pull.ts'
import type { ConnectGate } from './connect-gate.ts'
import { HEALTHY_MS, planRetryMs } from './plan-retry.ts'
import type { SourceFailure, SourceState, SourceStatus } from './source-status.ts'
import { toShownFailure } from './withhold-secrets.ts'

/**
 * Keeps one source publishing, for ever: calls it, and when an attempt ends calls again after a wait.
 * Whatever an attempt throws ends that attempt and nothing else.
 */
export class SourceLoop {
  readonly #deps: SourceLoopDeps
  readonly #stream: string
  readonly #stopping = new AbortController()
  readonly #done: Promise<void>
  #session: LiveSession | null = null
  #state: SourceState = 'waiting'
  #since: EpochMs
  #nextAttemptAt: EpochMs | null = null
  #failedAttempts = 0
  #lastFailure: SourceFailure | null = null
  readonly #reconnects: Partial<Record<PullFailure, number>> = {}

  /** @param delayMs before the first attempt */
  constructor(deps: SourceLoopDeps, stream: string, delayMs: number) {
    this.#deps = deps
    this.#stream = stream
    this.#since = deps.clock.now()
    this.#done = this.#run(delayMs)
  }

  status(): SourceStatus {
    return {
      state: this.#state,
      since: this.#since,
      nextAttemptAt: this.#nextAttemptAt,
      failedAttempts: this.#failedAttempts,
      lastFailure: this.#lastFailure,
      reconnects: { ...this.#reconnects },
    }
  }

  /**
   * Leaves the peer and ends the session. A pull that does not end by itself is left behind after
   * {@link LEAVE_MS}; its session is ended all the same.
   */
  async stop(reason: SessionEndReason): Promise<void> {
    const { clock, log } = this.#deps
    this.#stopping.abort(reason)
    const left = new AbortController()
    const late = clock.sleep(LEAVE_MS, left.signal).then(
      () => 'late' as const,
      () => 'left' as const,
    )
    const outcome = await Promise.race([late, this.#done.then(() => 'left' as const)])
    left.abort()
    if (outcome === 'left') return
    log.error({ stream: this.#stream }, 'a pull did not end when told to')
    await this.#session?.end(reason).catch(() => undefined) // the archive has told it
  }

  /** Never rejects. */
  async #run(firstDelayMs: number): Promise<void> {
    const { signal } = this.#stopping
    let delayMs = firstDelayMs
    for (;;) {
      if (delayMs > 0 && !(await this.#wait(delayMs))) return
      if (signal.aborted) return
      const failure = await this.#attempt()
      if (signal.aborted) return
      delayMs = this.#fail(failure)
    }
  }

  /** @returns false when told to stop meanwhile */
  async #wait(ms: number): Promise<boolean> {
    const { clock } = this.#deps
    this.#enter('waiting')
    this.#nextAttemptAt = (clock.now() + ms) as EpochMs
    try {
      await clock.sleep(ms, this.#stopping.signal)
      return true
    } catch {
      return false
    } finally {
      this.#nextAttemptAt = null
    }
  }

  /** @returns why it ended; when told to stop, anything */
  async #attempt(): Promise<PullError> {
    const { gate, sessions } = this.#deps
    const { signal } = this.#stopping
    this.#enter('connecting')
    let settings: SourceSettings | null = null
    let leave = () => {}
    try {
      leave = await gate.enter(signal)
      signal.throwIfAborted()
      if (isPublished(sessions, this.#stream)) {
        throw new PullError('busy', 'Somebody else publishes on the stream.')
      }
      settings = this.#deps.settings(this.#stream)
      const onPublishing = (session: LiveSession) => {
        leave()
        this.#publish(session)
      }
      const target = { stream: this.#stream, ...settings }
      await this.#deps.pullOf(settings.url)(target, { ...this.#deps, onPublishing }, signal)
      return new PullError('peer-closed', 'The source ended.')
    } catch (error) {
      return toShownFailure(error, settings)
    } finally {
      leave()
      await this.#endSession()
    }
  }

  #publish(session: LiveSession): void {
    this.#session = session
    this.#enter('publishing')
    const counts = Object.values(this.#reconnects)
    session.noteReconnects({
      count: counts.reduce((sum, count) => sum + count, 0),
      lastReason: this.#lastFailure?.reason ?? null,
    })
    this.#deps.events.sourcePublishing({
      stream: this.#stream,
      failedAttempts: this.#failedAttempts,
    })
  }

  /** The pull has ended it already; one that failed in a way of its own may not have. */
  async #endSession(): Promise<void> {
    const session = this.#session
    if (session === null) return
    const { lastSampleAt } = session.publisher
    if ((lastSampleAt ?? 0) - session.startedAt >= HEALTHY_MS) this.#failedAttempts = 0
    await session.end('internal').catch(() => undefined) // the archive has told it
    this.#session = null
    this.#deps.events.sourceStopped({ stream: this.#stream })
  }

  /** @returns how long to wait, in ms */
  #fail({ reason, message, cause }: PullError): number {
    const isNews = this.#lastFailure?.reason !== reason || this.#failedAttempts === 0
    this.#failedAttempts++
    this.#reconnects[reason] = (this.#reconnects[reason] ?? 0) + 1
    this.#lastFailure = { reason, message, at: this.#deps.clock.now() }
    const retryInMs = planRetryMs(reason, this.#failedAttempts, this.#deps.random())
    this.#deps.events.sourceFailed({
      ...{ stream: this.#stream, reason, message, isNews },
      ...{ failedAttempts: this.#failedAttempts, retryInMs },
      ...(cause instanceof ServiceError ? { code: cause.code } : {}),
      // A stack of our own code; causes of other failures may quote the peer.
      ...(reason === 'failed' && cause instanceof Error ? { stack: stackOf(cause) } : {}),
    })
    return retryInMs
  }

  #enter(state: SourceState): void {
    this.#state = state
    this.#since = this.#deps.clock.now()
  }
}

export type SourceLoopDeps = Omit<PullDeps, 'onPublishing'> & {
  readonly gate: ConnectGate
  readonly settings: (stream: string) => SourceSettings
  /** @throws PullError for a scheme that nothing pulls */
  readonly pullOf: (url: URL) => Pull
  /** 0 to 1. */
  readonly random: () => number
}

/** TEARDOWN may take half a second, the last fragment the disk's time. */
export const LEAVE_MS = 5_000

function isPublished(sessions: LiveSessions, stream: string): boolean {
  return sessions.list().some((session) => session.stream === stream)
}

/** Without its first lines, which are the message: it may hold what must not be shown. */
function stackOf(error: Error): string {
  const lines = (error.stack ?? '').split('\n')
  return lines.filter((line) => /^\s+at /.test(line)).join('\n')
}
