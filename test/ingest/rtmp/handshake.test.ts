import { describe, expect, test } from 'vitest'
import {
  ClientHandshake,
  HANDSHAKE_BYTES,
  ServerHandshake,
} from '../../../src/ingest/rtmp/handshake.ts'
import {
  findDigest,
  placeDigest,
  signAnswer,
  type DigestScheme,
} from '../../../src/ingest/rtmp/handshake-digest.ts'
import { RtmpProtocolError } from '../../../src/ingest/rtmp/rtmp-error.ts'
import { createRandom, FUZZ_CASES, mutations } from '../../support/fuzz.ts'

function randomBytes(count: number, seed: number): Uint8Array {
  const random = createRandom(seed)
  return Uint8Array.from({ length: count }, () => Math.floor(random() * 256))
}

const random = randomBytes(2 * HANDSHAKE_BYTES, 1)
const plainHello = () => {
  const hello = randomBytes(1 + HANDSHAKE_BYTES, 2)
  hello[0] = 3
  hello.fill(0, 1, 9)
  return hello
}

/** C0 and C1 of a client made after Flash. */
function helloWithDigest(scheme: DigestScheme, seed: number) {
  const hello = randomBytes(1 + HANDSHAKE_BYTES, seed)
  hello[0] = 3
  hello.set([0, 0, 0, 0, 128, 0, 7, 2], 1)
  const digest = placeDigest(hello.subarray(1), 'client', scheme)
  return { hello, digest }
}

describe('a plain client', () => {
  test('gets S0, S1 and its echo S2, then gives C2 (RTMP 1.0 §5.2)', () => {
    const server = new ServerHandshake(random)
    const hello = plainHello()

    const first = server.step(hello)
    const second = server.step(new Uint8Array(HANDSHAKE_BYTES + 5))

    expect(first).toMatchObject({ consumed: 1537, done: false })
    expect(first.reply).toHaveLength(1 + 2 * HANDSHAKE_BYTES)
    expect([...first.reply!.subarray(0, 9)]).toEqual([3, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(first.reply!.subarray(9, 1537)).toEqual(random.subarray(0, 1528))
    expect(first.reply!.subarray(1537)).toEqual(hello.subarray(1))
    expect(second).toEqual({ consumed: HANDSHAKE_BYTES, reply: null, done: true })
  })

  test.each([
    ['with a version but no digest', [9, 0, 124, 2]],
    ['with a digest but no version', [0, 0, 0, 0]],
  ])('%s gets its echo', (_rule, version) => {
    const hello = plainHello()
    hello.set(version, 5)
    if (version[0] === 0) placeDigest(hello.subarray(1), 'client', 0)

    const { reply } = new ServerHandshake(random).step(hello)

    expect(reply!.subarray(1537)).toEqual(hello.subarray(1))
  })
})

describe('a client with a digest', () => {
  const cases = Array.from({ length: 20 }, (_, i) => [(i & 1) as DigestScheme, i] as const)

  test.each(cases)(
    'of scheme %i gets one of the same scheme and a signature (%i)',
    (scheme, seed) => {
      const { hello, digest } = helloWithDigest(scheme, seed)

      const { reply } = new ServerHandshake(random).step(hello)
      const [s1, s2] = [reply!.subarray(1, 1537), reply!.subarray(1537)]
      const signed = Uint8Array.from(s2)
      signAnswer(signed, 'server', digest)

      expect(findDigest(s1, 'server')?.scheme).toBe(scheme)
      expect(findDigest(s1, 'client')).toBeNull()
      expect(s2).toEqual(signed)
      expect(s2).not.toEqual(hello.subarray(1))
    },
  )

  test('whose digest has one wrong bit is a plain one', () => {
    const { hello, digest } = helloWithDigest(0, 5)
    const at = Buffer.from(hello).indexOf(digest)
    hello[at]! ^= 1

    const { reply } = new ServerHandshake(random).step(hello)

    expect(reply!.subarray(1537)).toEqual(hello.subarray(1))
  })
})

describe('our client', () => {
  test('and our server find each other’s digests', () => {
    const client = new ClientHandshake(random)
    const server = new ServerHandshake(randomBytes(2 * HANDSHAKE_BYTES, 3))
    const answer = server.step(client.greeting)
    const reply = client.step(answer.reply!)
    const expected = Uint8Array.from(reply.reply!)
    signAnswer(expected, 'client', findDigest(answer.reply!.subarray(1, 1537), 'server')!.digest)

    expect(reply.reply).toEqual(expected)
    expect(server.step(reply.reply!).done).toBe(true)
    expect(client.step(answer.reply!.subarray(reply.consumed)).done).toBe(true)
  })

  test('echoes S1 of a plain server', () => {
    const client = new ClientHandshake(random)
    const s1 = plainHello()

    expect(client.step(s1).reply).toEqual(s1.subarray(1))
  })
})

test.each([
  ['a server', () => new ServerHandshake(random)],
  ['a client', () => new ClientHandshake(random)],
])('%s waits for whole parts', (_side, create) => {
  const handshake = create()
  const hello = plainHello()
  for (let end = 0; end < hello.length; end++) {
    expect(handshake.step(hello.subarray(0, end))).toMatchObject({ consumed: 0, reply: null })
  }
  handshake.step(hello)

  expect(handshake.step(new Uint8Array(HANDSHAKE_BYTES - 1))).toMatchObject({ consumed: 0 })
})

test.each([
  ['a TLS hello', 0x16],
  ['an HTTP request', 'G'.charCodeAt(0)],
  ['RTMPE', 6],
])('refuses %s at its first byte', (_rule, first) => {
  const server = new ServerHandshake(random)

  expect(() => server.step(Uint8Array.of(first))).toThrow(RtmpProtocolError)
})

test('survives mutated greetings', () => {
  const seeds = [plainHello(), helloWithDigest(0, 1).hello, helloWithDigest(1, 2).hello]
  let answered = 0
  for (const bytes of mutations(seeds, FUZZ_CASES)) {
    try {
      const { reply } = new ServerHandshake(random).step(bytes)
      if (reply !== null) answered++
    } catch (error) {
      if (!(error instanceof RtmpProtocolError)) throw error
    }
  }

  expect(answered).toBeGreaterThan(FUZZ_CASES / 10)
})
