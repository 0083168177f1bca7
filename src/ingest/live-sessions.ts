import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { StreamInfo } from '../registry/index.ts'
import type { SessionDeps } from './ingest-deps.ts'
import type { FragmentTurns } from './put-media/fragment-turns.ts'
import { IngestPublisher, type PublisherDeps, type PublisherSnapshot } from './publisher.ts'
import type { IngestProtocol, IngestSession, Reconnects, TransportFacts } from './session-info.ts'
import { StreamClaims, streamRemoved, type StreamClaim } from './stream-claims.ts'

/**
 * Who publishes now, over all protocols: the one way from an authorised peer to its stream. A session
 * has the stream's one writer until it ends; it is listed and announced once nobody can refuse it.
 */
export class LiveSessions {
  readonly #deps: SessionDeps
  readonly #options: LiveSessionsOptions
  readonly #claims: StreamClaims
  readonly #sessions = new Set<LiveSession<SessionPublisher>>()
  /** How often streams were published before, of those that were so last. */
  readonly #former = new Map<StreamId, Reconnects>()

  constructor(deps: SessionDeps, options: LiveSessionsOptions = {}) {
    this.#deps = deps
    this.#options = options
    this.#claims = new StreamClaims(deps)
  }

  /** In order of their beginning. */
  list(): readonly IngestSession[] {
    return [...this.#sessions].map((session) => session.snapshot())
  }

  /**
   * @throws ServiceError `unauthenticated`/`PublishUnauthorized` for an unknown stream or a wrong key,
   *   `conflict`/`StreamBusy` while another publisher is there that does not share the stream with it,
   *   `not-found`/`StreamRemoved`,
   *   `unavailable`; the signal's reason
   */
  async open(request: SessionRequest): Promise<LiveSession> {
    const { fragmentTargetMs, maxFragmentMs } = this.#options
    return this.openWith(
      request,
      (deps, info) =>
        new IngestPublisher(deps, {
          stream: info.name,
          // RTMP and FLV have one time for all tracks; RTP has one for each (RFC 3550 §5.1).
          trackClocks: request.protocol.startsWith('rtsp') ? 'own' : 'shared',
          fragmentTargetMs: fragmentTargetMs ?? DEFAULT_FRAGMENT_TARGET_MS,
          maxFragmentMs: maxFragmentMs ?? DEFAULT_MAX_FRAGMENT_MS,
        }),
    )
  }

  /**
   * The same for a protocol that brings fragments of its own: PutMedia. Its sessions may overlap, and
   * take turns.
   */
  async openWith<P extends SessionPublisher>(
    request: SessionRequest,
    makePublisher: (deps: PublisherDeps & { turns: FragmentTurns }, info: StreamInfo) => P,
  ): Promise<LiveSession<P>> {
    const info = this.#claims.authorise(request.stream, request.authorisation)
    const claim = await this.#claims.claim(info, request.maxTogether)
    const isGone = request.signal?.aborted ?? false
    if (isGone || this.#claims.isClosed(info.streamId)) {
      await claim.release(async () => undefined)
      throw isGone ? request.signal!.reason : streamRemoved()
    }
    const publisher = makePublisher(
      { ...this.#deps, writer: claim.writer, turns: claim.turns },
      info,
    )
    const session = new LiveSession(this.#deps, claim, publisher, {
      ...request,
      onEnded: (reason) => {
        this.#sessions.delete(session)
        this.#remember(info.streamId, reason)
      },
    })
    session.noteReconnects(this.#former.get(info.streamId) ?? { count: 0, lastReason: null })
    this.#sessions.add(session)
    return session
  }

  /**
   * Runs `action`, the removal of a stream, while nobody publishes to it: whoever does is evicted, who
   * comes meanwhile is refused.
   */
  async whileClosed<T>(streamId: StreamId, action: () => Promise<T>): Promise<T> {
    const reopen = await this.#claims.close(streamId)
    try {
      const there = [...this.#sessions].filter(({ info }) => info.streamId === streamId)
      await Promise.all(there.map((session) => session.evict()))
      await this.#claims.left(streamId)
      return await action()
    } finally {
      reopen()
    }
  }

  #remember(streamId: StreamId, lastReason: SessionEndReason): void {
    const count = (this.#former.get(streamId)?.count ?? 0) + 1
    this.#former.delete(streamId)
    this.#former.set(streamId, { count, lastReason })
    const [oldest] = this.#former.keys()
    if (this.#former.size > MAX_REMEMBERED) this.#former.delete(oldest!)
  }
}

/** One publisher of one stream. */
export class LiveSession<P extends SessionPublisher = IngestPublisher> {
  readonly info: StreamInfo
  readonly publisher: P
  readonly startedAt: EpochMs
  readonly #deps: SessionDeps
  readonly #claim: StreamClaim
  readonly #options: LiveSessionOptions
  readonly #evicted = new AbortController()
  #ended: Promise<void> | null = null
  #reconnects: Reconnects = { count: 0, lastReason: null }

  constructor(deps: SessionDeps, claim: StreamClaim, publisher: P, options: LiveSessionOptions) {
    this.info = claim.info
    this.startedAt = deps.clock.now()
    this.#deps = deps
    this.#claim = claim
    this.#options = options
    this.publisher = publisher
    deps.events.sessionStarted(this.#name)
  }

  /** Of a pull, instead of the sessions before: whoever tries again knows of failed attempts too. */
  noteReconnects(reconnects: Reconnects): void {
    this.#reconnects = reconnects
  }

  snapshot(): IngestSession {
    const { transport } = this.#options
    return {
      ...this.#name,
      startedAt: this.startedAt,
      reconnects: this.#reconnects,
      transport: transport?.() ?? null,
      ...this.publisher.snapshot(),
    }
  }

  /** Aborts when its stream is being removed: the protocol tells its peer, and leaves it. */
  get evicted(): AbortSignal {
    return this.#evicted.signal
  }

  /** Ends it under its protocol. */
  evict(): Promise<void> {
    this.#evicted.abort()
    return this.end('stream-removed')
  }

  /**
   * Completes the open fragment and frees the stream. Safe more than once: the first reason counts.
   * Resolves when all that was published is persisted or given up.
   */
  end(reason: SessionEndReason): Promise<void> {
    return (this.#ended ??= this.#end(reason))
  }

  async #end(reason: SessionEndReason): Promise<void> {
    try {
      await this.#claim.release(() => this.publisher.end())
    } finally {
      this.#options.onEnded(reason)
      this.#deps.events.sessionEnded({ ...this.#name, reason })
    }
  }

  get #name() {
    const { protocol, peer } = this.#options
    return { protocol, stream: this.info.name, peer }
  }
}

export type LiveSessionsOptions = {
  /** Fragments are cut at the first key frame after this; default 2000. */
  readonly fragmentTargetMs?: number
  /** Longer GOPs are split; default 20,000, at most 31,767. */
  readonly maxFragmentMs?: number
}

export type SessionRequest = {
  readonly stream: string
  readonly authorisation: Authorisation
  readonly protocol: IngestProtocol
  /** Address and port. */
  readonly peer: string
  /** Sessions that may have the stream together with this one, if they all say so; default 1. */
  readonly maxTogether?: number
  /** Aborts when the peer is gone while its claim waits: then nobody publishes. */
  readonly signal?: AbortSignal
  /** What the protocol knows of its way: loss, jitter. */
  readonly transport?: () => TransportFacts
}

/** `verified`: a digest was checked, or we called the peer ourselves. */
export type Authorisation =
  { readonly kind: 'publish-key'; readonly key: string } | { readonly kind: 'verified' }

export type SessionEndReason =
  | 'unpublished'
  | 'peer-closed'
  | 'connection-error'
  | 'idle'
  | 'no-media'
  | 'protocol-error'
  | 'slow-reader'
  | 'shutdown'
  | 'source-changed'
  | 'stream-removed'
  | 'internal'

/** What a session puts media into its stream with. */
export type SessionPublisher = {
  snapshot(): PublisherSnapshot
  /** Completes the open fragment; resolves when it is persisted or given up. */
  end(): Promise<void>
}

type LiveSessionOptions = SessionRequest & {
  readonly onEnded: (reason: SessionEndReason) => void
}

const MAX_REMEMBERED = 1_000
const DEFAULT_FRAGMENT_TARGET_MS = 2_000
const DEFAULT_MAX_FRAGMENT_MS = 20_000
