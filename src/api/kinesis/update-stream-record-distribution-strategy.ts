import { distributionStrategy } from './capacity-mode.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamArn, toStreamName } from './stream-address.ts'

/** UpdateStreamRecordDistributionStrategy: AUTO spreads records evenly, whatever their keys. */
export const updateStreamRecordDistributionStrategy = defineOperation(
  'UpdateStreamRecordDistributionStrategy',
  structure({
    StreamARN: required(streamArn),
    RecordDistributionStrategy: required(distributionStrategy),
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const distribution = input.RecordDistributionStrategy
    if (service.dataStreams.settings(name).mode === 'PROVISIONED' && distribution === 'AUTO') {
      throw invalid('RecordDistributionStrategy AUTO needs an on-demand stream.')
    }
    await service.dataStreams.update(name, { distribution })
    return null
  },
)
