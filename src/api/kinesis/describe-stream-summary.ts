import { structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'
import { countOpenShards, toStreamMembers } from './stream-description.ts'

/** DescribeStreamSummary: the stream without its shards. */
export const describeStreamSummary = defineOperation(
  'DescribeStreamSummary',
  structure(streamMembers),
  async (input, call) => {
    const { service } = call
    const name = toStreamName(input, service)
    const info = service.dataStreams.describe(name)
    return {
      StreamDescriptionSummary: {
        ...toStreamMembers(info, call),
        OpenShardCount: countOpenShards(info),
        ConsumerCount: service.dataStreams.consumers(name).list().length,
        MaxRecordSizeInKiB: service.dataStreams.settings(name).maxRecordBytes / 1024,
        ChannelCount: 0,
      },
    }
  },
)
