import { expect, test } from 'vitest'
import { HANDSHAKE_BYTES, ServerHandshake } from '../../../src/ingest/rtmp/handshake.ts'
import { RtmpProtocolError } from '../../../src/ingest/rtmp/rtmp-error.ts'

const random = new Uint8Array(HANDSHAKE_BYTES).fill(7)

test('answers C0 and C1 with S0, S1 and their echo S2, then takes C2 (RTMP 1.0 §5.2)', () => {
  const server = new ServerHandshake(random)
  const c1 = Uint8Array.from({ length: HANDSHAKE_BYTES }, (_, i) => i)
  const hello = Buffer.concat([Uint8Array.of(3), c1])

  const first = server.step(hello)
  const second = server.step(new Uint8Array(HANDSHAKE_BYTES + 5))

  expect(first).toMatchObject({ consumed: 1537, done: false })
  expect(first.reply).toHaveLength(1 + 2 * HANDSHAKE_BYTES)
  expect([...first.reply!.subarray(0, 9)]).toEqual([3, 0, 0, 0, 0, 0, 0, 0, 0])
  expect([...first.reply!.subarray(9, 1537)]).toEqual(Array(1528).fill(7))
  expect(first.reply!.subarray(1537)).toEqual(c1)
  expect(second).toEqual({ consumed: HANDSHAKE_BYTES, reply: null, done: true })
})

test('waits for whole parts', () => {
  const server = new ServerHandshake(random)
  const hello = new Uint8Array(1 + HANDSHAKE_BYTES)
  hello[0] = 3
  for (let end = 0; end < hello.length; end++) {
    expect(server.step(hello.subarray(0, end))).toMatchObject({ consumed: 0, reply: null })
  }
  server.step(hello)

  expect(server.step(new Uint8Array(HANDSHAKE_BYTES - 1))).toMatchObject({ consumed: 0 })
})

test.each([
  ['a TLS hello', 0x16],
  ['an HTTP request', 'G'.charCodeAt(0)],
  ['RTMPE', 6],
])('refuses %s at its first byte', (_rule, first) => {
  const server = new ServerHandshake(random)

  expect(() => server.step(Uint8Array.of(first))).toThrow(RtmpProtocolError)
})
