import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { resourceArn } from '../stream-reference.ts'
import { version } from '../streams/change-stream.ts'
import { singleMasterConfiguration } from './channel-info.ts'
import { changeChannel, channelResource } from './channel-reference.ts'

export const updateSignalingChannel = defineOperation({
  name: 'UpdateSignalingChannel',
  errors: 'access-denied',
  differs: 'In force when it answers: a channel is never UPDATING.',
  input: structure({
    ChannelARN: required(resourceArn),
    CurrentVersion: required(version),
    SingleMasterConfiguration: singleMasterConfiguration,
  }),
  resource: channelResource,
  handle: async (input, { service }) => {
    const messageTtlSeconds = input.SingleMasterConfiguration?.MessageTtlSeconds
    await changeChannel(service, input, () =>
      messageTtlSeconds === undefined ? {} : { messageTtlSeconds },
    )
    return {}
  },
})
