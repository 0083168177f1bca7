import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { listing, meets, nameCondition, pageOf } from '../paged-list.ts'
import { toStreamInfo } from './stream-info.ts'

/** All streams, whoever made them, in order of their names. */
export const listStreams = defineOperation({
  name: 'ListStreams',
  differs: null,
  input: structure({ ...listing, StreamNameCondition: nameCondition }),
  resource: () => '*',
  handle: async (input, { service }) => {
    const { registry, sealer } = service
    const found = registry.list().filter(({ name }) => meets(input.StreamNameCondition, name))
    const { page, next } = pageOf(found, {
      sealer,
      question: 'ListStreams',
      maxResults: input.MaxResults ?? MAX_RESULTS,
      token: input.NextToken,
    })
    return { StreamInfoList: page.map((info) => toStreamInfo(service, info)), ...next }
  },
})

const MAX_RESULTS = 10_000
