import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { nextToken, refuseToken } from '../paged-list.ts'
import { resourceArn } from '../stream-reference.ts'
import { taggedResource, tagsOf } from './tagged-resource.ts'

export const listTagsForResource = defineOperation({
  name: 'ListTagsForResource',
  path: '/ListTagsForResource',
  errors: 'access-denied',
  differs: 'For streams as well as for channels. All tags are on the first page.',
  input: structure({ NextToken: nextToken, ResourceARN: required(resourceArn) }),
  resource: taggedResource,
  handle: async (input, { service }) => {
    refuseToken(input.NextToken)
    return { Tags: tagsOf(service, input.ResourceARN) }
  },
})
