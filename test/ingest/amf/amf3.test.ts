import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { decodeAmf0 } from '../../../src/ingest/amf/amf0.ts'
import { expectSurvives, hex } from '../../support/fuzz.ts'

/** Behind AMF 0's marker for one value of AMF 3. */
const decode = (text: string) => decodeAmf0(hex(`11 ${text}`))[0]

/** {app: "live", n: [1, "app"]} as an anonymous object with a dynamic part. */
const OBJECT = '0a 0b 01 07617070 06 096c697665 036e 09 05 01 04 01 06 00 01'

describe('AMF 3 inside of AMF 0', () => {
  test.each<[string, string, unknown]>([
    ['undefined', '00', undefined],
    ['null', '01', null],
    ['false', '02', false],
    ['true', '03', true],
    ['an integer of one byte', '04 7f', 127],
    ['an integer of two bytes', '04 8100', 128],
    ['an integer of four bytes', '04 bfffffff', 0x0fff_ffff],
    ['a negative integer', '04 ffffffff', -1],
    ['a double', '05 3ff0000000000000', 1],
    ['a string', '06 096c697665', 'live'],
    ['a date', '08 01 4270000000000000', new Date(2 ** 40)],
    ['a dense array', '09 05 01 04 01 04 02', [1, 2]],
    [
      'an array with names',
      '09 03 0361 04 05 01 04 06',
      new Map([
        ['a', 5],
        ['0', 6],
      ]),
    ],
    ['XML', '0b 073c612f', '<a/'],
    ['bytes', '0c 05 aabb', hex('aabb')],
    ['a vector of integers', '0d 05 00 ffffffff 00000002', [-1, 2]],
    ['a vector of unsigned integers', '0e 03 01 ffffffff', [0xffff_ffff]],
    ['a vector of doubles', '0f 03 00 3ff0000000000000', [1]],
    [
      'an object with texts by reference',
      OBJECT,
      new Map<string, unknown>([
        ['app', 'live'],
        ['n', [1, 'app']],
      ]),
    ],
    [
      'objects with traits by reference',
      '09 05 01 0a 13 01 0361 04 01 0a 01 04 02',
      [new Map([['a', 1]]), new Map([['a', 2]])],
    ],
    ['an object inside itself', '0a 0b 01 0361 0a 00 01', new Map([['a', undefined]])],
  ])('%s', (_rule, bytes, value) => {
    expect(decode(bytes)).toEqual(value)
  })

  test('AMF 0 goes on behind it', () => {
    expect(decodeAmf0(hex(`02 0001 61 11 ${OBJECT} 05`))).toEqual(['a', expect.any(Map), null])
  })

  test.each([
    ['a text that is not there', '06 04'],
    ['traits that are not there', '0a 05'],
    ['an externalizable object', '0a 07 01'],
    ['a text longer than the message', '06 ffffff ff 61'],
    ['an array longer than the message', '09 ffffffff 01'],
    ['bytes longer than the message', '0c ffffffff'],
    ['a vector longer than the message', '0d ffffffff 00'],
    ['traits longer than the message', '0a ffffff fb 01'],
    ['a dictionary', '11 01 00'],
    ['an unknown marker', '20'],
  ])('refuses %s', (_rule, bytes) => {
    expect(() => decode(bytes)).toThrow(MalformedMediaError)
  })

  test('refuses what nests thousands deep, and more values than a message may have', () => {
    expect(() => decode('09 03 01'.repeat(10_000))).toThrow('deeper than 16')
    expect(() => decode(`09 ${'81'}${'81'}01 01 ${'01'.repeat(20_000)}`)).toThrow('more than 4096')
  })

  test('survives cut and mutated values', () => {
    const seeds = [OBJECT, '09 05 01 0a 13 01 0361 04 01 0a 01 04 02', '0d 05 00 ffffffff 00000002']

    expect(
      expectSurvives(
        seeds.map((seed) => hex(`11 ${seed}`)),
        decodeAmf0,
      ),
    ).toBeGreaterThan(500)
  })
})
