import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { findResource, resourceArn } from './resource-address.ts'
import { toTagList } from './tags.ts'

/** ListTagsForResource: all of them, in the order of the keys. */
export const listTagsForResource = defineOperation(
  'ListTagsForResource',
  structure({ ResourceARN: required(resourceArn) }),
  async (input, { service }) => ({
    Tags: toTagList(findResource(input.ResourceARN, service).tags),
  }),
)
