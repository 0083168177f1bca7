import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { streamReference, streamResource } from '../stream-reference.ts'
import { changeStream } from '../streams/change-stream.ts'
import { requireStreamArn } from './stream-arn-format.ts'
import { tagMap } from './tags.ts'

/** Adds tags to a stream, replacing the values of those that are there. */
export const tagStream = defineOperation({
  name: 'TagStream',
  differs: null,
  input: structure({ ...streamReference, Tags: required(tagMap) }),
  resource: streamResource,
  handle: async (input, { service }) => {
    requireStreamArn(input)
    await changeStream(service, input, ({ tags }) => ({ tags: { ...tags, ...input.Tags } }))
    return {}
  },
})
