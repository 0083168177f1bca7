import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import { createDeferred } from '../../platform/deferred.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import type { LiveSessions, SessionEndReason } from '../live-sessions.ts'
import {
  ChunkStreamReader,
  DEFAULT_CHUNK_BYTES,
  TYPE_SET_CHUNK_SIZE,
  type ChunkLimits,
  type RtmpMessage,
} from './chunk-stream.ts'
import { toChunks, type OutgoingMessage } from './chunk-writer.ts'
import { acknowledgement, pingRequest, TYPE_WINDOW_ACK_SIZE } from './commands.ts'
import { HANDSHAKE_BYTES, ServerHandshake } from './handshake.ts'
import type { PacedReader, ReadPacer } from './read-pacer.ts'
import { RtmpRefusal, RtmpSession } from './session.ts'

/**
 * One RTMP socket: handshake, chunks, acknowledgements, timeouts, backpressure, and the wall behind
 * which a peer's errors stay. Nothing that a peer sends throws out of here.
 */
export class RtmpConnection {
  readonly #deps: RtmpConnectionDeps
  readonly #options: RtmpConnectionOptions
  readonly #socket: Socket
  readonly #pacedReader: PacedReader
  readonly #session: RtmpSession
  readonly #handshake = new ServerHandshake(randomBytes(HANDSHAKE_BYTES))
  readonly #reader = new ChunkStreamReader(STRANGER_LIMITS)
  readonly #over = new AbortController()
  /** Handshake bytes that came so far; `null` after it. */
  #greeting: Buffer | null = Buffer.alloc(0)
  #receivedBytes = 0
  #acknowledgedBytes = 0
  /**
   * The peer's; it gets acknowledgements if it asks for them (§5.4.4). Unasked ones do harm: a client
   * that closes without having read them resets the connection and its last media is lost with it.
   */
  #windowBytes = Number.POSITIVE_INFINITY
  #outChunkBytes = DEFAULT_CHUNK_BYTES
  #heardSinceTick = false
  #authorised = false
  /** Of the bytes that are being handled. */
  #arrivedAt: EpochMs
  /** A message is being waited for, or the disk: no message is read meanwhile. */
  #suspended = false
  #peerGone: SessionEndReason | null = null
  #closed = false
  readonly #ended = createDeferred<void>()

