import { map, required, structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamMembers, toStreamName } from './stream-address.ts'
import { MAX_TAGS, tagKey, tagValue } from './tags.ts'

/** AddTagsToStream: adds tags and replaces the values of those that are there. */
export const addTagsToStream = defineOperation(
  'AddTagsToStream',
  structure({ ...streamMembers, Tags: required(map(tagKey, tagValue, { min: 1, max: MAX_TAGS })) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const tags = { ...service.dataStreams.settings(name).tags, ...input.Tags }
    if (Object.keys(tags).length > MAX_TAGS) {
      throw invalid(`Failed to add tags to stream ${name}: a stream has at most ${MAX_TAGS} tags.`)
    }
    await service.dataStreams.update(name, { tags })
    return null
  },
)
