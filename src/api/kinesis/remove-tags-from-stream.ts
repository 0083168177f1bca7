import { list, required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'
import { MAX_TAGS, tagKey, withoutTags } from './tags.ts'

/** RemoveTagsFromStream: keys that are not there are no failure. */
export const removeTagsFromStream = defineOperation(
  'RemoveTagsFromStream',
  structure({ ...streamMembers, TagKeys: required(list(tagKey, { min: 1, max: MAX_TAGS })) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const { tags } = service.dataStreams.settings(name)
    await service.dataStreams.update(name, { tags: withoutTags(tags, input.TagKeys) })
    return null
  },
)
