import { ServiceError } from '../../domain/errors.ts'
import { refuseOnDemand } from './capacity-mode.ts'
import { integer, oneOf, required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamArn, toStreamName } from './stream-address.ts'
import { countOpenShards } from './stream-description.ts'

const MAX_SHARDS = 10_000

/** UpdateShardCount: the answer comes when the stream has so many open shards of equal ranges. */
export const updateShardCount = defineOperation(
  'UpdateShardCount',
  structure({
    ...streamMembers,
    TargetShardCount: required(integer({ min: 1 })),
    ScalingType: required(oneOf(['UNIFORM_SCALING'])),
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    refuseOnDemand(name, service)
    const target = input.TargetShardCount
    const current = countOpenShards(service.dataStreams.describe(name))
    refuseTarget(current, target)
    await service.dataStreams.scale(name, target)
    return {
      StreamName: name,
      StreamARN: toStreamArn(name, service),
      CurrentShardCount: current,
      TargetShardCount: target,
    }
  },
)

/** At most double and at least half (KDS API: UpdateShardCount). */
function refuseTarget(current: number, target: number): void {
  const counts = `Current open shard count: ${current}, Target shard count: ${target}`
  if (target > MAX_SHARDS) {
    throw limitExceeded(
      `Target shard count or number of open shards cannot be greater than ${MAX_SHARDS}. ${counts}`,
    )
  }
  if (target > current * 2) {
    throw limitExceeded(
      `UpdateShardCount cannot scale up over double your current open shard count. ${counts}`,
    )
  }
  if (target < current / 2) {
    throw limitExceeded(
      `UpdateShardCount cannot scale down below half your current open shard count. ${counts}`,
    )
  }
}

function limitExceeded(message: string): ServiceError {
  return new ServiceError('limit-exceeded', 'LimitExceededException', message)
}
