import { describe, expect, test } from 'vitest'
import { decodeAmf0, encodeAmf0 } from '../../../src/ingest/amf/amf0.ts'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { expectSurvives, hex } from '../../support/fuzz.ts'

describe('decodeAmf0', () => {
  test.each([
    ['number', '00 3ff0000000000000', [1]],
    ['boolean', '01 01 01 00', [true, false]],
    ['string', '02 0004 6c697665', ['live']],
    ['long string', '0c 00000004 6c697665', ['live']],
    ['object', '03 0001 61 05 0000 09', [new Map([['a', null]])]],
    ['object whose end marker is missing', '03 0001 61 05', [new Map([['a', null]])]],
    ['typed object', '10 0001 54 0001 61 05 0000 09', [new Map([['a', null]])]],
    [
      'ECMA array, whatever it counts',
      '08 ffffffff 0001 61 06 0000 09',
      [new Map([['a', undefined]])],
    ],
    ['strict array', '0a 00000002 05 0101', [[null, true]]],
    ['date', '0b 4270000000000000 0000', [new Date(2 ** 40)]],
    ['nothing', '', []],
  ])('%s', (_rule, bytes, values) => {
    expect(decodeAmf0(hex(bytes))).toEqual(values)
  })

  test('a key named __proto__ is a key', () => {
    const [object] = decodeAmf0(hex('03 0009 5f5f70726f746f5f5f 0101 0000 09'))

    expect(object).toEqual(new Map([['__proto__', true]]))
  })

  test.each([
    ['a string length beyond the end', '02 ffff 61'],
    ['a long string of 4 GB', '0c ffffffff 61'],
    ['a strict array of 2^32 - 1', '0a ffffffff 05 05'],
    ['a cut number', '00 3ff0'],
    ['a cut key', '03 0005 61'],
    ['an AMF 3 value that is cut', '11 0a'],
    ['an end marker by itself', '09'],
  ])('refuses %s', (_rule, bytes) => {
    expect(() => decodeAmf0(hex(bytes))).toThrow(MalformedMediaError)
  })

  test.each([
    ['objects', '03000161'],
    ['strict arrays', '0a00000001'],
    ['ECMA arrays', '0800000001000161'],
  ])('refuses %s nested 10,000 deep', (_rule, level) => {
    expect(() => decodeAmf0(hex(level.repeat(10_000)))).toThrow('deeper than 16')
  })

  test('refuses more than 4096 values', () => {
    expect(decodeAmf0(new Uint8Array(4096).fill(5))).toHaveLength(4096)
    expect(() => decodeAmf0(new Uint8Array(4097).fill(5))).toThrow('more than 4096')
  })

  test('survives cut and mutated messages', () => {
    const nested = { list: [1, null, 'x'] }
    const seed = encodeAmf0('connect', 1, { app: 'live', nested, t: true })

    expect(expectSurvives([seed], decodeAmf0)).toBeGreaterThan(500)
  })
})

test('encodeAmf0 writes what decodeAmf0 reads', () => {
  const bytes = encodeAmf0('onStatus', 0, null, { level: 'error', list: ['avc1', 2, false] })

  expect(decodeAmf0(bytes)).toEqual([
    'onStatus',
    0,
    null,
    new Map<string, unknown>([
      ['level', 'error'],
      ['list', ['avc1', 2, false]],
    ]),
  ])
})
