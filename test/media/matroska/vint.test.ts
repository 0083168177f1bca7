import { describe, expect, test } from 'vitest'
import {
  readElementHead,
  readElementSize,
  toElementId,
  toElementSize,
  toUnknownSize,
  UNKNOWN_SIZE,
} from '../../../src/media/matroska/vint.ts'

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')

describe('readElementSize (RFC 8794 §6)', () => {
  test.each([
    ['82', 2, 1],
    ['40 02', 2, 2], // the same value, padded: writers reserve room for a size they learn later
    ['ff', UNKNOWN_SIZE, 1], // what the KVS Producer SDK writes for Segment
    ['7f ff', UNKNOWN_SIZE, 2],
    ['01 ff ff ff ff ff ff ff', UNKNOWN_SIZE, 8], // padded unknown, as live muxers write it
    ['01 00 00 00 00 00 00 00', 0, 8],
    ['10 00 00 eb', 235, 4],
    ['01 1f ff ff ff ff ff ff', Number.MAX_SAFE_INTEGER, 8],
  ])('%s -> size %i in %i byte(s)', (text, size, width) => {
    expect(readElementSize(bytes(text), 0)).toEqual({ size, width })
  })

  test('asks for more bytes instead of failing at every boundary', () => {
    const whole = bytes('01 00 00 00 00 00 00 ff')

    for (let end = 0; end < whole.length; end++) {
      expect(readElementSize(whole.subarray(0, end), 0)).toBeNull()
    }
  })

  test.each([
    { rule: 'names the byte of a size wider than 8', text: '82 00', offset: 1, at: 'at byte 1' },
    { rule: 'refuses 2^53', text: '01 20 00 00 00 00 00 00', offset: 0, at: 'beyond 2^53' },
  ])('$rule', ({ text, offset, at }) => {
    expect(() => readElementSize(bytes(text), offset)).toThrow(at)
  })
})

describe('readElementHead', () => {
  test.each([
    { text: 'ec 81 00', id: 0xec, dataOffset: 2, size: 1 },
    { text: '42 86 81 01', id: 0x4286, dataOffset: 3, size: 1 },
    { text: '2a d7 b1 83', id: 0x2ad7b1, dataOffset: 4, size: 3 },
    { text: '1f 43 b6 75 ff', id: 0x1f43b675, dataOffset: 5, size: UNKNOWN_SIZE },
  ])('$text', ({ text, id, dataOffset, size }) => {
    const whole = bytes(text)

    expect(readElementHead(whole, 0)).toMatchObject({ id, offset: 0, dataOffset, size })
    for (let end = 0; end < dataOffset; end++) {
      expect(readElementHead(whole.subarray(0, end), 0)).toBeNull()
    }
  })

  test.each(['00', '08 00 00 00 00', '0f'])('no element begins with %s', (text) => {
    expect(() => readElementHead(bytes(text), 0)).toThrow('no element ID begins here')
  })
})

describe('toElementSize', () => {
  test.each([
    [0, '80'],
    [126, 'fe'],
    [127, '407f'], // one byte of ones would mean "unknown"
    [16_382, '7ffe'],
    [16_383, '203fff'],
    [Number.MAX_SAFE_INTEGER, '011fffffffffffff'],
  ])('%i -> %s, and back', (size, text) => {
    expect(hex(toElementSize(size))).toBe(text)
    expect(readElementSize(toElementSize(size), 0)?.size).toBe(size)
  })

  test('pads to the width asked for, and refuses a width that does not hold it', () => {
    expect(hex(toElementSize(235, 4))).toBe('100000eb')
    expect(() => toElementSize(127, 1)).toThrow(RangeError)
    expect(() => toElementSize(300, 1)).toThrow(RangeError)
  })

  test('an unknown size of every width is read as one', () => {
    for (let width = 1; width <= 8; width++) {
      expect(readElementSize(toUnknownSize(width), 0)).toEqual({ size: UNKNOWN_SIZE, width })
    }
  })
})

test.each([0xec, 0x4286, 0x2ad7b1, 0x1f43b675])('ID %i is written as it is read', (id) => {
  expect(readElementHead(Uint8Array.of(...toElementId(id), 0x80), 0)?.id).toBe(id)
})
