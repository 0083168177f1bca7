import { describe, expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import { splitHashSpace } from '../../src/datastream/hash-range.ts'
import {
  planMerge,
  planSplit,
  planUniformScaling,
  type Reshardable,
  type ReshardPlan,
} from '../../src/datastream/plan-reshard.ts'
import { toSeconds, toShardId } from '../../src/datastream/shard.ts'
import type { ShardRow } from '../../src/datastream/stream-rows.ts'

const NOW = epochMs(1_700_000_000_500)
const SPACE = 1n << 128n

function streamOf(count: number): Reshardable {
  const shards = splitHashSpace(count).map((range, number) => {
    return { number, range, createdAt: NOW, parents: [], closedAt: null }
  })
  return { name: 's', shards, nextShard: count }
}

function apply(stream: Reshardable, { closed, created }: ReshardPlan): Reshardable {
  const ended = new Map(closed.map((row) => [row.number, row]))
  const shards = [...stream.shards.map((row) => ended.get(row.number) ?? row), ...created]
  return { ...stream, shards, nextShard: stream.nextShard + created.length }
}

const value = (digits: string) => BigInt(`0x${digits}`)
const openOf = ({ shards }: Reshardable) =>
  shards
    .filter(({ closedAt }) => closedAt === null)
    .sort((a, b) => (a.range.from < b.range.from ? -1 : 1))

/** What must hold after any sequence of changes. */
function checkLineage(stream: Reshardable): void {
  let next = 0n
  for (const { range } of openOf(stream)) {
    expect(value(range.from)).toBe(next)
    next = value(range.to) + 1n
  }
  expect(next).toBe(SPACE)
  expect(stream.shards.map(({ number }) => number)).toEqual(stream.shards.map((_, i) => i))
  const byNumber = new Map(stream.shards.map((row) => [row.number, row]))
  for (const child of stream.shards.filter(({ parents }) => parents.length > 0)) {
    const parents = child.parents.map((number) => byNumber.get(number)!)
    const overlapping = stream.shards.filter(
      (one) =>
        one.closedAt === child.createdAt &&
        one.range.from <= child.range.to &&
        one.range.to >= child.range.from &&
        one.number < child.number,
    )
    expect(parents.length).toBeLessThanOrEqual(2)
    expect(overlapping.map(({ number }) => number).sort()).toEqual([...child.parents].sort())
    for (const parent of parents) {
      expect(parent.closedAt).toBe(child.createdAt)
      // Numbers begin with the second of the creation: those of a child come after its parents'.
      expect(toSeconds(child.createdAt)).toBeGreaterThan(toSeconds(parent.createdAt))
    }
  }
}

describe('uniform scaling', () => {
  // The counts of all shards, short-lived ones included, were recorded on the service where noted.
  test.each([
    { from: 2, to: 4, total: 6 }, // recorded
    { from: 4, to: 2, total: 6 }, // recorded
    { from: 4, to: 5, total: 15 }, // recorded
    { from: 1, to: 2, total: 3 },
    { from: 2, to: 3, total: 7 },
    { from: 5, to: 3, total: 13 },
    { from: 3, to: 3, total: 3 },
    { from: 100, to: 200, total: 300 },
    { from: 7, to: 11, total: 33 },
  ])('$from to $to shards makes $total in all', ({ from, to, total }) => {
    const after = apply(streamOf(from), planUniformScaling(streamOf(from), to, NOW))

    checkLineage(after)
    expect(openOf(after).map(({ range }) => range)).toEqual(splitHashSpace(to))
    expect(after.shards).toHaveLength(total)
  })

  test('unequal ranges become equal ones, and a shard that fits stays', () => {
    let stream = streamOf(4)
    stream = apply(stream, planSplit(stream, toShardId(1), (SPACE / 3n).toString(), NOW))
    const { shards } = stream
    stream = apply(stream, planUniformScaling(stream, 4, NOW))

    checkLineage(stream)
    expect(openOf(stream).map(({ range }) => range)).toEqual(splitHashSpace(4))
    for (const number of [0, 2, 3]) expect(stream.shards[number]).toBe(shards[number])
  })

  test('10,000 shards are planned in moments', () => {
    const plan = planUniformScaling(streamOf(9_999), 10_000, NOW)

    expect(openOf(apply(streamOf(9_999), plan))).toHaveLength(10_000)
  })
})

test('the open shards cover the hash space once after any sequence of changes', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return seed % below
  }
  let stream = streamOf(2)
  for (let step = 0; step < 200; step++) {
    const open = openOf(stream)
    const at = random(open.length)
    const now = epochMs(NOW + step * 100)
    stream = apply(stream, changeAt(stream, open, at, now))
    checkLineage(stream)
  }
  expect(stream.shards.length).toBeGreaterThan(200)

  function changeAt(from: Reshardable, open: ShardRow[], at: number, now: typeof NOW) {
    if (random(20) === 0) return planUniformScaling(from, Math.max(1, random(open.length * 2)), now)
    const { number, range } = open[at]!
    const neighbour = open[at + 1]
    if (neighbour !== undefined && random(2) === 0) {
      const pair = [number, neighbour.number].map(toShardId) as [string, string]
      const [one, other] = random(2) === 0 ? pair : pair.toReversed()
      return planMerge(from, one!, other!, now)
    }
    const middle = (value(range.from) + value(range.to)) / 2n
    return planSplit(from, toShardId(number), middle.toString(), now)
  }
})

describe('refusals', () => {
  const stream = streamOf(4)
  const quarter = SPACE / 4n
  const [first, second, third] = [0, 1, 2].map(toShardId) as [string, string, string]
  const split = (key: bigint) => planSplit(stream, second, key.toString(), NOW)

  test.each([
    { rule: 'the start of the range', key: quarter },
    { rule: 'one above it: the first child would have one key', key: quarter + 1n },
    { rule: 'the end of the range', key: quarter * 2n - 1n },
    { rule: 'a key of another shard', key: 5n },
  ])('no split at $rule', ({ key }) => {
    expect(() => split(key)).toThrow(
      `NewStartingHashKey ${key} used in SplitShard() on shard ${second} in stream s is not both ` +
        `greater than one plus the shard's StartingHashKey ${quarter} and less than the shard's ` +
        `EndingHashKey ${quarter * 2n - 1n}.`,
    )
  })

  test('a split one key inside either end', () => {
    for (const key of [quarter + 2n, quarter * 2n - 2n]) {
      checkLineage(apply(stream, split(key)))
    }
  })

  test('no merge of shards that are no neighbours, in either order', () => {
    for (const pair of [
      [first, third],
      [third, first],
      [first, first],
    ] as const) {
      expect(() => planMerge(stream, ...pair, NOW)).toThrow(
        'are not an adjacent pair of shards eligible for merging',
      )
    }
  })

  test('a closed shard is neither split nor merged, an unknown one is not found', () => {
    const after = apply(stream, planMerge(stream, second, first, NOW))

    expect(() => planSplit(after, first, '9', NOW)).toThrow('already been merged or split')
    expect(() => planMerge(after, third, second, NOW)).toThrow('already been merged or split')
    expect(() => planSplit(after, toShardId(77), '9', NOW)).toThrow(
      'Could not find shard shardId-000000000077 in stream s.',
    )
  })
})
