import { expect, test } from 'vitest'
import {
  decryptRecordData,
  encryptRecordData,
  isEncryptedRecordData,
} from '../../src/client/index.ts'

const KEY = { keyId: 'own-ä', key: Buffer.alloc(32, 1) }
const keyOf = (keyId: string) => (keyId === KEY.keyId ? KEY.key : null)
const DATA = Buffer.from('a number plate')

test.each([
  { rule: 'text', data: DATA },
  { rule: 'nothing', data: Buffer.alloc(0) },
  { rule: 'a view into a larger buffer', data: Buffer.alloc(5000, 7).subarray(9, 4000) },
])('gives back $rule', ({ data }) => {
  const envelope = encryptRecordData(data, KEY)

  expect(isEncryptedRecordData(envelope)).toBe(true)
  expect(envelope.length).toBe(data.length + 94 + Buffer.byteLength(KEY.keyId))
  expect(decryptRecordData(envelope, keyOf).equals(data)).toBe(true)
})

test('no two envelopes are alike, and none holds the data', () => {
  const [one, two] = [encryptRecordData(DATA, KEY), encryptRecordData(DATA, KEY)]

  expect(one.equals(two)).toBe(false)
  expect(one.includes(DATA)).toBe(false)
})

test('an envelope that was changed in any byte, or cut anywhere, is refused', () => {
  const envelope = encryptRecordData(DATA, KEY)

  for (let at = 0; at < envelope.length; at++) {
    const changed = Buffer.from(envelope)
    changed[at]! ^= 1
    expect(() => decryptRecordData(changed, () => KEY.key)).toThrow('cannot be deciphered')
    expect(() => decryptRecordData(envelope.subarray(0, at), () => KEY.key)).toThrow(
      'cannot be deciphered',
    )
  }
})

test('a key that nobody has is named, and another key of its name refused', () => {
  const envelope = encryptRecordData(DATA, KEY)

  expect(() => decryptRecordData(envelope, () => null)).toThrow('Key own-ä does not exist.')
  expect(() => decryptRecordData(envelope, () => Buffer.alloc(32, 2))).toThrow(
    'cannot be deciphered',
  )
})

test('plain data is told from an envelope', () => {
  expect([DATA, Buffer.alloc(0), Buffer.from('KENV')].some(isEncryptedRecordData)).toBe(false)
})

test.each([{ keyId: '' }, { keyId: 'x'.repeat(256) }])(
  'a key id has 1 to 255 bytes',
  ({ keyId }) => {
    expect(() => encryptRecordData(DATA, { ...KEY, keyId })).toThrow(RangeError)
  },
)
