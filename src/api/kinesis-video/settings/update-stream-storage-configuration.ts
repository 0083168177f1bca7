import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { streamReference, streamResource } from '../stream-reference.ts'
import { changeStream, version } from '../streams/change-stream.ts'
import { storageConfiguration } from '../streams/stream-info.ts'

export const updateStreamStorageConfiguration = defineOperation({
  name: 'UpdateStreamStorageConfiguration',
  errors: 'access-denied',
  differs: 'The tier is kept and answered; all media is in one place.',
  input: structure({
    ...streamReference,
    CurrentVersion: required(version),
    StreamStorageConfiguration: required(storageConfiguration),
  }),
  resource: streamResource,
  handle: async (input, { service }) => {
    const storageTier = input.StreamStorageConfiguration.DefaultStorageTier
    await changeStream(service, input, () => ({ storageTier }))
    return {}
  },
})
