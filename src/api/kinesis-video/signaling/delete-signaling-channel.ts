import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { resourceArn } from '../stream-reference.ts'
import { requireVersion, version } from '../streams/change-stream.ts'
import { channelResource, findChannel } from './channel-reference.ts'

export const deleteSignalingChannel = defineOperation({
  name: 'DeleteSignalingChannel',
  errors: 'access-denied',
  differs: 'Done when it answers: a channel is never DELETING.',
  input: structure({ ChannelARN: required(resourceArn), CurrentVersion: version }),
  resource: channelResource,
  handle: async (input, { service }) => {
    const { name } = findChannel(service, input)
    await service.control.channels.delete(name, () =>
      requireVersion(findChannel(service, input), input.CurrentVersion),
    )
    return {}
  },
})
