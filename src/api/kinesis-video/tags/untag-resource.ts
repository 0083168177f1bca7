import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { resourceArn } from '../stream-reference.ts'
import { changeTags, taggedResource } from './tagged-resource.ts'
import { tagKeyList, withoutTags } from './tags.ts'

export const untagResource = defineOperation({
  name: 'UntagResource',
  path: '/UntagResource',
  errors: 'access-denied',
  differs: 'For streams as well as for channels.',
  input: structure({ ResourceARN: required(resourceArn), TagKeyList: required(tagKeyList) }),
  resource: taggedResource,
  handle: async (input, { service }) => {
    await changeTags(service, input.ResourceARN, (tags) => withoutTags(tags, input.TagKeyList))
    return {}
  },
})
