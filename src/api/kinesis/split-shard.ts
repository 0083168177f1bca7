import { refuseOnDemand } from './capacity-mode.ts'
import { required, string, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { shardId, streamMembers, toStreamName } from './stream-address.ts'

/** SplitShard: the answer comes when both children are open and on disk. */
export const splitShard = defineOperation(
  'SplitShard',
  structure({
    ...streamMembers,
    ShardToSplit: required(shardId),
    NewStartingHashKey: required(string({ pattern: '0|([1-9]\\d{0,38})' })),
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    refuseOnDemand(name, service)
    await service.dataStreams.split(name, input.ShardToSplit, input.NewStartingHashKey)
    return null
  },
)
