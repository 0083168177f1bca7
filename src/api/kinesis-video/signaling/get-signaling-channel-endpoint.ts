import { list, oneOf, required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { invalid, resourceArn } from '../stream-reference.ts'
import { channelResource, findChannel } from './channel-reference.ts'
import { storageStreamOf } from './media-storage.ts'

/** Where peers of the channel would signal: here. */
export const getSignalingChannelEndpoint = defineOperation({
  name: 'GetSignalingChannelEndpoint',
  errors: 'access-denied',
  differs: 'Names this service for every protocol and role; there is no WebRTC media path yet.',
  input: structure({
    ChannelARN: required(resourceArn),
    SingleMasterChannelEndpointConfiguration: structure({
      Protocols: list(oneOf(['WSS', 'HTTPS', 'WEBRTC']), { min: 1, max: 5 }),
      Role: oneOf(['MASTER', 'VIEWER']),
    }),
  }),
  resource: channelResource,
  handle: async (input, { service, origin }) => {
    const channel = findChannel(service, input)
    const asked = input.SingleMasterChannelEndpointConfiguration?.Protocols ?? ['WSS', 'HTTPS']
    if (asked.includes('WEBRTC') && storageStreamOf(service, channel) === null) {
      throw invalid('The protocol WEBRTC needs a channel whose media storage is ENABLED.')
    }
    return {
      ResourceEndpointList: [...new Set(asked)].map((protocol) => ({
        Protocol: protocol,
        ResourceEndpoint: protocol === 'WSS' ? origin.replace(/^http/, 'ws') : origin,
      })),
    }
  },
})
