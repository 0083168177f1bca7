import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { nextToken, refuseToken } from '../paged-list.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'
import { requireStreamArn } from './stream-arn-format.ts'

export const listTagsForStream = defineOperation({
  name: 'ListTagsForStream',
  differs: 'All tags are on the first page.',
  input: structure({ NextToken: nextToken, ...streamReference }),
  resource: streamResource,
  handle: async (input, { service }) => {
    requireStreamArn(input)
    refuseToken(input.NextToken)
    return { Tags: findStream(service, input).tags }
  },
})
