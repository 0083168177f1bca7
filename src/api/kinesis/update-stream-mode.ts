import { refuseWarmThroughput, streamModeDetails, warmThroughput } from './capacity-mode.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamArn, toStreamName } from './stream-address.ts'

/** UpdateStreamMode: the shards stay; from now on the service or the owner changes them. */
export const updateStreamMode = defineOperation(
  'UpdateStreamMode',
  structure({
    StreamARN: required(streamArn),
    StreamModeDetails: required(streamModeDetails),
    WarmThroughputMiBps: warmThroughput,
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    service.dataStreams.describe(name)
    const mode = input.StreamModeDetails.StreamMode
    const warm = input.WarmThroughputMiBps
    if (warm !== undefined) refuseWarmThroughput(mode === 'ON_DEMAND', service)
    await service.dataStreams.update(name, {
      mode,
      warmMiBps: warm ?? 0,
      ...(mode === 'PROVISIONED' && { distribution: 'USER_PARTITION_KEY' }),
    })
    return null
  },
)
