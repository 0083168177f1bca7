import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import {
  annexBNalUnits,
  annexBToLengthPrefixed,
  isLengthPrefixed,
  lengthPrefixedNalUnits,
  startsWithStartCode,
} from '../../../src/media/nal/nal-units.ts'
import { hex, mutations } from '../../support/fuzz.ts'

describe('length-prefixed NAL units (ISO/IEC 14496-15 §5.3.4.2)', () => {
  test.each([
    [
      4,
      '00000002 6588 00000001 41',
      [
        [4, 6],
        [10, 11],
      ],
    ],
    [
      2,
      '0002 6588 0001 41',
      [
        [2, 4],
        [6, 7],
      ],
    ],
    [
      1,
      '02 6588 00 01 41',
      [
        [1, 3],
        [5, 6],
      ],
    ], // an empty unit is passed over
  ])('with lengths of %i byte(s)', (nalLengthBytes, sample, units) => {
    const found = [...lengthPrefixedNalUnits(hex(sample), nalLengthBytes)]

    expect(found.map(({ start, end }) => [start, end])).toEqual(units)
    expect(isLengthPrefixed(hex(sample), nalLengthBytes)).toBe(true)
  })

  test.each([
    ['a length beyond the end', '00000003 6588'],
    ['a cut length', '00000001 65 0000'],
    ['a length of 4 GB', 'ffffffff 65'],
  ])('refuses %s', (_rule, sample) => {
    expect(() => [...lengthPrefixedNalUnits(hex(sample), 4)]).toThrow(MalformedMediaError)
    expect(isLengthPrefixed(hex(sample), 4)).toBe(false)
  })
})

describe('Annex B (ITU-T H.264 B.1)', () => {
  test.each([
    [
      'three- and four-byte start codes',
      '000001 6701 00000001 68 000001 65ff',
      ['6701', '68', '65ff'],
    ],
    ['trailing zero bytes', '00000001 65ab 000000', ['65ab']],
    ['no start code', '6588', []],
    ['an empty unit', '000001 000001 65', ['65']],
    ['nothing', '', []],
  ])('%s', (_rule, bytes, units) => {
    const input = hex(bytes)
    const found = [...annexBNalUnits(input)].map(({ start, end }) =>
      Buffer.from(input.subarray(start, end)).toString('hex'),
    )

    expect(found).toEqual(units)
  })

  test('becomes length-prefixed', () => {
    const converted = annexBToLengthPrefixed(hex('00000001 6701 000001 6588'))

    expect(converted).toEqual(hex('00000002 6701 00000002 6588'))
  })

  test.each([
    ['000001', true],
    ['00000001', true],
    ['00000002', false],
    ['0000', false],
    ['', false],
  ])('start code %s: %s', (bytes, expected) => {
    expect(startsWithStartCode(hex(bytes))).toBe(expected)
  })

  test('any bytes convert to something that is length-prefixed, or to nothing', () => {
    const seeds = [hex('00000001 6701 000001 6588 000000 01 41 0000')]
    for (const bytes of mutations(seeds, 20_000)) {
      const converted = annexBToLengthPrefixed(bytes)
      expect(converted.length === 0 || isLengthPrefixed(converted, 4)).toBe(true)
    }
  })
})
