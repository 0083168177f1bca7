import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseAggregate } from '../../../src/ingest/rtmp/aggregate.ts'
import { expectSurvives, hex } from '../../support/fuzz.ts'

describe('parseAggregate (RTMP 1.0 §7.1.6)', () => {
  const AGGREGATE =
    '08 000002 0003e8 00 000000 af01 0000000d' + '09 000001 0003f0 01 000000 27 0000000c'

  test('gives its messages times relative to the aggregate', () => {
    expect(parseAggregate(hex(AGGREGATE), 5000)).toEqual([
      { typeId: 8, timestamp: 5000, payload: hex('af01') },
      { typeId: 9, timestamp: 5000 + 8 + 0x100_0000, payload: hex('27') },
    ])
  })

  test('a last back pointer may be missing', () => {
    expect(parseAggregate(hex(AGGREGATE).subarray(0, -4), 0)).toHaveLength(2)
  })

  test.each([
    ['a size that lies', '09 ffffff 000000 00 000000 27'],
    ['a cut header', '09 000001 0000'],
    ['more messages than anybody sends', '09 000000 000000 00 000000 00000000'.repeat(1025)],
  ])('refuses %s', (_rule, body) => {
    expect(() => parseAggregate(hex(body), 0)).toThrow(MalformedMediaError)
  })

  test('survives mutated inputs', () => {
    expectSurvives([hex(AGGREGATE)], (body) => parseAggregate(body, 0))
  })
})
