import type { Socket } from 'node:net'
import type { EpochMs } from '../../domain/time.ts'
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
import { PeerSocket, type PeerSocketDeps, type PeerSocketOwner } from '../peer-socket.ts'

/**
 * A socket that speaks RTMP, of a publisher or of a server that we call: handshake, chunks,
 * acknowledgements and pings; hands on the other messages.
 */
export class RtmpSocket {
  readonly #peer: PeerSocket<RtmpMessage>
  readonly #owner: RtmpSocketOwner
  readonly #reader: ChunkStreamReader
  #handshake: Handshake | null
  /** Handshake bytes that came so far. */
  #greeting: Buffer = Buffer.alloc(0)
  #acknowledgedBytes = 0
  /**
   * The peer's; it gets acknowledgements if it asks for them (§5.4.4). Unasked ones do harm: a client
   * that closes without having read them resets the connection and its last media is lost with it.
   */
  #windowBytes = Number.POSITIVE_INFINITY
  #outChunkBytes = DEFAULT_CHUNK_BYTES

  constructor(
    socket: Socket,
    deps: PeerSocketDeps,
    options: { readonly handshake: Handshake; readonly limits: ChunkLimits },
    owner: RtmpSocketOwner,
  ) {
    this.#owner = owner
    this.#handshake = options.handshake
    this.#reader = new ChunkStreamReader(options.limits)
    this.#peer = new PeerSocket<RtmpMessage>(
      socket,
      deps,
      {
        push: (bytes) => this.#push(bytes),
        next: () => this.#reader.next(),
      },
      {
        take: (message, arrivedAt) => this.#take(message, arrivedAt),
        throttle: () => owner.throttle(),
        handled: () => this.#acknowledge(),
        leave: (error) => owner.leave(error),
        fail: (error) => owner.fail(error),
      },
    )
    this.#peer.write(options.handshake.greeting)
  }

  /** All that came; silence is when it stays the same. */
  get receivedBytes(): number {
    return this.#peer.receivedBytes
  }

  /** While nothing is read, silence says nothing about the peer. */
  get isSuspended(): boolean {
    return this.#peer.isSuspended
  }

  /** Media comes from here on: reads are paced, and messages may be large. */
  expectMedia(limits: ChunkLimits): void {
    this.#peer.expectMedia()
    this.#reader.setLimits(limits)
  }

  send(message: OutgoingMessage): void {
    this.#peer.write(toChunks(message, this.#outChunkBytes))
    if (message.typeId === TYPE_SET_CHUNK_SIZE) {
      this.#outChunkBytes = new DataView(
        message.payload.buffer,
        message.payload.byteOffset,
      ).getUint32(0)
    }
  }

  close(): void {
    this.#peer.close()
  }

  /** Lets the last answer arrive. Resolves when it is closed. */
  async closeGently(): Promise<void> {
    await this.#peer.closeGently()
  }

  #push(bytes: Uint8Array): void {
    const chunks = this.#handshake === null ? bytes : this.#greet(this.#handshake, bytes)
    if (chunks !== null) this.#reader.push(chunks)
  }

  /** @returns what follows the handshake; `null` while it is going on */
  #greet(handshake: Handshake, bytes: Uint8Array): Uint8Array | null {
    this.#greeting = Buffer.concat([this.#greeting, bytes])
    for (;;) {
      const step = handshake.step(this.#greeting)
      this.#greeting = this.#greeting.subarray(step.consumed)
      if (step.reply !== null) this.#peer.write(step.reply)
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

  #take(message: RtmpMessage, arrivedAt: EpochMs): Promise<void> | null {
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
        if (answer === null) return this.#owner.take(message, arrivedAt)
        this.send(answer)
        return null
      }
      default:
        return this.#owner.take(message, arrivedAt)
    }
  }

  /** §5.4.3: once per window of the peer's, with all bytes so far. */
  #acknowledge(): void {
    const { receivedBytes } = this.#peer
    if (receivedBytes - this.#acknowledgedBytes < this.#windowBytes) return
    this.#acknowledgedBytes = receivedBytes
    this.send(commands.acknowledgement(receivedBytes))
  }
}

/** As of the socket below, and when the handshake is over. */
export type RtmpSocketOwner = PeerSocketOwner<RtmpMessage> & { greeted?(): void }
