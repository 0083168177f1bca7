import { integer, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { shardId, streamMembers, toStreamName } from './stream-address.ts'
import { toShardMember, toStreamMembers } from './stream-description.ts'

const MAX_SHARDS = 100

/** DescribeStream: the stream with its shards, page by page. */
export const describeStream = defineOperation(
  'DescribeStream',
  structure({
    ...streamMembers,
    Limit: integer({ min: 1, max: 10_000 }),
    ExclusiveStartShardId: shardId,
  }),
  async (input, call) => {
    const { service } = call
    const info = service.dataStreams.describe(toStreamName(input, service))
    const limit = Math.min(input.Limit ?? MAX_SHARDS, MAX_SHARDS)
    const { ExclusiveStartShardId: after = '' } = input
    const shards = info.shards.filter((shard) => shard.shardId > after)
    return {
      StreamDescription: {
        ...toStreamMembers(info, call),
        Shards: shards.slice(0, limit).map(toShardMember),
        HasMoreShards: shards.length > limit,
      },
    }
  },
)
