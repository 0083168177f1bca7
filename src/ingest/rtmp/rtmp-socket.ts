import type { Socket } from 'node:net'
import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import {
  ChunkStreamReader,
  DEFAULT_CHUNK_BYTES,
  TYPE_SET_CHUNK_SIZE,
  type ChunkLimits,
  type RtmpMessage,
} from './chunk-stream.ts'
import { toChunks, type OutgoingMessage } from './chunk-writer.ts'
import * as commands from './commands.ts'
import type { Handshake } from './handshake.ts'
import type { PacedReader, ReadPacer } from '../read-pacer.ts'

/**
 * A socket that speaks RTMP, of a publisher or of a server that we call: handshake, chunks,
 * acknowledgements and pings. Hands on the other messages one by one, and reads nothing while
 * somebody is busy with one. Nothing that a peer sends throws out of here.
 */
export class RtmpSocket {
  readonly #socket: Socket
  readonly #deps: RtmpSocketDeps
  readonly #owner: RtmpSocketOwner
  readonly #pacedReader: PacedReader
  readonly #reader: ChunkStreamReader
  #handshake: Handshake | null
  /** Handshake bytes that came so far. */
  #greeting: Buffer = Buffer.alloc(0)
  #receivedBytes = 0
  #acknowledgedBytes = 0
  /**
   * The peer's; it gets acknowledgements if it asks for them (§5.4.4). Unasked ones do harm: a client
   * that closes without having read them resets the connection and its last media is lost with it.
   */
  #windowBytes = Number.POSITIVE_INFINITY
  #outChunkBytes = DEFAULT_CHUNK_BYTES
  #hasMedia = false
  #isSuspended = false
  /** Of the bytes that are being handled. */
  #arrivedAt: EpochMs
  #gone: { readonly error: Error | null } | null = null
  #isClosed = false

  constructor(
    socket: Socket,
    deps: RtmpSocketDeps,
    options: { readonly handshake: Handshake; readonly limits: ChunkLimits },
    owner: RtmpSocketOwner,
  ) {
    this.#socket = socket
    this.#deps = deps
    this.#owner = owner
    this.#handshake = options.handshake
    this.#reader = new ChunkStreamReader(options.limits)
    this.#pacedReader = { socket, mayRead: () => !this.#isSuspended }
    this.#arrivedAt = deps.clock.now()
    let error: Error | null = null
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('error', (cause) => (error ??= cause))
    socket.on('close', () => {
      this.#gone ??= { error }
      if (!this.#isSuspended) this.#tellGone()
    })
    this.#write(options.handshake.greeting)
  }

  /** All that came; silence is when it stays the same. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** While nothing is read, silence says nothing about the peer. */
  get isSuspended(): boolean {
    return this.#isSuspended
  }

  /** Media comes from here on: reads are paced, and messages may be large. */
  expectMedia(limits: ChunkLimits): void {
    this.#hasMedia = true
    this.#reader.setLimits(limits)
  }

  send(message: OutgoingMessage): void {
    this.#write(toChunks(message, this.#outChunkBytes))
    if (message.typeId === TYPE_SET_CHUNK_SIZE) {
      this.#outChunkBytes = new DataView(
        message.payload.buffer,
        message.payload.byteOffset,
      ).getUint32(0)
    }
  }

  close(): void {
    this.#end()
    this.#socket.destroy()
  }

  /**
   * Lets the last answer arrive: closing at once would reset the connection while the peer still
   * sends. What it sends is thrown away unparsed, and not for long. Resolves when it is closed.
   */
  async closeGently(): Promise<void> {
    this.#end()
    const gone = new AbortController()
    this.#socket.once('close', () => gone.abort())
    if (this.#socket.closed) return
    this.#socket.resume()
    this.#socket.end()
    try {
      await this.#deps.clock.sleep(LINGER_MS, gone.signal)
      this.#socket.destroy()
    } catch {
      return // it has closed by itself
    }
  }

  #end(): void {
    this.#isClosed = true
    this.#socket.removeAllListeners('data')
  }

