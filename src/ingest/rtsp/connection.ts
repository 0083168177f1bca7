import type { Socket } from 'node:net'
import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import { createDeferred } from '../../platform/deferred.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import type { LiveSessions, SessionEndReason } from '../live-sessions.ts'
import type { LoginLimiter } from '../login-limiter.ts'
import { PeerSocket, SlowReaderError } from '../peer-socket.ts'
import type { ReadPacer } from '../read-pacer.ts'
import type { RtspAnswer } from './answer.ts'
import { untilDrained, type ThrottleOptions } from '../disk-throttle.ts'
import { encodeFrame, encodeResponse, headerOf, type RtspRequest } from './message.ts'
import { RtspReader, type RtspItem, type RtspLimits } from './message-reader.ts'
import { RtspPublishSession } from './publish-session.ts'
import type { UdpPortRange } from './udp-ports.ts'

/**
 * One RTSP socket of a publisher: messages and frames, answers, timeouts, backpressure, and the wall
 * behind which a peer's errors stay. Nothing that a peer sends throws out of here.
 */
export class RtspConnection {
  readonly #deps: RtspConnectionDeps
  readonly #options: RtspConnectionOptions
  readonly #reader = new RtspReader(STRANGER_LIMITS)
  readonly #socket: PeerSocket<RtspItem>
  readonly #session: RtspPublishSession
  readonly #over = new AbortController()
  #isAuthorised = false
  #wasChallenged = false
  #heardSinceTick = false
  #isClosed = false
  readonly #finishing = new Set<Promise<void>>()
  readonly #throttling: ThrottleOptions
  readonly #ended = createDeferred<void>()

