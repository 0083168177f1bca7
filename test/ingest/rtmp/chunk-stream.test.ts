import { describe, expect, test } from 'vitest'
import { ChunkStreamReader, type RtmpMessage } from '../../../src/ingest/rtmp/chunk-stream.ts'
import { toChunks } from '../../../src/ingest/rtmp/chunk-writer.ts'
import { RtmpProtocolError } from '../../../src/ingest/rtmp/rtmp-error.ts'
import { toChunk, toMessage } from '../../support/rtmp-client.ts'
import { FUZZ_CASES, hex, mutations } from '../../support/fuzz.ts'

const LIMITS = { maxMessageBytes: 1 << 20, maxPendingBytes: 1 << 21, maxChunkStreams: 8 }

function readAll(reader: ChunkStreamReader, ...inputs: readonly Uint8Array[]): RtmpMessage[] {
  const messages: RtmpMessage[] = []
  for (const input of inputs) {
    reader.push(input)
    for (let each = reader.next(); each !== null; each = reader.next()) messages.push(each)
  }
  return messages
}

const read = (...inputs: readonly Uint8Array[]) => readAll(new ChunkStreamReader(LIMITS), ...inputs)
const bytes = (count: number, first = 0) => Uint8Array.from({ length: count }, (_, i) => i + first)
const plain = (m: RtmpMessage) => ({ ...m, payload: [...m.payload] })

/** Sets the chunk size to 64, then two interleaved messages, one with an extended timestamp. */
const INTERLEAVED = Buffer.concat([
  toMessage({ csid: 2, typeId: 1, payload: hex('00000040') }),
  toChunk({ format: 0, csid: 4, timestamp: 10, length: 100, streamId: 1, payload: bytes(64) }),
  toChunk({
    format: 0,
    basicHeader: [1, 5, 2],
    timestamp: 0xff_ffff,
    extended: 0x0100_0001,
    length: 70,
    typeId: 8,
    streamId: 1,
    payload: bytes(64, 7),
  }),
  toChunk({ format: 3, csid: 4, payload: bytes(36, 64) }),
  toChunk({ format: 3, basicHeader: [1, 5, 2], extended: 0x0100_0001, payload: bytes(6, 71) }),
  toChunk({ format: 1, csid: 4, timestamp: 33, typeId: 9, payload: bytes(2) }),
  toChunk({ format: 2, csid: 4, timestamp: 40, payload: bytes(2) }),
  toChunk({ format: 3, csid: 4, payload: bytes(2) }),
  toMessage({ csid: 5, typeId: 20, payload: bytes(0) }),
])

