import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { FlvReader, type FlvTag } from '../../../src/ingest/flv/flv-reader.ts'
import { createRandom, expectSurvives, hex } from '../../support/fuzz.ts'
import { flvFile } from './flv-file.ts'

const MAX_TAG_BYTES = 1 << 16

function readAll(...inputs: readonly Uint8Array[]): FlvTag[] {
  const reader = new FlvReader(MAX_TAG_BYTES)
  const tags: FlvTag[] = []
  for (const input of inputs) {
    reader.push(input)
    for (let tag = reader.next(); tag !== null; tag = reader.next()) tags.push(tag)
  }
  return tags
}

const plain = ({ body, ...rest }: FlvTag) => ({ ...rest, body: Buffer.from(body).toString('hex') })
const long = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff)
const FILE = flvFile([
  [18, 0, hex('02 0001 61')],
  [9, 0x0102_0304, hex('1700')],
  [15, 7, hex('ffff')], // of a kind that nobody knows
  [8, 40, new Uint8Array(0)],
  [9, 80, long],
])

describe('FlvReader (FLV 10.1 E.2, E.3)', () => {
  test('gives the tags of the kinds that it knows, at whatever byte the input is split', () => {
    const whole = readAll(FILE).map(plain)

    expect(whole.map(({ kind, timestamp, body }) => [kind, timestamp, body.length / 2])).toEqual([
      ['script', 0, 4],
      ['video', 0x0102_0304, 2],
      ['audio', 40, 0],
      ['video', 80, 300],
    ])
    for (let at = 0; at <= FILE.length; at++) {
      const split = readAll(FILE.subarray(0, at), FILE.subarray(at)).map(plain)
      expect(split, `split at ${at}`).toEqual(whole)
    }
    expect(readAll(...Array.from(FILE, (byte) => Uint8Array.of(byte))).map(plain)).toEqual(whole)
  })

  test('skips what a longer header has', () => {
    const file = Buffer.concat([hex('464c56 01 05 0000000b ffff 00000000'), FILE.subarray(13)])

    expect(readAll(file)).toHaveLength(4)
  })

  test('owns its bodies', () => {
    const input = Buffer.from(FILE)
    const [, video] = readAll(input)
    input.fill(0)

    expect(video!.body).toEqual(Buffer.from(hex('1700')))
  })

  test.each([
    ['what is no FLV', '3c68746d6c3e0000 0000'],
    ['a header that is too short', '464c56 01 05 00000008'],
    ['a header that is too long', '464c56 01 05 7fffffff'],
    ['a tag beyond the limit', '464c56 01 05 00000009 00000000 09 010001 00000000000000'],
    ['an encrypted tag', '464c56 01 05 00000009 00000000 29 000001 00000000000000'],
  ])('refuses %s', (_rule, bytes) => {
    expect(() => readAll(hex(bytes))).toThrow(MalformedMediaError)
  })

  test('allocates as bytes come, not as they are announced', () => {
    const reader = new FlvReader(1 << 24)
    reader.push(hex('464c56 01 05 00000009 00000000 09 ffffff 00000000000000 aabb'))

    expect(reader.next()).toBeNull()
    expect(reader.pendingBytes).toBeLessThanOrEqual(4096)
  })

  test('survives cut and mutated files, in pieces', () => {
    const random = createRandom(7)
    const parse = (bytes: Uint8Array) => {
      const at = Math.floor(random() * bytes.length)
      return readAll(bytes.subarray(0, at), bytes.subarray(at))
    }

    expect(expectSurvives([FILE], parse)).toBeGreaterThan(1000)
  })
})
