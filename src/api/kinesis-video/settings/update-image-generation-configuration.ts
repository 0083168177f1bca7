import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { streamReference, streamResource } from '../stream-reference.ts'
import { changeStream } from '../streams/change-stream.ts'
import { imageGenerationConfiguration, readImageGeneration } from './image-generation.ts'
import { requireRetention } from '../archived/require-retention.ts'

/** Says which images of the stream are delivered, and where to; without a configuration: none. */
export const updateImageGenerationConfiguration = defineOperation({
  name: 'UpdateImageGenerationConfiguration',
  errors: 'access-denied',
  differs:
    'Uri may be an http or https URL besides s3://. DestinationRegion may be any. What nothing could ' +
    'be delivered to is refused.',
  input: structure({
    ...streamReference,
    ImageGenerationConfiguration: imageGenerationConfiguration,
  }),
  resource: streamResource,
  handle: async ({ ImageGenerationConfiguration: terms, ...stream }, { service }) => {
    const imageGeneration = terms === undefined ? null : readImageGeneration(terms)
    await changeStream(service, stream, (current) => {
      if (imageGeneration !== null) requireRetention(current)
      return { imageGeneration }
    })
    return {}
  },
})