  #receive(bytes: Buffer): void {
    if (this.#isClosed) return
    this.#receivedBytes += bytes.length
    this.#arrivedAt = this.#deps.clock.now()
    try {
      const chunks = this.#handshake === null ? bytes : this.#greet(this.#handshake, bytes)
      if (chunks !== null) this.#reader.push(chunks)
      if (!this.#isSuspended) this.#pump()
      this.#acknowledge()
    } catch (error) {
      this.#owner.fail(error)
    }
    if (this.#hasMedia && !this.#isSuspended && !this.#isClosed) {
      this.#deps.pacer.pace(this.#pacedReader, bytes.length)
    }
  }

  /** @returns what follows the handshake; `null` while it is going on */
  #greet(handshake: Handshake, bytes: Buffer): Uint8Array | null {
    this.#greeting = Buffer.concat([this.#greeting, bytes])
    for (;;) {
      const step = handshake.step(this.#greeting)
      this.#greeting = this.#greeting.subarray(step.consumed)
      if (step.reply !== null) this.#write(step.reply)
      if (step.done) {
        const rest = this.#greeting
        this.#handshake = null
        this.#greeting = Buffer.alloc(0)
        this.#owner.greeted?.()
        return rest
      }
      if (step.consumed === 0) return null
    }
  }

  /** Hands on messages until there is none, or until one has to be waited for. */
  #pump(): void {
    while (!this.#isClosed) {
      const message = this.#reader.next()
      if (message === null) break
      const wait = this.#take(message) ?? this.#owner.throttle()
      if (wait !== null) {
        this.#suspendUntil(wait)
        return
      }
    }
    this.#tellGone()
  }

  #take(message: RtmpMessage): Promise<void> | null {
    const { typeId, payload } = message
    switch (typeId) {
      case commands.TYPE_WINDOW_ACK_SIZE:
        // At most one acknowledgement goes out per read, so a tiny window costs nothing.
        this.#windowBytes = commands.parseWindow(payload) ?? this.#windowBytes
        return null
      case commands.TYPE_SET_PEER_BANDWIDTH: {
        // §5.4.5: the limit of what we send, which is little; it is answered with a window.
        const bytes = commands.parseWindow(payload)
        if (bytes !== null) this.send(commands.windowAckSize(bytes))
        return null
      }
      case commands.TYPE_USER_CONTROL: {
        const answer = commands.answerUserControl(payload)
        if (answer === null) return this.#owner.take(message, this.#arrivedAt)
        this.send(answer)
        return null
      }
      default:
        return this.#owner.take(message, this.#arrivedAt)
    }
  }

  #suspendUntil(wait: Promise<void>): void {
    this.#isSuspended = true
    this.#socket.pause()
    wait
      .then(() => {
        this.#isSuspended = false
        if (this.#isClosed) return
        this.#socket.resume()
        this.#pump()
      })
      .catch((error: unknown) => {
        this.#isSuspended = false
        this.#owner.fail(error)
      })
  }

  /** After all that came before it has been handled. */
  #tellGone(): void {
    if (this.#gone === null || this.#isClosed) return
    this.#end()
    this.#owner.leave(this.#gone.error)
  }

  /** §5.4.3: once per window of the peer's, with all bytes so far. */
  #acknowledge(): void {
    if (this.#receivedBytes - this.#acknowledgedBytes < this.#windowBytes) return
    this.#acknowledgedBytes = this.#receivedBytes
    this.send(commands.acknowledgement(this.#receivedBytes))
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length === 0 || !this.#socket.writable) return
    this.#socket.write(bytes)
    // What we say is little: a peer that lets it pile up does not read at all.
    if (!this.#isClosed && this.#socket.writableLength > MAX_UNREAD_BYTES) {
      this.#owner.fail(new SlowReaderError())
    }
  }
}

export type RtmpSocketOwner = {
  /** The handshake is over. */
  greeted?(): void
  /** @returns a promise when nothing is to be read until it resolves */
  take(message: RtmpMessage, arrivedAt: EpochMs): Promise<void> | null
  /** Asked after every message; a promise as with `take`. */
  throttle(): Promise<void> | null
  /** The peer has closed, or the connection broke; nothing follows. */
  leave(error: Error | null): void
  /** What `take` threw, what its promise rejected with, or what the peer did to the chunks. */
  fail(error: unknown): void
}

export type RtmpSocketDeps = {
  readonly clock: Clock
  readonly pacer: ReadPacer
}

/** The peer reads nothing of what we write. */
export class SlowReaderError extends Error {
  override name = 'SlowReaderError'
}

const MAX_UNREAD_BYTES = 64 * 1024
const LINGER_MS = 500
