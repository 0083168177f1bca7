import { ServiceError } from '../../../domain/errors.ts'
import type { SignalingChannel, StreamInfo } from '../../../registry/index.ts'
import { oneOf, required, structure } from '../../aws/input-schema.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { requireRetention } from '../archived/require-retention.ts'
import { findStream, invalid, resourceArn } from '../stream-reference.ts'
import { channelResource, findChannel } from './channel-reference.ts'
import { storageStreamOf } from './media-storage.ts'

/** Says which stream is to keep the channel's media: one stream of a channel, one channel of a stream. */
export const updateMediaStorageConfiguration = defineOperation({
  name: 'UpdateMediaStorageConfiguration',
  errors: 'access-denied',
  differs: 'Kept and answered; there is no WebRTC media path yet, so nothing is stored.',
  input: structure({
    ChannelARN: required(resourceArn),
    MediaStorageConfiguration: required(
      structure({ StreamARN: resourceArn, Status: required(oneOf(['ENABLED', 'DISABLED'])) }),
    ),
  }),
  resource: channelResource,
  handle: async ({ ChannelARN, MediaStorageConfiguration: terms }, { service }) => {
    const { channels } = service.control
    const { name } = findChannel(service, { ChannelARN })
    if (terms.Status === 'ENABLED' && terms.StreamARN === undefined) {
      throw invalid('Status ENABLED needs a StreamARN.')
    }
    await channels.changeStorage(name, () => {
      const channel = findChannel(service, { ChannelARN })
      if (terms.Status === 'DISABLED') return null
      const stream = findStream(service, { StreamARN: terms.StreamARN })
      requireRetention(stream)
      refuseTaken(service, channel, stream)
      return stream.streamId
    })
    return {}
  },
})

function refuseTaken(
  service: KinesisVideoService,
  channel: SignalingChannel,
  { streamId, name }: StreamInfo,
): void {
  const mapped = storageStreamOf(service, channel)
  const others = service.control.channels
    .list()
    .filter((other) => other.name !== channel.name && other.storageStreamId === streamId)
  const isTaken = others.length > 0
  if (!isTaken && (mapped === null || mapped.streamId === streamId)) return
  throw new ServiceError(
    'conflict',
    'ResourceInUseException',
    isTaken
      ? `Stream ${name} keeps the media of channel ${others[0]!.name} already.`
      : `The media of channel ${channel.name} is kept by stream ${mapped!.name} already.`,
  )
}
