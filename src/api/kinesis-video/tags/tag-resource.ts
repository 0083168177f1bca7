import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { resourceArn } from '../stream-reference.ts'
import { changeTags, taggedResource } from './tagged-resource.ts'
import { tagList, toTags } from './tags.ts'

/** Adds tags to a channel or a stream, replacing the values of those that are there. */
export const tagResource = defineOperation({
  name: 'TagResource',
  path: '/TagResource',
  errors: 'access-denied',
  differs: 'For streams as well as for channels.',
  input: structure({ ResourceARN: required(resourceArn), Tags: required(tagList(1)) }),
  resource: taggedResource,
  handle: async (input, { service }) => {
    const added = toTags(input.Tags)
    await changeTags(service, input.ResourceARN, (tags) => ({ ...tags, ...added }))
    return {}
  },
})
