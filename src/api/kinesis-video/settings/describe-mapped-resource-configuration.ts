import { integer, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { nextToken, refuseToken } from '../paged-list.ts'
import { toChannelArn } from '../signaling/channel-reference.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'

/** The channel whose media the stream is to keep: one at most. */
export const describeMappedResourceConfiguration = defineOperation({
  name: 'DescribeMappedResourceConfiguration',
  errors: 'access-denied',
  differs: null,
  input: structure({
    ...streamReference,
    MaxResults: integer({ min: 1, max: 1 }),
    NextToken: nextToken,
  }),
  resource: streamResource,
  handle: async ({ NextToken, ...stream }, { service }) => {
    refuseToken(NextToken)
    const { streamId } = findStream(service, stream)
    const channels = service.control.channels.list()
    return {
      MappedResourceConfigurationList: channels
        .filter(({ storageStreamId }) => storageStreamId === streamId)
        .map((channel) => ({ Type: 'SIGNALING_CHANNEL', ARN: toChannelArn(service, channel) })),
    }
  },
})
