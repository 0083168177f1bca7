import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { streamReference, streamResource } from '../stream-reference.ts'
import { changeStream } from '../streams/change-stream.ts'
import { requireStreamArn } from './stream-arn-format.ts'
import { tagKeyList, withoutTags } from './tags.ts'

export const untagStream = defineOperation({
  name: 'UntagStream',
  differs: null,
  input: structure({ ...streamReference, TagKeyList: required(tagKeyList) }),
  resource: streamResource,
  handle: async (input, { service }) => {
    requireStreamArn(input)
    await changeStream(service, input, ({ tags }) => ({
      tags: withoutTags(tags, input.TagKeyList),
    }))
    return {}
  },
})
