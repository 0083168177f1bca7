import { expect, test } from 'vitest'
import type { StoredRecord } from '../../src/datastream/index.ts'
import { RecordTail } from '../../src/datastream/record-tail.ts'
import { epochMs } from '../../src/domain/time.ts'

const LIMITS = { maxRecords: 100, maxBytes: 1 << 20 }
const NEVER = epochMs(0)

function records(...texts: string[]): StoredRecord[] {
  return texts.map((text) => ({
    sequenceNumber: text,
    partitionKey: 'k',
    data: Buffer.from(text),
    arrivedAt: epochMs(1000),
  }))
}

function read(tail: RecordTail, index: number, limits = LIMITS, horizon = NEVER) {
  return tail.read(index, limits, horizon)?.map(({ sequenceNumber }) => sequenceNumber) ?? null
}

test('holds what was added in a row, and answers from any index of it', () => {
  const tail = new RecordTail(1000)
  expect(read(tail, 0)).toBeNull()
  tail.add(5, records('5', '6'))
  tail.add(7, records('7'))

  expect([4, 5, 7, 8].map((index) => read(tail, index))).toEqual([
    null,
    ['5', '6', '7'],
    ['7'],
    null,
  ])
})

test('what does not join starts anew', () => {
  const tail = new RecordTail(1000)
  tail.add(5, records('5'))
  tail.add(9, records('9'))

  expect([read(tail, 5), read(tail, 9)]).toEqual([null, ['9']])
})

test('drops the oldest beyond its bytes', () => {
  const tail = new RecordTail(6) // a record has two
  tail.add(0, records('0', '1', '2', '3', '4'))

  expect([read(tail, 1), read(tail, 2)]).toEqual([null, ['2', '3', '4']])
  tail.add(5, records('5'))
  expect(read(tail, 3)).toEqual(['3', '4', '5'])
})

test('keeps to the limits, with one record at least, and to the horizon', () => {
  const tail = new RecordTail(1000)
  tail.add(0, records('0', '1', '2'))

  expect(read(tail, 0, { ...LIMITS, maxRecords: 2 })).toEqual(['0', '1'])
  expect(read(tail, 0, { ...LIMITS, maxBytes: 4 })).toEqual(['0', '1'])
  expect(read(tail, 1, { ...LIMITS, maxBytes: 1 })).toEqual(['1'])
  expect(read(tail, 0, LIMITS, epochMs(1001))).toBeNull()
})

test('readers of the same records are given the same list, also after an append, and never a stale one', () => {
  const tail = new RecordTail(1000)
  tail.add(0, records('0', '1'))

  const first = tail.read(0, LIMITS, NEVER)
  expect(tail.read(0, LIMITS, NEVER)).toBe(first)
  tail.add(2, records('2'))
  expect(read(tail, 0)).toEqual(['0', '1', '2'])
  tail.clear()
  tail.add(0, records('a', 'b', 'c'))
  expect(read(tail, 0)).toEqual(['a', 'b', 'c'])
})
