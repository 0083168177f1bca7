import {
  distributionStrategy,
  refuseWarmThroughput,
  streamModeDetails,
  warmThroughput,
} from './capacity-mode.ts'
import {
  constraintFailure,
  integer,
  required,
  structure,
  validationError,
} from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamName } from './stream-address.ts'
import { refuseTooManyTags, tagMap } from './tags.ts'
import { maxRecordSize } from './update-max-record-size.ts'

/** Shards for the first 4 MB/s that every on-demand stream takes. */
const ON_DEMAND_SHARDS = 4

/** CreateStream: the answer comes when the stream is on disk and ACTIVE. */
export const createStream = defineOperation(
  'CreateStream',
  structure({
    StreamName: required(streamName),
    ShardCount: integer({ min: 1 }),
    StreamModeDetails: streamModeDetails,
    Tags: tagMap,
    MaxRecordSizeInKiB: maxRecordSize,
    WarmThroughputMiBps: warmThroughput,
    RecordDistributionStrategy: distributionStrategy,
  }),
  async (input, { service }) => {
    const mode = input.StreamModeDetails?.StreamMode ?? 'PROVISIONED'
    const warm = input.WarmThroughputMiBps
    const distribution = input.RecordDistributionStrategy
    if (warm !== undefined) refuseWarmThroughput(mode === 'ON_DEMAND', service)
    if (mode === 'PROVISIONED' && distribution !== undefined) {
      throw invalid('RecordDistributionStrategy needs an on-demand stream.')
    }
    if (mode === 'ON_DEMAND' && input.ShardCount !== undefined) {
      throw invalid('ShardCount cannot be specified for an on-demand stream.')
    }
    if (mode === 'PROVISIONED' && input.ShardCount === undefined) {
      throw validationError([constraintFailure(null, 'shardCount', 'not be null')])
    }
    refuseTooManyTags(input.Tags ?? {}, `stream ${input.StreamName}`)
    await service.dataStreams.create({
      name: input.StreamName,
      shardCount: input.ShardCount ?? Math.max(ON_DEMAND_SHARDS, warm ?? 0),
      mode,
      ...(input.MaxRecordSizeInKiB !== undefined && { maxRecordKiB: input.MaxRecordSizeInKiB }),
      ...(input.Tags !== undefined && { tags: input.Tags }),
      ...(warm !== undefined && { warmMiBps: warm }),
      ...(distribution !== undefined && { distribution }),
    })
    return null
  },
)
