import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { findStream, streamReference, streamResource, toStreamArn } from '../stream-reference.ts'

export const describeStreamStorageConfiguration = defineOperation({
  name: 'DescribeStreamStorageConfiguration',
  errors: 'access-denied',
  differs: 'The tier is kept and answered; all media is in one place.',
  input: structure(streamReference),
  resource: streamResource,
  handle: async (input, { service }) => {
    const info = findStream(service, input)
    return {
      StreamName: info.name,
      StreamARN: toStreamArn(service, info),
      StreamStorageConfiguration: { DefaultStorageTier: info.storageTier },
    }
  },
})
