import { oneOf, required, string, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { invalid, resourceArn, resourceName } from '../stream-reference.ts'
import { channelResource, findChannel } from './channel-reference.ts'

/** The operations of the WebRTC media path: they know their channels, and say that there is no such path. */
const DIFFERS = 'Answers InvalidArgumentException: the WebRTC media path is not available yet.'

export const getIceServerConfig = defineOperation({
  name: 'GetIceServerConfig',
  path: '/v1/get-ice-server-config',
  isAvailable: false,
  differs: DIFFERS,
  input: structure({
    ChannelARN: required(resourceArn),
    ClientId: resourceName,
    Service: oneOf(['TURN']),
    Username: resourceName,
  }),
  resource: channelResource,
  handle: async (input, { service }) => {
    findChannel(service, input)
    throw notAvailable()
  },
})

export const sendAlexaOfferToMaster = defineOperation({
  name: 'SendAlexaOfferToMaster',
  path: '/v1/send-alexa-offer-to-master',
  isAvailable: false,
  differs: DIFFERS,
  input: structure({
    ChannelARN: required(resourceArn),
    SenderClientId: required(resourceName),
    MessagePayload: required(string({ min: 1, max: 10_000, pattern: '[a-zA-Z0-9+/=]+' })),
  }),
  resource: channelResource,
  handle: async (input, { service }) => {
    findChannel(service, input)
    throw notAvailable()
  },
})

export const joinStorageSession = defineOperation({
  name: 'JoinStorageSession',
  isAvailable: false,
  errors: 'webrtc-storage',
  differs: DIFFERS,
  input: structure({ channelArn: required(resourceArn) }),
  resource: ({ channelArn }, service) => channelResource({ ChannelARN: channelArn }, service),
  handle: async ({ channelArn }, { service }) => {
    findChannel(service, { ChannelARN: channelArn })
    throw notAvailable()
  },
})

export const joinStorageSessionAsViewer = defineOperation({
  name: 'JoinStorageSessionAsViewer',
  isAvailable: false,
  errors: 'webrtc-storage',
  differs: DIFFERS,
  input: structure({ channelArn: required(resourceArn), clientId: required(resourceName) }),
  resource: ({ channelArn }, service) => channelResource({ ChannelARN: channelArn }, service),
  handle: async ({ channelArn }, { service }) => {
    findChannel(service, { ChannelARN: channelArn })
    throw notAvailable()
  },
})

function notAvailable() {
  return invalid(
    'The WebRTC media path of signaling channels is not available in this service yet. Publish over ' +
      'PutMedia, RTMP or RTSP instead.',
  )
}
