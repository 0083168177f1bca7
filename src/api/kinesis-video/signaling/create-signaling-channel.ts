import { ServiceError } from '../../../domain/errors.ts'
import { oneOf, required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { invalid, resourceName } from '../stream-reference.ts'
import { tagList, toTags } from '../tags/tags.ts'
import { DEFAULT_MESSAGE_TTL_SECONDS, singleMasterConfiguration } from './channel-info.ts'
import { channelResource, toChannelArn } from './channel-reference.ts'

export const createSignalingChannel = defineOperation({
  name: 'CreateSignalingChannel',
  errors: 'access-denied',
  differs: 'ACTIVE at once. A channel is a resource only: there is no WebRTC media path yet.',
  input: structure({
    ChannelName: required(resourceName),
    ChannelType: oneOf(['SINGLE_MASTER', 'FULL_MESH']),
    SingleMasterConfiguration: singleMasterConfiguration,
    Tags: tagList(0),
  }),
  resource: channelResource,
  handle: async (input, { service }) => {
    const { channels, limits } = service.control
    if (input.ChannelType === 'FULL_MESH') {
      throw invalid('ChannelType FULL_MESH is not supported; SINGLE_MASTER is.')
    }
    if (channels.list().length >= limits.maxChannels) {
      throw new ServiceError(
        'limit-exceeded',
        'AccountChannelLimitExceededException',
        `There are ${limits.maxChannels} channels already: the most that the configuration allows.`,
      )
    }
    const channel = await channels.create({
      name: input.ChannelName,
      messageTtlSeconds:
        input.SingleMasterConfiguration?.MessageTtlSeconds ?? DEFAULT_MESSAGE_TTL_SECONDS,
      tags: toTags(input.Tags ?? []),
    })
    return { ChannelARN: toChannelArn(service, channel) }
  },
})
