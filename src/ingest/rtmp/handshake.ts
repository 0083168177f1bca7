import { RtmpProtocolError } from './rtmp-error.ts'

/** Size of C1, C2, S1 and S2 (RTMP 1.0 §5.2.3, §5.2.4). */
export const HANDSHAKE_BYTES = 1536

const VERSION = 3

/** What a step of the handshake used up and asks to be sent. */
export type HandshakeStep = {
  readonly consumed: number
  readonly reply: Uint8Array | null
  readonly done: boolean
}

/**
 * The server's side of the plain handshake (RTMP 1.0 §5.2), as a parser: the caller keeps the bytes.
 *
 * ```
 * C0 | C1: time 4, zero 4, random 1528 | C2: time 4, time2 4, random echo 1528
 * S0 | S1: time 4, zero 4, random 1528 | S2: C1's bytes
 * ```
 * Clients that put a digest into C1 (the Flash form) take the plain answer too, so it is the only
 * one we give. C2's content is not compared: those clients fill it with a digest of their own.
 */
export class ServerHandshake {
  readonly #random: Uint8Array
  #answered = false

  /** @param random 1528 bytes for S1 */
  constructor(random: Uint8Array) {
    this.#random = random
  }

  /** @throws RtmpProtocolError on another version */
  step(bytes: Uint8Array): HandshakeStep {
    if (this.#answered) {
      const done = bytes.length >= HANDSHAKE_BYTES
      return { consumed: done ? HANDSHAKE_BYTES : 0, reply: null, done }
    }
    // §5.2.2: other versions should be answered with 3; what sends them in practice is not RTMP
    // (TLS hellos, HTTP requests), and no answer helps it.
    if (bytes.length > 0 && bytes[0] !== VERSION) {
      throw new RtmpProtocolError(`RTMP version ${bytes[0]} in C0`, { offset: 0 })
    }
    if (bytes.length < 1 + HANDSHAKE_BYTES) return { consumed: 0, reply: null, done: false }
    this.#answered = true
    const c1 = bytes.subarray(1, 1 + HANDSHAKE_BYTES)
    return { consumed: 1 + HANDSHAKE_BYTES, reply: this.#answer(c1), done: false }
  }

  #answer(c1: Uint8Array): Uint8Array {
    const reply = new Uint8Array(1 + 2 * HANDSHAKE_BYTES)
    reply[0] = VERSION
    reply.set(this.#random.subarray(0, HANDSHAKE_BYTES - 8), 1 + 8) // S1: time 0, zero, random
    reply.set(c1, 1 + HANDSHAKE_BYTES)
    return reply
  }
}
