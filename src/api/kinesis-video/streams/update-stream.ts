import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { streamReference, streamResource } from '../stream-reference.ts'
import { changeStream, version } from './change-stream.ts'
import { deviceName, mediaType } from './stream-info.ts'

/** Changes what producers and consumers tell each other by a stream. */
export const updateStream = defineOperation({
  name: 'UpdateStream',
  differs: 'In force when it answers: a stream is never UPDATING.',
  input: structure({
    ...streamReference,
    CurrentVersion: required(version),
    DeviceName: deviceName,
    MediaType: mediaType,
  }),
  resource: streamResource,
  handle: async (input, { service }) => {
    await changeStream(service, input, () => ({
      ...(input.DeviceName !== undefined && { deviceName: input.DeviceName }),
      ...(input.MediaType !== undefined && { mediaType: input.MediaType }),
    }))
    return {}
  },
})
