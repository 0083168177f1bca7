import { expect, test } from 'vitest'
import { splitHashSpace } from '../../src/datastream/hash-range.ts'
import { planOnDemand, shardsFor, type BusyShard } from '../../src/datastream/plan-on-demand.ts'

const QUIET = { bytesPerSecond: 0, recordsPerSecond: 0 }
const MB = 1024 * 1024

function shardsWith(...bytesPerSecond: number[]): BusyShard[] {
  return splitHashSpace(bytesPerSecond.length).map((range, number) => {
    return { number, range, bytesPerSecond: bytesPerSecond[number]!, recordsPerSecond: 0 }
  })
}

test.each([
  { rule: 'four at least', peak: QUIET, warm: 0, shards: 4 },
  {
    rule: 'twice the peak in bytes',
    peak: { ...QUIET, bytesPerSecond: 3.2 * MB },
    warm: 0,
    shards: 7,
  },
  {
    rule: 'twice the peak in records',
    peak: { ...QUIET, recordsPerSecond: 5001 },
    warm: 0,
    shards: 11,
  },
  { rule: 'what is to be warm', peak: QUIET, warm: 20, shards: 20 },
])('a stream has shards for $rule', ({ peak, warm, shards }) => {
  expect(shardsFor(peak, warm)).toBe(shards)
})

test.each([
  { rule: 'quiet shards stay', loads: [0, 0, 0, 0], steps: [] },
  {
    rule: 'a shard over half of its capacity is split',
    loads: [0, 0.6 * MB, 0, 0],
    steps: ['split 1'],
  },
  {
    rule: 'as many as the peak asks for, the widest first',
    loads: [0, 0, 0, 0],
    peak: { ...QUIET, bytesPerSecond: 3 * MB },
    steps: ['split 0', 'split 1'],
  },
  {
    rule: 'cold neighbours merge, down to four',
    loads: [0, 0, 0, 0, 0, 0],
    steps: ['merge 0 1', 'merge 2 3'],
  },
  {
    rule: 'not those that have something to do',
    loads: [0.2 * MB, 0.2 * MB, 0.2 * MB, 0.2 * MB, 0, 0.2 * MB],
    steps: [],
  },
  {
    rule: 'no merge while another is split',
    loads: [0, 0, 0, 0, 0, 0.9 * MB],
    steps: ['split 5'],
  },
])('$rule', ({ loads, steps, peak = QUIET }) => {
  const planned = planOnDemand(shardsWith(...loads), { peak, warmMiBps: 0 })

  expect(
    planned.map((step) =>
      step.kind === 'split' ? `split ${step.number}` : `merge ${step.number} ${step.adjacent}`,
    ),
  ).toEqual(steps)
})

test('a split is in the middle of the range', () => {
  const [step] = planOnDemand(shardsWith(MB, 0, 0, 0), { peak: QUIET, warmMiBps: 0 })

  expect(step).toEqual({ kind: 'split', number: 0, at: (1n << 125n).toString() })
})
