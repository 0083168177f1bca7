import type { Socket } from 'node:net'
import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import type { PacedReader, ReadPacer } from '../read-pacer.ts'
import { RtspReader, type RtspItem, type RtspLimits } from './message-reader.ts'

/**
 * A socket that speaks RTSP, of a publisher or of a camera: hands on what comes, one by one, and
 * reads nothing while somebody is busy with it. Nothing that a peer sends throws out of here.
 */
export class RtspSocket {
  readonly #socket: Socket
  readonly #deps: RtspSocketDeps
  readonly #owner: RtspSocketOwner
  readonly #reader: RtspReader
  readonly #pacedReader: PacedReader
  #isSuspended = false
  #hasMedia = false
  #gone: { readonly error: Error | null } | null = null
  #isClosed = false

  constructor(
    socket: Socket,
    deps: RtspSocketDeps,
    { limits, owner }: { readonly limits: RtspLimits; readonly owner: RtspSocketOwner },
  ) {
    this.#socket = socket
    this.#deps = deps
    this.#owner = owner
    this.#reader = new RtspReader(limits)
    this.#pacedReader = { socket, mayRead: () => !this.#isSuspended }
    let error: Error | null = null
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('error', (cause) => (error ??= cause))
    socket.on('close', () => {
      this.#gone ??= { error }
      if (!this.#isSuspended) this.#tellGone()
    })
  }

  /** While nothing is read, silence says nothing about the peer. */
  get isSuspended(): boolean {
    return this.#isSuspended
  }

  /** Bytes that belonged to nothing. */
  get skippedBytes(): number {
    return this.#reader.skippedBytes
  }

  /** Media comes from here on: reads are paced, and a lost place in the stream is looked for. */
  expectMedia(limits: RtspLimits): void {
    this.#hasMedia = true
    this.#reader.setLimits(limits)
  }

  write(bytes: Uint8Array): void {
    if (this.#isClosed || !this.#socket.writable) return
    this.#socket.write(bytes)
    // What we say is little: a peer that lets it pile up does not read at all.
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#owner.fail(new UnreadAnswers())
  }

  close(): void {
    this.#end()
    this.#socket.destroy()
  }

  /**
   * Lets the last answer arrive: closing at once would reset the connection while the peer still
   * sends. What it sends is thrown away unparsed, and not for long.
   */
  closeGently(): void {
    this.#end()
    const gone = new AbortController()
    this.#socket.once('close', () => gone.abort())
    this.#socket.resume()
    this.#socket.end()
    this.#deps.clock.sleep(LINGER_MS, gone.signal).then(
      () => this.#socket.destroy(),
      () => undefined, // it has closed by itself
    )
  }

  #end(): void {
    this.#isClosed = true
    this.#socket.removeAllListeners('data')
  }

  #receive(bytes: Buffer): void {
    if (this.#isClosed) return
    this.#reader.push(bytes)
    if (this.#isSuspended) return
    this.#pump()
    if (this.#hasMedia && !this.#isSuspended && !this.#isClosed) {
      this.#deps.pacer.pace(this.#pacedReader, bytes.length)
    }
  }

  /** Hands on what has come until there is no more, or until something has to be waited for. */
  #pump(): void {
    const arrivedAt = this.#deps.clock.now()
    try {
      while (!this.#isClosed) {
        const item = this.#reader.next()
        const wait = item === null ? this.#owner.throttle() : this.#owner.take(item, arrivedAt)
        if (wait !== null) {
          this.#suspendUntil(wait)
          return
        }
        if (item === null) break
      }
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

export type RtspSocketOwner = {
  /** @returns a promise when nothing is to be read until it resolves */
  take(item: RtspItem, arrivedAt: EpochMs): Promise<void> | null
  /** Asked after all that was read; a promise as with `take`. */
  throttle(): Promise<void> | null
  /** The peer has closed, or the connection broke; nothing follows. */
  leave(error: Error | null): void
  /** What `take` threw, what its promise rejected with, or what the peer did to the framing. */
  fail(error: unknown): void
}

export type RtspSocketDeps = {
  readonly clock: Clock
  readonly pacer: ReadPacer
}

/** The peer reads nothing of what we write. */
export class UnreadAnswers extends Error {
  override name = 'UnreadAnswers'
}

const MAX_UNREAD_BYTES = 64 * 1024
const LINGER_MS = 500
