import { ServiceError } from '../../domain/errors.ts'
import { string } from '../aws/input-schema.ts'
import { invalid } from './stream-address.ts'

export const channelArn = string({
  min: 1,
  max: 2048,
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:channel/\\S+',
})

/**
 * Channels, which deliver a stream to S3 or to a table, are not offered: none can be made, so none
 * is ever there.
 */
export function channelsNotOffered(): ServiceError {
  return invalid(
    'This server does not deliver channels. Consume the stream (SubscribeToShard, GetRecords) and ' +
      'write to the destination yourself.',
  )
}

export function channelNotFound(arn: string): ServiceError {
  return new ServiceError('not-found', 'ResourceNotFoundException', `Channel ${arn} not found.`)
}
