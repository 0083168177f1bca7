import type { SignalingChannel } from '../../../registry/index.ts'
import { integer, structure } from '../../aws/input-schema.ts'
import type { KinesisVideoService } from '../operation.ts'
import { toChannelArn } from './channel-reference.ts'

export const singleMasterConfiguration = structure({
  MessageTtlSeconds: integer({ min: 5, max: 120 }),
})
export const DEFAULT_MESSAGE_TTL_SECONDS = 60

/** ChannelInfo of the API. Nothing takes time here, so a channel is always ACTIVE. */
export function toChannelInfo(service: KinesisVideoService, channel: SignalingChannel): object {
  return {
    ChannelName: channel.name,
    ChannelARN: toChannelArn(service, channel),
    ChannelType: 'SINGLE_MASTER',
    ChannelStatus: 'ACTIVE',
    CreationTime: channel.createdAt / 1000,
    SingleMasterConfiguration: { MessageTtlSeconds: channel.messageTtlSeconds },
    Version: channel.version,
  }
}
