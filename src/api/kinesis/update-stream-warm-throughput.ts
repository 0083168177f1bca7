import { refuseWarmThroughput, warmThroughput } from './capacity-mode.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamArn, toStreamName } from './stream-address.ts'
import { toWarmThroughput } from './stream-description.ts'

/** UpdateStreamWarmThroughput: the stream gets the shards for it when the service next looks. */
export const updateStreamWarmThroughput = defineOperation(
  'UpdateStreamWarmThroughput',
  structure({ ...streamMembers, WarmThroughputMiBps: required(warmThroughput) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const { mode } = service.dataStreams.settings(name)
    refuseWarmThroughput(mode === 'ON_DEMAND', service)
    await service.dataStreams.update(name, { warmMiBps: input.WarmThroughputMiBps })
    return {
      StreamARN: toStreamArn(name, service),
      StreamName: name,
      WarmThroughput: toWarmThroughput(name, service),
    }
  },
)
