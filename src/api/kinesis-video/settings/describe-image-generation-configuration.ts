import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'
import { toImageGenerationConfiguration } from './image-generation.ts'

export const describeImageGenerationConfiguration = defineOperation({
  name: 'DescribeImageGenerationConfiguration',
  errors: 'access-denied',
  differs: null,
  input: structure(streamReference),
  resource: streamResource,
  handle: async (input, { service }) => {
    const { imageGeneration } = findStream(service, input)
    if (imageGeneration === null) return {}
    return { ImageGenerationConfiguration: toImageGenerationConfiguration(imageGeneration) }
  },
})
