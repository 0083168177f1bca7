import { expect, test } from 'vitest'
import { planReadyShards } from '../../src/consume/index.ts'
import type { ShardInfo } from '../../src/datastream/index.ts'

function shard(shardId: string, parent: string | null = null, adjacent: string | null = null) {
  return { shardId, parentShardId: parent, adjacentParentShardId: adjacent } as ShardInfo
}

test.each([
  { rule: 'shards without parents', shards: [shard('a'), shard('b')], over: '', ready: 'ab' },
  {
    rule: 'a parent before its children',
    shards: [shard('a'), shard('b', 'a')],
    over: '',
    ready: 'a',
  },
  {
    rule: 'children once it is over',
    shards: [shard('a'), shard('b', 'a'), shard('c', 'a')],
    over: 'a',
    ready: 'bc',
  },
  {
    rule: 'a merged shard waits for both',
    shards: [shard('a'), shard('b'), shard('c', 'a', 'b')],
    over: 'a',
    ready: 'b',
  },
  {
    rule: 'and follows both',
    shards: [shard('a'), shard('b'), shard('c', 'a', 'b')],
    over: 'ab',
    ready: 'c',
  },
  {
    rule: 'an expired parent holds nobody up',
    shards: [shard('c', 'a', 'b')],
    over: '',
    ready: 'c',
  },
  {
    rule: 'grandchildren wait too',
    shards: [shard('a'), shard('b', 'a'), shard('c', 'b')],
    over: '',
    ready: 'a',
  },
])('$rule', ({ shards, over, ready }) => {
  const found = planReadyShards(shards, (shardId) => over.includes(shardId))
  expect(found.map(({ shardId }) => shardId).join('')).toBe(ready)
})
