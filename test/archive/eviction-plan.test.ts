import { expect, test } from 'vitest'
import {
  defaultMinFreeBytes,
  planEviction,
  type StreamSpace,
} from '../../src/archive/eviction-plan.ts'
import { toStreamId } from '../../src/domain/stream.ts'

const idOf = (name: string) => toStreamId(name, 1)

/** Chunks as `age:bytes`, oldest first; what is in parentheses cannot go. */
function space(name: string, chunks: string, quotaBytes: number | null = null): StreamSpace {
  const all = chunks.split(' ').map((text, i) => {
    const [age, bytes] = text.replaceAll(/[()]/g, '').split(':').map(Number)
    const kept = text.startsWith('(')
    return { kept, firstCounter: i + 1, bytes: bytes!, lastServerTimestamp: age! }
  })
  return {
    streamId: idOf(name),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    quotaBytes,
    evictable: all.filter(({ kept }) => !kept).map(({ kept: _, ...chunk }) => chunk),
  }
}

const PLENTY = { freeBytes: 1e9, minFreeBytes: 0 }
const short = (bytes: number) => ({ freeBytes: 100, minFreeBytes: 100 + bytes })

test.each([
  { rule: 'nothing goes while there is room', streams: [space('a', '1:10 2:10')], disk: PLENTY },
  { rule: 'nothing goes at exactly the minimum', streams: [space('a', '1:10')], disk: short(0) },
  { rule: 'nor at exactly the quota', streams: [space('a', '1:10 2:10', 20)], disk: PLENTY },
  { rule: 'nothing can go where there is nothing', streams: [], disk: short(50) },
  {
    rule: 'over its quota a stream loses its own oldest, until it is within',
    streams: [space('a', '5:10 6:10 7:10', 15), space('b', '1:99')],
    disk: PLENTY,
    expected: ['a1 quota', 'a2 quota'],
  },
  {
    rule: 'what a quota frees counts for the disk',
    streams: [space('a', '5:10 6:10', 10), space('b', '1:99')],
    disk: short(10),
    expected: ['a1 quota'],
  },
  {
    rule: 'a quota takes all there is, and no more',
    streams: [space('a', '1:10 (2:10)', 5)],
    disk: PLENTY,
    expected: ['a1 quota'],
  },
  {
    rule: 'the largest stream gives first',
    streams: [space('a', '1:10 2:10'), space('b', '8:10 9:10 10:10')],
    disk: short(5),
    expected: ['b1 disk-space'],
  },
  {
    rule: 'they shrink to the same size',
    streams: [space('a', '1:10 2:10'), space('b', '5:10 6:10 7:10 8:10'), space('c', '1:10')],
    disk: short(40),
    expected: ['b1 disk-space', 'b2 disk-space', 'a1 disk-space', 'b3 disk-space'],
  },
  {
    rule: 'among equals the oldest goes',
    streams: [space('a', '4:10 5:10'), space('b', '3:10 9:10')],
    disk: short(1),
    expected: ['b1 disk-space'],
  },
  {
    rule: 'a small stream keeps its media while a large one is held, as long as it can',
    streams: [space('a', '(1:99) (2:99)'), space('b', '3:10 4:10')],
    disk: short(15),
    expected: ['b1 disk-space', 'b2 disk-space'],
  },
  {
    rule: 'held chunks stay and those behind them go',
    streams: [space('a', '(1:10) 2:10 (3:10) 4:10')],
    disk: short(15),
    expected: ['a2 disk-space', 'a4 disk-space'],
  },
  {
    rule: 'it ends when nothing is left that may go',
    streams: [space('a', '1:10'), space('b', '(1:10)')],
    disk: short(1000),
    expected: ['a1 disk-space'],
  },
])('$rule', ({ streams, disk, expected = [] }) => {
  const plan = planEviction(streams, disk)

  const names = plan.map(({ streamId, firstCounter, reason }) => {
    return `${streamId.split('~')[0]}${firstCounter} ${reason}`
  })
  expect(names).toEqual(expected)
})

test('whatever the sizes, no stream ends much smaller than one that gave nothing', () => {
  const chunks = (count: number) => Array.from({ length: count }, (_, i) => `${i}:10`).join(' ')
  const sizes = [3, 50, 7, 20, 51]
  const streams = sizes.map((count, i) => space(String(i), chunks(count)))

  const plan = planEviction(streams, short(700))

  const left = sizes.map((count, i) => {
    return count - plan.filter(({ streamId }) => streamId === idOf(String(i))).length
  })
  expect(plan.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(700)
  expect(left.toSorted((a, b) => a - b)).toEqual([3, 7, 17, 17, 17])
})

test.each([
  { total: 20 * 1024 ** 2, expected: 1024 ** 2 },
  { total: 10 * 1024 ** 3, expected: 512 * 1024 ** 2 },
  { total: 4 * 1024 ** 4, expected: 512 * 1024 ** 2 },
])('of $total bytes, $expected are kept free unless told otherwise', ({ total, expected }) => {
  expect(defaultMinFreeBytes(total)).toBe(expected)
})
