import {
  constraintFailure,
  integer,
  oneOf,
  required,
  string,
  structure,
  validationError,
} from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamName } from './stream-address.ts'
import { refuseTooManyTags, tagMap } from './tags.ts'

/** CreateStream: provisioned streams. The answer comes when the stream is on disk and ACTIVE. */
export const createStream = defineOperation(
  'CreateStream',
  structure({
    StreamName: required(streamName),
    ShardCount: integer({ min: 1 }),
    StreamModeDetails: structure({ StreamMode: required(oneOf(['PROVISIONED', 'ON_DEMAND'])) }),
    Tags: tagMap,
    MaxRecordSizeInKiB: integer({ min: 1024, max: 10_240 }),
    WarmThroughputMiBps: integer({ min: 0 }),
    RecordDistributionStrategy: string({}),
  }),
  async (input, { service }) => {
    if (input.StreamModeDetails?.StreamMode === 'ON_DEMAND') {
      throw invalid('This server does not offer on-demand streams yet. Use PROVISIONED.')
    }
    if (input.WarmThroughputMiBps !== undefined || input.RecordDistributionStrategy !== undefined) {
      throw invalid('WarmThroughputMiBps and RecordDistributionStrategy need an on-demand stream.')
    }
    if (input.ShardCount === undefined) {
      throw validationError([constraintFailure(null, 'shardCount', 'not be null')])
    }
    refuseTooManyTags(input.Tags ?? {}, `stream ${input.StreamName}`)
    await service.dataStreams.create({
      name: input.StreamName,
      shardCount: input.ShardCount,
      ...(input.MaxRecordSizeInKiB !== undefined && { maxRecordKiB: input.MaxRecordSizeInKiB }),
      ...(input.Tags !== undefined && { tags: input.Tags }),
    })
    return null
  },
)