  constructor(socket: Socket, deps: RtspConnectionDeps, options: RtspConnectionOptions) {
    this.#deps = deps
    this.#options = options
    this.#throttling = {
      pauseAboveBytes: options.pauseAboveBytes,
      clock: deps.clock,
      signal: this.#over.signal,
    }
    this.#socket = new PeerSocket(socket, deps, this.#reader, {
      take: (item, arrivedAt) => this.#take(item, arrivedAt),
      throttle: () => this.#throttle(),
      leave: (error) => this.#close(error === null ? 'peer-closed' : 'connection-error'),
      fail: (error) => this.#fail(error),
    })
    this.#session = new RtspPublishSession(
      {
        ...deps,
        signal: this.#over.signal,
        sendFrame: (channel, payload) => this.#socket.write(encodeFrame(channel, payload)),
        onPublishing: () => {
          this.#isAuthorised = true
          this.#reader.setLimits(PUBLISHER_LIMITS)
          this.#socket.expectMedia()
          const evicted = this.#session.publishing?.evicted
          evicted?.addEventListener('abort', () => this.#close('stream-removed'))
        },
        onEnded: (finished) => this.#keep(finished),
      },
      {
        ...options,
        address: socket.remoteAddress ?? '',
        localAddress: socket.localAddress ?? '',
        keepaliveSeconds: Math.max(1, Math.floor((options.idleTimeoutMs - 5000) / 1000)),
      },
    )
    void this.#watch()
    void this.#report()
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

  #take(item: RtspItem, arrivedAt: EpochMs): Promise<void> | null {
    this.#heardSinceTick = true
    if (item.kind === 'frame') {
      this.#session.frame(item.channel, item.payload, arrivedAt)
      return null
    }
    if (item.kind === 'response') return null // we ask nothing
    const answer = this.#session.handle(item)
    if (answer instanceof Promise) return answer.then((late) => this.#answer(item, late))
    this.#answer(item, answer)
    return null
  }

  #answer(request: RtspRequest, answer: RtspAnswer): void {
    if (this.#isClosed) return
    const { status, reason, headers = [], refusal, closes } = answer
    this.#wasChallenged ||= status === 401
    const cseq = headerOf(request.headers, 'cseq')
    const response = {
      status,
      ...(reason === undefined ? {} : { reason }),
      headers: [...(cseq === null ? [] : ([['CSeq', cseq]] as const)), SERVER, ...headers],
    }
    this.#socket.write(encodeResponse(response))
    if (refusal !== undefined) {
      this.#wasChallenged = false
      this.#refuse(refusal, answer.detail ?? request.method)
    }
    if (closes ?? false) this.#close('protocol-error', { lingers: true })
  }

  /** When the disk is slower than the peer, the peer has to wait; `null` when it need not. */
  #throttle(): Promise<void> | null {
    return untilDrained(this.#session.publishing?.publisher, this.#throttling)
  }

  /**
   * 1. A peer that does not record within the handshake's time is a stalled one.
   * 2. A publisher from which no RTP and no RTCP comes for the media timeout is gone, whatever else it
   *    sends. One that has paused, or ended and not begun again, may be silent for the idle timeout.
   *
   * Silence is counted in ticks, so that a step of the wall clock ends nobody.
   */
  async #watch(): Promise<void> {
    const { handshakeTimeoutMs, mediaTimeoutMs, idleTimeoutMs } = this.#options
    try {
      await this.#deps.clock.sleep(handshakeTimeoutMs, this.#over.signal)
      if (!this.#isAuthorised) {
        if (!this.#wasChallenged) this.#refuse('handshake-timeout', 'did not publish in time')
        this.#close('idle')
        return
      }
      let silentMs = 0
      let packets = this.#session.packets
      const tickMs = mediaTimeoutMs / TICKS
      while (silentMs < (this.#session.publishing === null ? idleTimeoutMs : mediaTimeoutMs)) {
        this.#heardSinceTick = false
        await this.#deps.clock.sleep(tickMs, this.#over.signal)
        const isPublishing = this.#session.publishing !== null
        const isHeard = isPublishing ? this.#session.packets !== packets : this.#heardSinceTick
        // While we do not read, for the disk's sake, silence says nothing about the peer.
        silentMs = isHeard || this.#socket.isSuspended ? 0 : silentMs + tickMs
        packets = this.#session.packets
      }
      this.#close('idle')
    } catch (error) {
      if (!this.#over.signal.aborted) this.#fail(error)
    }
  }

  async #report(): Promise<void> {
    try {
      for (;;) {
        await this.#deps.clock.sleep(REPORT_EVERY_MS, this.#over.signal)
        this.#session.sendReceiverReports()
      }
    } catch (error) {
      if (!this.#over.signal.aborted) this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return
    if (error instanceof SlowReaderError) {
      this.#close('slow-reader')
    } else if (error instanceof ServiceError) {
      if (this.#session.publishing === null) this.#refuse('protocol-error', error.message)
      else this.#deps.log.warn({ err: error, peer: this.#options.peer }, 'publisher broke rules')
      this.#socket.write(
        encodeResponse({ status: 400, headers: [SERVER, ['Connection', 'close']] }),
      )
      this.#close('protocol-error', { lingers: true })
    } else {
      this.#deps.log.error({ err: error, peer: this.#options.peer }, 'RTSP session failed')
      this.#close('internal')
    }
  }

  #refuse(reason: string, detail: string): void {
    const { protocol, peer } = this.#options
    this.#deps.events.sessionRefused({ protocol, peer, reason, detail })
  }

  /** Whoever waits for us to end waits for it too. */
  #keep(finished: Promise<void>): void {
    const kept = finished.catch((error: unknown) => this.#fail(error))
    this.#finishing.add(kept)
    void kept.then(() => this.#finishing.delete(kept))
  }

  #close(reason: SessionEndReason, options: { readonly lingers?: boolean } = {}): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // ffmpeg leaves when it is asked for a key that it has not got; that is the whole story.
    if (this.#wasChallenged && !this.#isAuthorised) this.#refuse('unauthorized', 'no credentials')
    this.#keep(this.#session.end(reason))
    this.#over.abort()
    void Promise.all(this.#finishing).then(() => this.#ended.resolve())
    if (options.lingers ?? false) void this.#socket.closeGently()
    else this.#socket.close()
  }
}

export type RtspConnectionDeps = IngestDeps & {
  readonly sessions: LiveSessions
  readonly loginLimiter: LoginLimiter
  readonly pacer: ReadPacer
}

export type RtspConnectionOptions = {
  readonly protocol: 'rtsp' | 'rtsps'
  /** Address and port. */
  readonly peer: string
  /** `null`: UDP is off. */
  readonly udpPorts: UdpPortRange | null
  /** From accepting the connection to recording. */
  readonly handshakeTimeoutMs: number
  /** Without RTP and RTCP from a publisher. */
  readonly mediaTimeoutMs: number
  /** Without a request from a peer that has paused. */
  readonly idleTimeoutMs: number
  /** Bytes waiting for the disk above which the peer is not read from. */
  readonly pauseAboveBytes: number
}

/** Requests and nothing else. */
const STRANGER_LIMITS: RtspLimits = {
  maxHeaderBytes: 16 * 1024,
  maxBodyBytes: 64 * 1024,
  maxGarbageBytes: 0,
}

/** A lost place in the stream is found again within a few frames, or never. */
const PUBLISHER_LIMITS: RtspLimits = { ...STRANGER_LIMITS, maxGarbageBytes: 1024 * 1024 }

const SERVER = ['Server', 'Kinora'] as const
/** Of the media timeout. */
const TICKS = 4
const REPORT_EVERY_MS = 10_000
