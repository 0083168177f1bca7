import { oneOf, required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { streamReference, streamResource } from '../stream-reference.ts'
import { changeStream } from '../streams/change-stream.ts'
import { destinationUri, requireDeliverable } from './destination.ts'
import { requireRetention } from '../archived/require-retention.ts'

/** Says where word of the stream's fragments goes; without a configuration: nowhere. */
export const updateNotificationConfiguration = defineOperation({
  name: 'UpdateNotificationConfiguration',
  errors: 'access-denied',
  differs:
    'Uri may be an http or https URL besides the ARN of an SNS topic. What nothing could be delivered ' +
    'to is refused.',
  input: structure({
    ...streamReference,
    NotificationConfiguration: structure({
      Status: required(oneOf(['ENABLED', 'DISABLED'])),
      DestinationConfig: required(structure({ Uri: required(destinationUri) })),
    }),
  }),
  resource: streamResource,
  handle: async ({ NotificationConfiguration: terms, ...stream }, { service }) => {
    const destination = terms?.DestinationConfig.Uri
    if (destination !== undefined) {
      requireDeliverable(destination, ['an http or https URL', 'the ARN of an SNS topic'])
    }
    await changeStream(service, stream, (current) => {
      if (terms === undefined) return { notification: null }
      requireRetention(current)
      const enabled = terms.Status === 'ENABLED'
      return { notification: { enabled, destinationUri: terms.DestinationConfig.Uri } }
    })
    return {}
  },
})
