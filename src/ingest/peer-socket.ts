import type { Socket } from 'node:net'
import type { EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import type { PacedReader, ReadPacer } from './read-pacer.ts'

/**
 * A peer's socket under a protocol of messages, of a publisher or of a camera or server that we
 * call: hands on what comes, one by one, and reads nothing while somebody is busy with it. Nothing
 * that a peer sends throws out of here.
 */
export class PeerSocket<Item> {
  readonly #socket: Socket
  readonly #deps: PeerSocketDeps
  readonly #framing: Framing<Item>
  readonly #owner: PeerSocketOwner<Item>
  readonly #pacedReader: PacedReader
  #receivedBytes = 0
  #isSuspended = false
  #hasMedia = false
  /** Of the bytes that are being handled. */
  #arrivedAt: EpochMs
  #gone: { readonly error: Error | null } | null = null
  #isClosed = false

  constructor(
    socket: Socket,
    deps: PeerSocketDeps,
    framing: Framing<Item>,
    owner: PeerSocketOwner<Item>,
  ) {
    this.#socket = socket
    this.#deps = deps
    this.#framing = framing
    this.#owner = owner
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
  }

  /** All that came; silence is when it stays the same. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** While nothing is read, silence says nothing about the peer. */
  get isSuspended(): boolean {
    return this.#isSuspended
  }

  /** Media comes from here on: reads are paced. */
  expectMedia(): void {
    this.#hasMedia = true
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#isClosed || !this.#socket.writable) return
    this.#socket.write(bytes)
    // What we say is little: a peer that lets it pile up does not read at all.
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#owner.fail(new SlowReaderError())
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
      this.#framing.push(bytes)
    } catch (error) {
      this.#owner.fail(error)
      return
    }
    if (!this.#isSuspended) this.#pump()
    if (this.#hasMedia && !this.#isSuspended && !this.#isClosed) {
      this.#deps.pacer.pace(this.#pacedReader, bytes.length)
    }
  }

  /** Hands on what has come until there is no more, or until something has to be waited for. */
  #pump(): void {
    try {
      while (!this.#isClosed) {
        const item = this.#framing.next()
        if (item === null) break
        const wait = this.#owner.take(item, this.#arrivedAt) ?? this.#owner.throttle()
        if (wait !== null) {
          this.#suspendUntil(wait)
          return
        }
      }
      this.#owner.handled?.()
    } catch (error) {
      this.#owner.fail(error)
    }
    this.#tellGone()
  }

  #suspendUntil(wait: Promise<void>): void {
    this.#isSuspended = true
    this.#socket.pause()
    wait
      .catch((error: unknown) => this.#owner.fail(error))
      .finally(() => {
        this.#isSuspended = false
        if (this.#isClosed) return
        this.#socket.resume()
        this.#pump()
      })
  }

  /** After all that came before it has been handled. */
  #tellGone(): void {
    if (this.#gone === null || this.#isClosed) return
    this.#end()
    this.#owner.leave(this.#gone.error)
  }
}

/** What tells one message from the next. */
export type Framing<Item> = {
  push(bytes: Uint8Array): void
  /** `null` until more bytes come. */
  next(): Item | null
}

export type PeerSocketOwner<Item> = {
  /** @returns a promise when nothing is to be read until it resolves */
  take(item: Item, arrivedAt: EpochMs): Promise<void> | null
  /** Asked after every item; a promise as with `take`. */
  throttle(): Promise<void> | null
  /** All that was read is handled. */
  handled?(): void
  /** The peer has closed, or the connection broke; nothing follows. */
  leave(error: Error | null): void
  /** What `take` threw, what its promise rejected with, or what the peer did to the framing. */
  fail(error: unknown): void
}

export type PeerSocketDeps = {
  readonly clock: Clock
  readonly pacer: ReadPacer
}

/** The peer reads nothing of what we write. */
export class SlowReaderError extends Error {
  override name = 'SlowReaderError'
}

const MAX_UNREAD_BYTES = 64 * 1024
const LINGER_MS = 500
