import { integer, structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'
import { MAX_TAGS, tagKey } from './tags.ts'

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
    const keys = Object.keys(tags)
      .sort()
      .filter((key) => key > after)
    return {
      Tags: keys.slice(0, limit).map((key) => ({ Key: key, Value: tags[key] })),
      HasMoreTags: keys.length > limit,
    }
  },
)
