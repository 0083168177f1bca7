import { untilDrained } from '../disk-throttle.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import type { LiveSession, LiveSessions, SessionEndReason } from '../live-sessions.ts'
import type { Acknowledgement, PutMediaErrorCode } from './acknowledgement.ts'
import { MediaPublisher } from './media-publisher.ts'

/**
 * One PutMedia call: a session like any other protocol's, whose Fragments are its producer's own. The
 * caller moves bytes; this keeps the rules of time: IDLE while nothing comes, and the end of it.
 */
export class PutMediaSession {
  readonly #live: LiveSession<MediaPublisher>
  readonly #deps: IngestDeps
  readonly #request: PutMediaRequest
  readonly #over: AbortController
  /** When it is not the producer's doing. */
  #reason: SessionEndReason | null = null
  #hasHeard = false
  /** The producer waits for us. */
  #isPaused = false

  /**
   * Claims the stream for a caller who may write to it.
   *
   * @throws ServiceError `not-found`/`StreamNotFound`; what {@link LiveSessions.open} throws
   */
  static async open(
    deps: IngestDeps & { readonly sessions: LiveSessions },
    request: PutMediaRequest,
  ): Promise<PutMediaSession> {
    const { streamId } = deps.registry.get(request.stream)
    const over = new AbortController()
    const live = await deps.sessions.openWith(
      {
        ...{ ...request, protocol: 'put-media', authorisation: { kind: 'verified' } },
        maxTogether: request.maxTogether ?? DEFAULT_MAX_TOGETHER,
      },
      (publisherDeps, info) =>
        new MediaPublisher(publisherDeps, {
          stream: info.name,
          producerStart: request.producerStart,
          maxTracks: request.maxTracks ?? DEFAULT_MAX_TRACKS,
          maxFragmentBytes: request.maxFragmentBytes ?? DEFAULT_MAX_FRAGMENT_BYTES,
          isArchived: () => (deps.registry.findById(streamId)?.retentionHours ?? 0) > 0,
          acknowledge: request.acknowledge,
          onFailed: () => over.abort(),
        }),
    )
    return new PutMediaSession(live, deps, request, over)
  }

  private constructor(
    live: LiveSession<MediaPublisher>,
    deps: IngestDeps,
    request: PutMediaRequest,
    over: AbortController,
  ) {
    this.#over = over
    this.#live = live
    this.#deps = deps
    this.#request = request
    live.evicted.addEventListener('abort', () => {
      this.#fail('STREAM_NOT_ACTIVE', 'the stream is being removed')
    })
    void this.#watch()
  }

  /** Aborts when it takes nothing more: an ERROR was acknowledged, or nothing came for too long. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /**
   * Takes the next bytes of the body, which must not be written again.
   *
   * @returns a promise to wait for before the next bytes, when the disk is slower than the producer;
   *   rejects when it is over
   */
  push(bytes: Uint8Array): Promise<void> | null {
    this.#hasHeard = true
    const { publisher } = this.#live
    publisher.push(bytes)
    const drained = untilDrained(publisher, { clock: this.#deps.clock, signal: this.over })
    if (drained === null) return null
    this.#isPaused = true
    return drained.finally(() => (this.#isPaused = false))
  }

  /** Keeps what came and frees the stream; every acknowledgement was given when it resolves. */
  async end(reason: SessionEndReason): Promise<void> {
    this.#over.abort()
    const { hasFailed } = this.#live.publisher
    await this.#live.end(this.#reason ?? (hasFailed ? 'protocol-error' : reason))
  }

  /** The service stops: the producer is told to come again. */
  stop(): void {
    this.#reason ??= 'shutdown'
    this.#fail('INTERNAL_ERROR', 'the service stops')
  }

  #fail(code: PutMediaErrorCode, message: string): void {
    this.#live.publisher.fail(code, message)
  }

  /** In ticks and not by the clock, so that a step of it ends nobody. */
  async #watch(): Promise<void> {
    try {
      for (let silentTicks = 0; silentTicks < MAX_SILENT_TICKS;) {
        this.#hasHeard = false
        await this.#deps.clock.sleep(IDLE_TICK_MS, this.over)
        silentTicks = this.#hasHeard || this.#isPaused ? 0 : silentTicks + 1
        if (silentTicks === 0) continue
        this.#request.acknowledge({ type: 'IDLE' })
        if (this.#live.publisher.isWaitedFor) {
          this.#reason ??= 'idle'
          this.#live.publisher.giveWay()
        }
      }
      this.#reason ??= 'idle'
      this.#over.abort()
    } catch {
      // It was over before.
    }
  }
}

export type PutMediaRequest = PutMediaLimits & {
  readonly stream: string
  /** Address and port. */
  readonly peer: string
  /** What Timecodes count from: 0 for absolute ones. Milliseconds since 1970. */
  readonly producerStart: number
  /** In order; not to be thrown from. */
  readonly acknowledge: (acknowledgement: Acknowledgement) => void
  /** Aborts when the producer is gone while the stream is being claimed. */
  readonly signal?: AbortSignal
}

export type PutMediaLimits = {
  /** Default 10. */
  readonly maxTracks?: number
  /** Default 50 MB. */
  readonly maxFragmentBytes?: number
  /**
   * Calls of one stream at a time: a producer opens another one before the last has drained. Default 5.
   */
  readonly maxTogether?: number
}

const DEFAULT_MAX_TOGETHER = 5
const DEFAULT_MAX_TRACKS = 10
const DEFAULT_MAX_FRAGMENT_BYTES = 50_000_000
/** IDLE is told every so often; after six of them the session ends. */
const IDLE_TICK_MS = 5_000
const MAX_SILENT_TICKS = 6
