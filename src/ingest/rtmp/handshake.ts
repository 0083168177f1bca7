import { findDigest, placeDigest, signAnswer } from './handshake-digest.ts'
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

/** One side of the handshake, as a parser: the caller keeps the bytes. */
export interface Handshake {
  /** What this side says unasked; empty for a server. */
  readonly greeting: Uint8Array
  /** @throws RtmpProtocolError on another version */
  step(bytes: Uint8Array): HandshakeStep
}

/**
 * The server's side (RTMP 1.0 §5.2), plain or, for clients that put a digest into C1, with digests.
 *
 * ```
 * C0 | C1: time 4, zero or version 4, random 1528 | C2: S1's bytes, or random and a digest
 * S0 | S1: time 4, zero or version 4, random 1528 | S2: C1's bytes, or random and a digest
 * ```
 * C2's content is not compared: clients of both kinds get it wrong.
 */
export class ServerHandshake implements Handshake {
  readonly greeting = new Uint8Array(0)
  readonly #random: Uint8Array
  #answered = false

  /** @param random twice {@link HANDSHAKE_BYTES}, for S1 and S2 */
  constructor(random: Uint8Array) {
    this.#random = random
  }

  step(bytes: Uint8Array): HandshakeStep {
    if (this.#answered) {
      const done = bytes.length >= HANDSHAKE_BYTES
      return { consumed: done ? HANDSHAKE_BYTES : 0, reply: null, done }
    }
    checkVersion(bytes)
    if (bytes.length < 1 + HANDSHAKE_BYTES) return { consumed: 0, reply: null, done: false }
    this.#answered = true
    const c1 = bytes.subarray(1, 1 + HANDSHAKE_BYTES)
    return { consumed: 1 + HANDSHAKE_BYTES, reply: this.#answer(c1), done: false }
  }

  #answer(c1: Uint8Array): Uint8Array {
    const reply = new Uint8Array(1 + 2 * HANDSHAKE_BYTES)
    const s1 = reply.subarray(1, 1 + HANDSHAKE_BYTES)
    const s2 = reply.subarray(1 + HANDSHAKE_BYTES)
    reply[0] = VERSION
    s1.set(this.#random.subarray(0, HANDSHAKE_BYTES - 8), 8) // time 0, zero, random
    const found = isPlain(c1) ? null : findDigest(c1, 'client')
    if (found === null) {
      s2.set(c1)
      return reply
    }
    s1.set(SERVER_VERSION, 4)
    placeDigest(s1, 'server', found.scheme)
    s2.set(this.#random.subarray(HANDSHAKE_BYTES, 2 * HANDSHAKE_BYTES))
    signAnswer(s2, 'server', found.digest)
    return reply
  }
}

/** The client's side, with digests as Flash sends them: servers made after it serve nobody else. */
export class ClientHandshake implements Handshake {
  readonly greeting: Uint8Array
  readonly #random: Uint8Array
  #answered = false

  /** @param random twice {@link HANDSHAKE_BYTES}, for C1 and C2 */
  constructor(random: Uint8Array) {
    this.#random = random
    this.greeting = new Uint8Array(1 + HANDSHAKE_BYTES)
    this.greeting[0] = VERSION
    const c1 = this.greeting.subarray(1)
    c1.set(random.subarray(0, HANDSHAKE_BYTES - 8), 8)
    c1.set(CLIENT_VERSION, 4)
    placeDigest(c1, 'client', 0)
  }

  step(bytes: Uint8Array): HandshakeStep {
    if (this.#answered) {
      const done = bytes.length >= HANDSHAKE_BYTES // S2, which is not compared
      return { consumed: done ? HANDSHAKE_BYTES : 0, reply: null, done }
    }
    checkVersion(bytes)
    if (bytes.length < 1 + HANDSHAKE_BYTES) return { consumed: 0, reply: null, done: false }
    this.#answered = true
    const s1 = bytes.subarray(1, 1 + HANDSHAKE_BYTES)
    return { consumed: 1 + HANDSHAKE_BYTES, reply: this.#answer(s1), done: false }
  }

  #answer(s1: Uint8Array): Uint8Array {
    const found = isPlain(s1) ? null : findDigest(s1, 'server')
    if (found === null) return Uint8Array.from(s1)
    const c2 = Uint8Array.from(this.#random.subarray(HANDSHAKE_BYTES, 2 * HANDSHAKE_BYTES))
    signAnswer(c2, 'client', found.digest)
    return c2
  }
}

/** The versions of Flash that brought digests. */
const SERVER_VERSION = Uint8Array.of(4, 5, 0, 1)
const CLIENT_VERSION = Uint8Array.of(9, 0, 124, 2)

/** §5.2.3: the second field is zero; with digests it is a version. */
function isPlain(packet: Uint8Array): boolean {
  return packet[4] === 0 && packet[5] === 0 && packet[6] === 0 && packet[7] === 0
}

/**
 * §5.2.2: other versions should be answered with 3; what sends them in practice is not RTMP (TLS
 * hellos, HTTP requests) or RTMPE, and no answer helps it.
 */
function checkVersion(bytes: Uint8Array): void {
  if (bytes.length > 0 && bytes[0] !== VERSION) {
    throw new RtmpProtocolError(`RTMP version ${bytes[0]} in the handshake`, { offset: 0 })
  }
}
