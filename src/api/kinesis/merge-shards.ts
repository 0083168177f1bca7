import { refuseOnDemand } from './capacity-mode.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { shardId, streamMembers, toStreamName } from './stream-address.ts'

/** MergeShards: the answer comes when the child is open and on disk. */
export const mergeShards = defineOperation(
  'MergeShards',
  structure({
    ...streamMembers,
    ShardToMerge: required(shardId),
    AdjacentShardToMerge: required(shardId),
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    refuseOnDemand(name, service)
    await service.dataStreams.merge(name, input.ShardToMerge, input.AdjacentShardToMerge)
    return null
  },
)
