import { structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'
import { countOpenShards, toStreamMembers, toWarmThroughput } from './stream-description.ts'

/** DescribeStreamSummary: the stream without its shards. */
export const describeStreamSummary = defineOperation(
  'DescribeStreamSummary',
  structure(streamMembers),
  async (input, call) => {
    const { service } = call
    const name = toStreamName(input, service)
    const info = service.dataStreams.describe(name)
    const settings = service.dataStreams.settings(name)
    return {
      StreamDescriptionSummary: {
        ...toStreamMembers(info, call),
        OpenShardCount: countOpenShards(info),
        ConsumerCount: service.dataStreams.consumers(name).list().length,
        MaxRecordSizeInKiB: settings.maxRecordKiB,
        ChannelCount: 0,
        // The service's own has no such member; clients pass over what they do not know.
        StoredBytes: await service.dataStreams.storedBytes(name),
        ...(settings.mode === 'ON_DEMAND' && { RecordDistributionStrategy: settings.distribution }),
        ...(settings.warmMiBps > 0 && { WarmThroughput: toWarmThroughput(name, service) }),
      },
    }
  },
)
