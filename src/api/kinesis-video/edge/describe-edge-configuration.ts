import { ServiceError } from '../../../domain/errors.ts'
import type { EdgeConfiguration, StreamInfo } from '../../../registry/index.ts'
import { structure } from '../../aws/input-schema.ts'
import { toEdgeAgentStatus, toEdgeRecord } from './edge-configuration.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'

export const describeEdgeConfiguration = defineOperation({
  name: 'DescribeEdgeConfiguration',
  errors: 'access-denied',
  differs: 'SyncStatus is IN_SYNC or SYNC_FAILED only; there is no uploader status.',
  input: structure(streamReference),
  resource: streamResource,
  handle: async (input, { service }) => {
    const info = findStream(service, input)
    const configuration = findEdgeConfiguration(service, info)
    return {
      ...toEdgeRecord(service, info, configuration),
      EdgeAgentStatus: toEdgeAgentStatus(service.pulls.status(info.name)),
    }
  },
})

/**
 * One whose source was removed by other means is none.
 *
 * @throws ServiceError `not-found`/`StreamEdgeConfigurationNotFoundException`
 */
export function findEdgeConfiguration(
  { edgeConfigurations, sources }: KinesisVideoService,
  { streamId, name }: StreamInfo,
): EdgeConfiguration {
  const found = edgeConfigurations.find(streamId)
  if (found !== null && (found.failure !== null || sources.find(name) !== null)) return found
  throw new ServiceError(
    'not-found',
    'StreamEdgeConfigurationNotFoundException',
    'The stream has no edge configuration.',
  )
}
