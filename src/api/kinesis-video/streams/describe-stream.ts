import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'
import { toStreamInfo } from './stream-info.ts'

export const describeStream = defineOperation({
  name: 'DescribeStream',
  differs: null,
  input: structure(streamReference),
  resource: streamResource,
  handle: async (input, { service }) => ({
    StreamInfo: toStreamInfo(service, findStream(service, input)),
  }),
})
