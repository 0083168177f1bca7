import { expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseVvcConfig } from '../../../src/media/nal/vvc-config.ts'
import { hex } from '../../support/fuzz.ts'

/** By hand from ISO/IEC 14496-15 §11.2.4.2: there is no encoder at hand. */
const BEFORE_SUBLAYERS = 'ff 0010 5f 01 0233 00' // PTL, OLS 0, one sublayer, one constraint byte

test.each([
  ['without profile, tier and level', 'fe', { nalLengthBytes: 4, picture: null }],
  ['with lengths of two bytes', 'fa', { nalLengthBytes: 2, picture: null }],
  [
    'with them',
    `${BEFORE_SUBLAYERS} 00 0500 02d0 0000`,
    { nalLengthBytes: 4, picture: { widthPx: 1280, heightPx: 720 } },
  ],
  [
    'with a sub-profile',
    `${BEFORE_SUBLAYERS} 01 aabbccdd 0500 02d0 0000`,
    { nalLengthBytes: 4, picture: { widthPx: 1280, heightPx: 720 } },
  ],
  [
    'with the level of one of two sublayers',
    'ff 0020 5f 01 0233 00 80 33 00 0500 02d0 0000',
    { nalLengthBytes: 4, picture: { widthPx: 1280, heightPx: 720 } },
  ],
  ['without a size', `${BEFORE_SUBLAYERS} 00 0000 0000 0000`, { nalLengthBytes: 4, picture: null }],
])('reads a record %s', (_rule, record, expected) => {
  expect(parseVvcConfig(hex(record))).toEqual(expected)
})

test.each([
  ['another beginning', '00'],
  ['nothing', ''],
  ['a cut record', `${BEFORE_SUBLAYERS} 00 05`],
])('refuses %s', (_rule, record) => {
  expect(() => parseVvcConfig(hex(record))).toThrow(MalformedMediaError)
})
