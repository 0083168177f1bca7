import { SHARD_LEVEL_METRICS, type ShardLevelMetric } from '../../datastream/index.ts'
import { list, oneOf, required, structure } from '../aws/input-schema.ts'
import type { KinesisService } from './operation.ts'
import { streamMembers, toStreamArn, toStreamName, type StreamAddress } from './stream-address.ts'

export const monitoringInput = structure({
  ...streamMembers,
  ShardLevelMetrics: required(list(oneOf([...SHARD_LEVEL_METRICS, 'ALL']), { min: 1, max: 7 })),
})

/** What both operations do: the list changes, the answer has it before and after. */
export async function changeMonitoring(
  input: StreamAddress & { readonly ShardLevelMetrics: readonly (ShardLevelMetric | 'ALL')[] },
  service: KinesisService,
  keeps: (isNow: boolean, isNamed: boolean) => boolean,
) {
  const name = toStreamName(input, service)
  const before = service.dataStreams.settings(name).shardLevelMetrics
  const isNamed = (metric: ShardLevelMetric) =>
    input.ShardLevelMetrics.includes('ALL') || input.ShardLevelMetrics.includes(metric)
  const after = SHARD_LEVEL_METRICS.filter((metric) =>
    keeps(before.includes(metric), isNamed(metric)),
  )
  await service.dataStreams.update(name, { shardLevelMetrics: after })
  return {
    StreamName: name,
    StreamARN: toStreamArn(name, service),
    CurrentShardLevelMetrics: before,
    DesiredShardLevelMetrics: after,
  }
}
