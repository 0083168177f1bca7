import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { findResource, resourceArn } from './resource-address.ts'
import { refuseTooManyTags, tagMap } from './tags.ts'

/** TagResource: adds tags to a stream or a consumer, replacing the values of those that are there. */
export const tagResource = defineOperation(
  'TagResource',
  structure({ ResourceARN: required(resourceArn), Tags: required(tagMap) }),
  async (input, { service }) => {
    const resource = findResource(input.ResourceARN, service)
    const tags = { ...resource.tags, ...input.Tags }
    refuseTooManyTags(tags, resource.name)
    await resource.update({ tags })
    return null
  },
)
