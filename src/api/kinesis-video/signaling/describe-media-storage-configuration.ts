import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { toStreamArn } from '../stream-reference.ts'
import { channelReference, channelResource, findChannel } from './channel-reference.ts'
import { storageStreamOf } from './media-storage.ts'

export const describeMediaStorageConfiguration = defineOperation({
  name: 'DescribeMediaStorageConfiguration',
  errors: 'access-denied',
  differs: null,
  input: structure(channelReference),
  resource: channelResource,
  handle: async (input, { service }) => {
    const stream = storageStreamOf(service, findChannel(service, input))
    return {
      MediaStorageConfiguration:
        stream === null
          ? { Status: 'DISABLED' }
          : { Status: 'ENABLED', StreamARN: toStreamArn(service, stream) },
    }
  },
})
