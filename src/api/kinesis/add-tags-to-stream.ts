import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'
import { refuseTooManyTags, tagMap } from './tags.ts'

/** AddTagsToStream: adds tags and replaces the values of those that are there. */
export const addTagsToStream = defineOperation(
  'AddTagsToStream',
  structure({ ...streamMembers, Tags: required(tagMap) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const tags = { ...service.dataStreams.settings(name).tags, ...input.Tags }
    refuseTooManyTags(tags, `stream ${name}`)
    await service.dataStreams.update(name, { tags })
    return null
  },
)