  constructor(socket: Socket, deps: RtmpConnectionDeps, options: RtmpConnectionOptions) {
    this.#socket = socket
    this.#pacedReader = { socket, mayRead: () => !this.#suspended }
    this.#deps = deps
    this.#options = options
    this.#arrivedAt = deps.clock.now()
    this.#session = new RtmpSession(
      {
        ...deps,
        signal: this.#over.signal,
        send: (message) => this.#send(message),
        onPublishing: () => {
          this.#authorised = true
          this.#reader.setLimits(PUBLISHER_LIMITS)
        },
      },
      { ...options, windowBytes: WINDOW_BYTES, chunkBytes: CHUNK_BYTES },
    )
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('error', () => (this.#peerGone ??= 'connection-error'))
    socket.on('close', () => {
      this.#peerGone ??= 'peer-closed'
      if (!this.#suspended) this.#close(this.#peerGone)
    })
    void this.#watch()
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
    if (this.#closed) return
    this.#receivedBytes += bytes.length
    this.#heardSinceTick = true
    this.#arrivedAt = this.#deps.clock.now()
    try {
      const media = this.#greeting === null ? bytes : this.#greet(bytes)
      if (media !== null) this.#reader.push(media)
      if (!this.#suspended) this.#pump()
      this.#acknowledge()
      if (this.#session.publishing !== null && !this.#suspended && !this.#closed) {
        this.#deps.pacer.pace(this.#pacedReader, bytes.length)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  /** @returns what follows the handshake; `null` while it is going on */
  #greet(bytes: Buffer): Uint8Array | null {
    let greeting = Buffer.concat([this.#greeting!, bytes])
    for (;;) {
      const step = this.#handshake.step(greeting)
      greeting = greeting.subarray(step.consumed)
      if (step.reply !== null) this.#write(step.reply)
      if (step.done) {
        this.#greeting = null
        return greeting
      }
      if (step.consumed === 0) {
        this.#greeting = greeting
        return null
      }
    }
  }

  /** Handles messages until there is none, or until one has to be waited for. */
  #pump(): void {
    while (!this.#closed) {
      const message = this.#reader.next()
      if (message === null) break
      const wait = this.#handle(message) ?? this.#throttle()
      if (wait !== null) {
        this.#suspendUntil(wait)
        return
      }
    }
    if (this.#peerGone !== null) this.#close(this.#peerGone)
  }

  #handle(message: RtmpMessage): Promise<void> | null {
    if (message.typeId === TYPE_WINDOW_ACK_SIZE && message.payload.length >= 4) {
      const bytes = Buffer.from(message.payload).readUInt32BE(0)
      // At most one acknowledgement goes out per read, so a tiny window costs nothing.
      if (bytes > 0) this.#windowBytes = bytes
      return null
    }
    return this.#session.handle(message, this.#arrivedAt)
  }

  /** When the disk is slower than the peer, the peer has to wait; `null` when it need not. */
  #throttle(): Promise<void> | null {
    const publisher = this.#session.publishing?.publisher
    if (publisher === undefined || publisher.queuedBytes <= this.#options.pauseAboveBytes) {
      return null
    }
    return (async () => {
      while (publisher.queuedBytes > this.#options.pauseAboveBytes / 2) {
        await this.#deps.clock.sleep(DRAIN_POLL_MS, this.#over.signal)
      }
    })()
  }

  #suspendUntil(wait: Promise<void>): void {
    this.#suspended = true
    this.#socket.pause()
    wait.then(
      () => {
        this.#suspended = false
        this.#socket.resume()
        try {
          this.#pump()
        } catch (error) {
          this.#fail(error)
        }
      },
      (error: unknown) => {
        this.#suspended = false
        this.#fail(error)
      },
    )
  }

  /** §5.4.3: once per window of the peer's, with all bytes so far. */
  #acknowledge(): void {
    if (this.#receivedBytes - this.#acknowledgedBytes < this.#windowBytes) return
    this.#acknowledgedBytes = this.#receivedBytes
    this.#send(acknowledgement(this.#receivedBytes))
  }

  #send(message: OutgoingMessage): void {
    this.#write(toChunks(message, this.#outChunkBytes))
    if (message.typeId === TYPE_SET_CHUNK_SIZE) this.#outChunkBytes = CHUNK_BYTES
  }

  #write(bytes: Uint8Array): void {
    if (!this.#socket.writable) return
    this.#socket.write(bytes)
    // Our answers are small: a peer that lets them pile up does not read at all.
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#close('slow-reader')
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
      if (!this.#authorised) {
        this.#refuse('handshake-timeout', 'did not publish in time')
        this.#close('idle')
        return
      }
      let silentTicks = 0
      let ticksWithoutMedia = 0
      let lastSampleAt = this.#session.publishing?.publisher.lastSampleAt ?? null
      while (silentTicks < 2 && ticksWithoutMedia < MEDIA_IDLE_TICKS) {
        this.#heardSinceTick = false
        await this.#deps.clock.sleep(idleTimeoutMs / 2, this.#over.signal)
        // While we do not read, for the disk's sake, silence says nothing about the peer.
        silentTicks = this.#heardSinceTick || this.#suspended ? 0 : silentTicks + 1
        if (silentTicks === 1) this.#send(pingRequest(0))
        const sampleAt = this.#session.publishing?.publisher.lastSampleAt ?? null
        const hasMoved = sampleAt !== lastSampleAt || this.#suspended
        ticksWithoutMedia = hasMoved ? 0 : ticksWithoutMedia + 1
        lastSampleAt = sampleAt
      }
      this.#close('idle')
    } catch (error) {
      if (!this.#over.signal.aborted) this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    if (error instanceof RtmpRefusal) {
      this.#refuse(error.reason, error.message)
      this.#send(error.answer)
      this.#close('protocol-error', { lingers: true })
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

  #close(reason: SessionEndReason, options: { readonly lingers?: boolean } = {}): void {
    if (this.#closed) return
    this.#closed = true
    Promise.resolve()
      .then(() => this.#session.end(reason))
      .catch((error: unknown) => {
        this.#deps.log.error({ err: error, peer: this.#options.peer }, 'RTMP session end failed')
      })
      .finally(() => this.#ended.resolve())
    this.#over.abort()
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

export type RtmpConnectionDeps = IngestDeps & {
  readonly sessions: LiveSessions
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
const MAX_UNREAD_BYTES = 64 * 1024
const DRAIN_POLL_MS = 20
const LINGER_MS = 500
