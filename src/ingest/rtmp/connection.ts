import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { ServiceError } from '../../domain/errors.ts'
import { createDeferred } from '../../platform/deferred.ts'
import { untilDrained, type ThrottleOptions } from '../disk-throttle.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import type { LiveSessions, SessionEndReason } from '../live-sessions.ts'
import type { LoginLimiter } from '../login-limiter.ts'
import type { ChunkLimits } from './chunk-stream.ts'
import { HANDSHAKE_BYTES, ServerHandshake } from './handshake.ts'
import type { ReadPacer } from '../read-pacer.ts'
import { SlowReaderError } from '../peer-socket.ts'
import { RtmpSocket } from './rtmp-socket.ts'
import { RtmpRefusal, RtmpSession } from './session.ts'

/**
 * One publisher's connection: its socket, its session, its timeouts, and the wall behind which its
 * errors stay.
 */
export class RtmpConnection {
  readonly #deps: RtmpConnectionDeps
  readonly #options: RtmpConnectionOptions
  readonly #socket: RtmpSocket
  readonly #session: RtmpSession
  readonly #over = new AbortController()
  #isAuthorised = false
  readonly #throttling: ThrottleOptions
  readonly #ended = createDeferred<void>()

  constructor(socket: Socket, deps: RtmpConnectionDeps, options: RtmpConnectionOptions) {
    this.#deps = deps
    this.#options = options
    this.#throttling = {
      pauseAboveBytes: options.pauseAboveBytes,
      clock: deps.clock,
      signal: this.#over.signal,
    }
    const handshake = new ServerHandshake(randomBytes(2 * HANDSHAKE_BYTES))
    this.#socket = new RtmpSocket(
      socket,
      deps,
      { handshake, limits: STRANGER_LIMITS },
      {
        take: (message, arrivedAt) => this.#session.handle(message, arrivedAt),
        throttle: () => this.#throttle(),
        leave: (error) => this.#close(error === null ? 'peer-closed' : 'connection-error'),
        fail: (error) => this.#fail(error),
      },
    )
    this.#session = new RtmpSession(
      {
        ...deps,
        signal: this.#over.signal,
        send: (message) => this.#socket.send(message),
        onPublishing: () => {
          this.#isAuthorised = true
          this.#socket.expectMedia(PUBLISHER_LIMITS)
          const evicted = this.#session.publishing?.evicted
          evicted?.addEventListener('abort', () => this.#close('stream-removed'))
        },
      },
      {
        ...options,
        address: socket.remoteAddress ?? '',
        windowBytes: WINDOW_BYTES,
        chunkBytes: CHUNK_BYTES,
      },
    )
    void this.#watch()
  }

  get isAuthorised(): boolean {
    return this.#isAuthorised
  }

  /** Resolves when it is closed and all that it published is persisted or given up. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Completes the open fragment and closes. */
  async shutDown(): Promise<void> {
    this.#close('shutdown')
    await this.#ended.promise
  }

  #throttle(): Promise<void> | null {
    return untilDrained(this.#session.publishing?.publisher, this.#throttling)
  }

  /**
   * 1. A peer that does not publish within the handshake's time is a stalled one.
   * 2. After half of the idle time without a byte it is pinged; after all of it, it is gone. Silence
   *    is counted in ticks, so that a step of the wall clock ends nobody.
   * 3. A publisher that only answers pings frees its stream after twice the idle time.
   */
  async #watch(): Promise<void> {
    const { handshakeTimeoutMs, idleTimeoutMs } = this.#options
    try {
      await this.#deps.clock.sleep(handshakeTimeoutMs, this.#over.signal)
      if (!this.#isAuthorised) {
        this.#refuse('handshake-timeout', 'did not publish in time')
        this.#close('idle')
        return
      }
      let silentTicks = 0
      let ticksWithoutMedia = 0
      let lastSampleAt = this.#session.publishing?.publisher.lastSampleAt ?? null
      while (silentTicks < 2 && ticksWithoutMedia < MEDIA_IDLE_TICKS) {
        const heardBytes = this.#socket.receivedBytes
        await this.#deps.clock.sleep(idleTimeoutMs / 2, this.#over.signal)
        const isHeard = this.#socket.receivedBytes !== heardBytes || this.#socket.isSuspended
        silentTicks = isHeard ? 0 : silentTicks + 1
        if (silentTicks === 1) this.#session.ping()
        const sampleAt = this.#session.publishing?.publisher.lastSampleAt ?? null
        const hasMoved = sampleAt !== lastSampleAt || this.#socket.isSuspended
        ticksWithoutMedia = hasMoved ? 0 : ticksWithoutMedia + 1
        lastSampleAt = sampleAt
      }
      this.#close('idle')
    } catch (error) {
      if (!this.#over.signal.aborted) this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#over.signal.aborted) return
    if (error instanceof RtmpRefusal) {
      this.#refuse(error.reason, error.message)
      this.#close('protocol-error', error)
    } else if (error instanceof SlowReaderError) {
      this.#close('slow-reader')
    } else if (error instanceof ServiceError) {
      if (this.#session.publishing === null) this.#refuse('protocol-error', error.message)
      else this.#deps.log.warn({ err: error, peer: this.#options.peer }, 'publisher broke rules')
      this.#close('protocol-error')
    } else {
      this.#deps.log.error({ err: error, peer: this.#options.peer }, 'RTMP session failed')
      this.#close('internal')
    }
  }

  #refuse(reason: string, detail: string): void {
    const { protocol, peer } = this.#options
    this.#deps.events.sessionRefused({ protocol, peer, reason, detail })
  }

  /** @param refusal is still told to the peer */
  #close(reason: SessionEndReason, refusal: RtmpRefusal | null = null): void {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    Promise.resolve()
      .then(() => this.#session.end(reason))
      .catch((error: unknown) => {
        this.#deps.log.error({ err: error, peer: this.#options.peer }, 'RTMP session end failed')
      })
      .finally(() => this.#ended.resolve())
    if (refusal === null) {
      this.#socket.close()
      return
    }
    this.#socket.send(refusal.answer)
    void this.#socket.closeGently()
  }
}

export type RtmpConnectionDeps = IngestDeps & {
  readonly sessions: LiveSessions
  readonly loginLimiter: LoginLimiter
  readonly pacer: ReadPacer
}

export type RtmpConnectionOptions = {
  readonly protocol: 'rtmp' | 'rtmps'
  readonly peer: string
  readonly app: string
  /** From accepting the connection to publishing. */
  readonly handshakeTimeoutMs: number
  /** Without a byte from the peer; it is pinged after half of it. */
  readonly idleTimeoutMs: number
  /** Bytes waiting for the disk above which the peer is not read from. */
  readonly pauseAboveBytes: number
}

/** Commands and nothing else. */
const STRANGER_LIMITS: ChunkLimits = {
  maxMessageBytes: 64 * 1024,
  maxPendingBytes: 128 * 1024,
  maxChunkStreams: 16,
}

const PUBLISHER_LIMITS: ChunkLimits = {
  maxMessageBytes: 8 * 1024 * 1024,
  maxPendingBytes: 16 * 1024 * 1024,
  maxChunkStreams: 64,
}

const WINDOW_BYTES = 2_500_000
const CHUNK_BYTES = 4096
/** Of half the idle time each. */
const MEDIA_IDLE_TICKS = 4
