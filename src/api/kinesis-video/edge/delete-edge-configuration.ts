import { structure } from '../../aws/input-schema.ts'
import { findEdgeConfiguration } from './describe-edge-configuration.ts'
import { defineOperation } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'

/** Detaches the stream's camera. */
export const deleteEdgeConfiguration = defineOperation({
  name: 'DeleteEdgeConfiguration',
  errors: 'access-denied',
  differs: 'Takes effect at once.',
  input: structure(streamReference),
  resource: streamResource,
  handle: async (input, { service }) => {
    const info = findStream(service, input)
    findEdgeConfiguration(service, info)
    if (service.sources.find(info.name) !== null) await service.sources.delete(info.name)
    await service.pulls.settled(info.name)
    await service.edgeConfigurations.delete(info.streamId)
    return {}
  },
})
