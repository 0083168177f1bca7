import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { listing, meets, nameCondition, pageOf } from '../paged-list.ts'
import { toChannelInfo } from './channel-info.ts'

/** In order of their names. */
export const listSignalingChannels = defineOperation({
  name: 'ListSignalingChannels',
  errors: 'access-denied',
  differs: null,
  input: structure({ ...listing, ChannelNameCondition: nameCondition }),
  resource: () => '*',
  handle: async (input, { service }) => {
    const { sealer } = service
    const { channels } = service.control
    const found = channels.list().filter(({ name }) => meets(input.ChannelNameCondition, name))
    const { page, next } = pageOf(found, {
      sealer,
      question: 'ListSignalingChannels',
      maxResults: input.MaxResults ?? DEFAULT_RESULTS,
      token: input.NextToken,
    })
    return { ChannelInfoList: page.map((channel) => toChannelInfo(service, channel)), ...next }
  },
})

const DEFAULT_RESULTS = 500
