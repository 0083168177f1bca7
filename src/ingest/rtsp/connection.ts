import type { Socket } from 'node:net'
import { ServiceError } from '../../domain/errors.ts'
import { createDeferred } from '../../platform/deferred.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import type { LiveSessions, SessionEndReason } from '../live-sessions.ts'
import type { LoginLimiter } from '../login-limiter.ts'
import type { PacedReader, ReadPacer } from '../rtmp/read-pacer.ts'
import type { RtspAnswer } from './answer.ts'
import { untilDrained } from '../disk-throttle.ts'
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
  readonly #socket: Socket
  readonly #pacedReader: PacedReader
  readonly #session: RtspPublishSession
  readonly #reader = new RtspReader(STRANGER_LIMITS)
  readonly #over = new AbortController()
  #isAuthorised = false
  #wasChallenged = false
  #heardSinceTick = false
  /** An answer is being waited for, or the disk: nothing is read meanwhile. */
  #isSuspended = false
  #peerGone: SessionEndReason | null = null
  #isClosed = false
  readonly #finishing = new Set<Promise<void>>()
  readonly #ended = createDeferred<void>()

  constructor(socket: Socket, deps: RtspConnectionDeps, options: RtspConnectionOptions) {
    this.#socket = socket
    this.#pacedReader = { socket, mayRead: () => !this.#isSuspended }
    this.#deps = deps
    this.#options = options
    this.#session = new RtspPublishSession(
      {
        ...deps,
        signal: this.#over.signal,
        sendFrame: (channel, payload) => this.#write(encodeFrame(channel, payload)),
        onPublishing: () => {
          this.#isAuthorised = true
          this.#reader.setLimits(PUBLISHER_LIMITS)
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
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('error', () => (this.#peerGone ??= 'connection-error'))
    socket.on('close', () => {
      this.#peerGone ??= 'peer-closed'
      if (!this.#isSuspended) this.#close(this.#peerGone)
    })
    void this.#watch()
    void this.#report()
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

  #receive(bytes: Buffer): void {
    if (this.#isClosed) return
    this.#heardSinceTick = true
    this.#reader.push(bytes)
    if (!this.#isSuspended) this.#pump()
    if (this.#session.publishing !== null && !this.#isSuspended && !this.#isClosed) {
      this.#deps.pacer.pace(this.#pacedReader, bytes.length)
    }
  }

  /** Handles what has come until there is no more, or until something has to be waited for. */
  #pump(): void {
    const arrivedAt = this.#deps.clock.now()
    try {
      while (!this.#isClosed) {
        const item = this.#reader.next()
        if (item === null) break
        if (item.kind === 'frame') this.#session.frame(item.channel, item.payload, arrivedAt)
        const wait = item.kind === 'frame' ? null : this.#handle(item)
        if (wait !== null) {
          this.#suspendUntil(wait)
          return
        }
      }
      const wait = this.#throttle()
      if (wait !== null) this.#suspendUntil(wait)
      else if (this.#peerGone !== null) this.#close(this.#peerGone)
    } catch (error) {
      this.#fail(error)
    }
  }

  #handle(message: Exclude<RtspItem, { kind: 'frame' }>): Promise<void> | null {
    if (message.kind === 'response') return null // we ask nothing
    const answer = this.#session.handle(message)
    if (!(answer instanceof Promise)) {
      this.#answer(message, answer)
      return null
    }
    return answer.then((late) => this.#answer(message, late))
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
    this.#write(encodeResponse(response))
    if (refusal !== undefined) {
      this.#wasChallenged = false
      this.#refuse(refusal, answer.detail ?? request.method)
    }
    if (closes ?? false) this.#close('protocol-error', { lingers: true })
  }

  /** When the disk is slower than the peer, the peer has to wait; `null` when it need not. */
  #throttle(): Promise<void> | null {
    const publisher = this.#session.publishing?.publisher
    if (publisher === undefined) return null
    const { pauseAboveBytes } = this.#options
    return untilDrained(publisher, {
      pauseAboveBytes,
      clock: this.#deps.clock,
      signal: this.#over.signal,
    })
  }

  #suspendUntil(wait: Promise<void>): void {
    this.#isSuspended = true
    this.#socket.pause()
    wait.then(
      () => {
        this.#isSuspended = false
        this.#socket.resume()
        this.#pump()
      },
      (error: unknown) => {
        this.#isSuspended = false
        this.#fail(error)
      },
    )
  }

  #write(bytes: Uint8Array): void {
    if (!this.#socket.writable) return
    this.#socket.write(bytes)
    // Our answers are small: a peer that lets them pile up does not read at all.
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#close('slow-reader')
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
        silentMs = isHeard || this.#isSuspended ? 0 : silentMs + tickMs
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
    if (error instanceof ServiceError) {
      if (this.#session.publishing === null) this.#refuse('protocol-error', error.message)
      else this.#deps.log.warn({ err: error, peer: this.#options.peer }, 'publisher broke rules')
      this.#write(encodeResponse({ status: 400, headers: [SERVER, ['Connection', 'close']] }))
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
    this.#socket.removeAllListeners('data')
    if (options.lingers ?? false) this.#linger()
    else this.#socket.destroy()
  }

  /**
   * Lets the last answer arrive: closing at once would reset the connection while the peer still
   * sends. What it sends is thrown away unparsed, and not for long.
   */
  #linger(): void {
    const gone = new AbortController()
    this.#socket.once('close', () => gone.abort())
    this.#socket.resume()
    this.#socket.end()
    this.#deps.clock.sleep(LINGER_MS, gone.signal).then(
      () => this.#socket.destroy(),
      () => undefined, // it has closed by itself
    )
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
const MAX_UNREAD_BYTES = 64 * 1024
const LINGER_MS = 500
