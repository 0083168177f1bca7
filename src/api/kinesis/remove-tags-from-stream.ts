import { list, required, structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'
import { MAX_TAGS, tagKey } from './tags.ts'

/** RemoveTagsFromStream: keys that are not there are no failure. */
export const removeTagsFromStream = defineOperation(
  'RemoveTagsFromStream',
  structure({ ...streamMembers, TagKeys: required(list(tagKey, { min: 1, max: MAX_TAGS })) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const kept = Object.entries(service.dataStreams.settings(name).tags).filter(
      ([key]) => !input.TagKeys.includes(key),
    )
    await service.dataStreams.update(name, { tags: Object.fromEntries(kept) })
    return null
  },
)
