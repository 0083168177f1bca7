import { integer, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'
import { MAX_TAGS, tagKey, toTagList } from './tags.ts'

/** ListTagsForStream: in the order of the keys. */
export const listTagsForStream = defineOperation(
  'ListTagsForStream',
  structure({
    ...streamMembers,
    ExclusiveStartTagKey: tagKey,
    Limit: integer({ min: 1, max: MAX_TAGS }),
  }),
  async (input, { service }) => {
    const { tags } = service.dataStreams.settings(toStreamName(input, service))
    const { ExclusiveStartTagKey: after = '', Limit: limit = MAX_TAGS } = input
    const left = toTagList(tags).filter(({ Key }) => Key > after)
    return { Tags: left.slice(0, limit), HasMoreTags: left.length > limit }
  },
)
