import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { toChannelInfo } from './channel-info.ts'
import { channelReference, channelResource, findChannel } from './channel-reference.ts'

export const describeSignalingChannel = defineOperation({
  name: 'DescribeSignalingChannel',
  errors: 'access-denied',
  differs: null,
  input: structure(channelReference),
  resource: channelResource,
  handle: async (input, { service }) => ({
    ChannelInfo: toChannelInfo(service, findChannel(service, input)),
  }),
})
