import { structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'

export const describeNotificationConfiguration = defineOperation({
  name: 'DescribeNotificationConfiguration',
  errors: 'access-denied',
  differs: null,
  input: structure(streamReference),
  resource: streamResource,
  handle: async (input, { service }) => {
    const { notification } = findStream(service, input)
    if (notification === null) return {}
    const { enabled, destinationUri } = notification
    return {
      NotificationConfiguration: {
        Status: enabled ? 'ENABLED' : 'DISABLED',
        DestinationConfig: { Uri: destinationUri },
      },
    }
  },
})
