import type { ShardInfo } from '../datastream/index.ts'

/**
 * The shards that may be read now: a shard is read to its end before its children, so that the
 * records of one partition key keep their order over a split or a merge. A parent that is no longer
 * listed has expired and holds nobody up.
 */
export function planReadyShards(
  shards: readonly ShardInfo[],
  isFinished: (shardId: string) => boolean,
): ShardInfo[] {
  const listed = new Set(shards.map(({ shardId }) => shardId))
  const isOver = (parent: string | null) =>
    parent === null || !listed.has(parent) || isFinished(parent)
  return shards.filter(
    ({ shardId, parentShardId, adjacentParentShardId }) =>
      !isFinished(shardId) && isOver(parentShardId) && isOver(adjacentParentShardId),
  )
}
