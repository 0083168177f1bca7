import { list, required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { findResource, resourceArn } from './resource-address.ts'
import { MAX_TAGS, tagKey, withoutTags } from './tags.ts'

/** UntagResource: keys that are not there are no failure. */
export const untagResource = defineOperation(
  'UntagResource',
  structure({
    ResourceARN: required(resourceArn),
    TagKeys: required(list(tagKey, { min: 1, max: MAX_TAGS })),
  }),
  async (input, { service }) => {
    const { tags, update } = findResource(input.ResourceARN, service)
    await update({ tags: withoutTags(tags, input.TagKeys) })
    return null
  },
)