describe('ChunkStreamReader (RTMP 1.0 §5.3)', () => {
  test.each([
    ['one byte: 2..63', [3], 3],
    ['one byte: 63', [63], 63],
    ['two bytes: 64', [0, 0], 64],
    ['two bytes: 319', [0, 255], 319],
    ['three bytes: 64', [1, 0, 0], 64],
    ['three bytes: the second is the low one', [1, 1, 0], 65],
    ['three bytes: the third counts 256s', [1, 0, 1], 320],
    ['three bytes: 65599', [1, 255, 255], 65_599],
  ])('reads a chunk stream id in %s', (_rule, basicHeader, chunkStreamId) => {
    const messages = read(toChunk({ format: 0, basicHeader, payload: bytes(1) }))

    expect(messages).toMatchObject([{ chunkStreamId }])
  })

  test('interleaves, and gives the same at whatever byte the input is split', () => {
    const whole = read(INTERLEAVED).map(plain)

    expect(whole.map((m) => [m.chunkStreamId, m.timestamp, m.payload.length])).toEqual([
      [4, 10, 100],
      [64 + 5 + 512, 0x0100_0001, 70],
      [4, 43, 2],
      [4, 83, 2],
      [4, 123, 2],
      [5, 0, 0],
    ])
    expect(whole[0]!.payload).toEqual([...bytes(100)])
    expect(whole[1]!.payload).toEqual([...bytes(70, 7)])
    for (let at = 0; at <= INTERLEAVED.length; at++) {
      const split = read(INTERLEAVED.subarray(0, at), INTERLEAVED.subarray(at))
      expect(split.map(plain), `split at ${at}`).toEqual(whole)
    }
    const single = Array.from(INTERLEAVED, (byte) => Uint8Array.of(byte))
    expect(read(...single).map(plain)).toEqual(whole)
  })

  test('gives out a message of no bytes as soon as its header is there', () => {
    expect(read(toChunk({ format: 0, csid: 5, typeId: 20 }))).toHaveLength(1)
  })

  test('a type 3 chunk that begins a message advances by the timestamp of a type 0 (§5.3.1.2.4)', () => {
    const messages = read(
      toChunk({ format: 0, timestamp: 40, payload: bytes(1) }),
      toChunk({ format: 3, payload: bytes(1) }),
    )

    expect(messages.map((m) => m.timestamp)).toEqual([40, 80])
  })

  test('takes an extended delta, and repeats it on type 3 chunks', () => {
    const extended = 0x0100_0000
    const messages = read(
      toChunk({ format: 0, timestamp: 5, payload: bytes(1) }),
      toChunk({ format: 1, timestamp: 0xff_ffff, extended, payload: bytes(1) }),
      toChunk({ format: 3, extended, payload: bytes(1) }),
    )

    expect(messages.map((m) => m.timestamp)).toEqual([5, 5 + extended, 5 + 2 * extended])
  })

  test('timestamps wrap at 32 bits', () => {
    const messages = read(
      toChunk({ format: 0, timestamp: 0xff_ffff, extended: 0xffff_fff0, payload: bytes(1) }),
      toChunk({ format: 1, timestamp: 32, payload: bytes(1) }),
    )

    expect(messages.map((m) => m.timestamp)).toEqual([0xffff_fff0, 16])
  })

  test('payloads are not views on the input', () => {
    const input = Buffer.from(toChunk({ format: 0, payload: bytes(3, 1) }))
    const [message] = read(input)
    input.fill(0xee)

    expect([...message!.payload]).toEqual([1, 2, 3])
  })

  test('Abort drops a message in the middle, and the next one begins (§5.4.2)', () => {
    const messages = read(
      toChunk({ format: 0, csid: 6, length: 200, payload: bytes(128) }),
      toMessage({ csid: 2, typeId: 2, payload: hex('00000006') }),
      toChunk({ format: 0, csid: 6, payload: bytes(4) }),
    )

    expect(messages.map(plain)).toMatchObject([{ chunkStreamId: 6, payload: [0, 1, 2, 3] }])
  })

  test.each([
    ['chunk size 0', hex('00000000')],
    ['chunk size 2^31 - 1', hex('7fffffff')],
    ['chunk size 2^24', hex('01000000')],
    ['a Set Chunk Size without a size', hex('0001')],
  ])('refuses %s', (_rule, payload) => {
    expect(() => read(toMessage({ csid: 2, typeId: 1, payload }))).toThrow(RtmpProtocolError)
  })

  test.each([
    ['type 2 on a new chunk stream', toChunk({ format: 2 })],
    ['type 3 on a new chunk stream', toChunk({ format: 3 })],
    ['a message longer than the limit', toChunk({ format: 0, length: (1 << 20) + 1 })],
    ['Abort without an id', toMessage({ csid: 2, typeId: 2, payload: hex('0000') })],
    [
      'a new header inside a message',
      Buffer.concat([
        toChunk({ format: 0, length: 200, payload: bytes(128) }),
        toChunk({ format: 0, length: 200, payload: bytes(128) }),
      ]),
    ],
    [
      'one chunk stream too many',
      Buffer.concat(
        Array.from({ length: 9 }, (_, i) =>
          toChunk({ format: 0, csid: 10 + i, payload: bytes(1) }),
        ),
      ),
    ],
  ])('refuses %s', (_rule, input) => {
    expect(() => read(input)).toThrow(RtmpProtocolError)
  })

  test('an announced length takes no memory; bytes that came take at most twice their own', () => {
    const reader = new ChunkStreamReader({ ...LIMITS, maxMessageBytes: 1 << 24 })
    readAll(reader, toMessage({ csid: 2, typeId: 1, payload: hex('00000064') }))

    for (let csid = 10; csid < 17; csid++) {
      readAll(reader, toChunk({ format: 0, csid, length: 0xff_0000, payload: bytes(100) }))
    }
    expect(reader.pendingBytes).toBeGreaterThan(0)
    expect(reader.pendingBytes).toBeLessThanOrEqual(7 * 4096)

    for (let i = 0; i < 999; i++)
      readAll(reader, toChunk({ format: 3, csid: 10, payload: bytes(100) }))
    expect(reader.pendingBytes).toBeLessThanOrEqual(2 * 100_000 + 6 * 4096)
  })

  test('refuses half-assembled messages beyond the limit for all together', () => {
    const reader = new ChunkStreamReader(LIMITS)
    const chunkBytes = 1 << 19
    readAll(reader, toMessage({ csid: 2, typeId: 1, payload: hex('00080000') }))

    expect(() => {
      for (let csid = 10; csid < 17; csid++) {
        const payload = new Uint8Array(chunkBytes)
        readAll(reader, toChunk({ format: 0, csid, length: 1 << 20, payload }))
        expect(reader.pendingBytes).toBeLessThanOrEqual(LIMITS.maxPendingBytes)
      }
    }).toThrow(RtmpProtocolError)
  })

  test('survives mutated inputs with bounded memory', () => {
    let messages = 0
    for (const input of mutations([INTERLEAVED], FUZZ_CASES)) {
      const reader = new ChunkStreamReader(LIMITS)
      try {
        messages += readAll(reader, input.subarray(0, 90), input.subarray(90)).length
      } catch (error) {
        if (!(error instanceof RtmpProtocolError)) throw error
      }
      expect(reader.pendingBytes).toBeLessThanOrEqual(input.length * 2 + 8 * 4096)
    }
    expect(messages).toBeGreaterThan(FUZZ_CASES / 2)
  })
})

test.each([0, 1, 127, 128, 129, 256, 1000])('writes a message of %i bytes in chunks', (length) => {
  const message = { chunkStreamId: 5, typeId: 20, messageStreamId: 7, payload: bytes(length) }

  const [back] = read(toChunks(message, 128))

  expect(plain(back!)).toEqual({ ...message, payload: [...message.payload], timestamp: 0 })
})
