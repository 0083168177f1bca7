import { ServiceError } from '../../../domain/errors.ts'
import type { StreamInfo } from '../../../registry/index.ts'
import { required, structure } from '../../aws/input-schema.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'
import { requireVersion, version } from './change-stream.ts'

/**
 * Removes a stream and its media: 1. its camera is left and its producer evicted (an open PutMedia
 * reads STREAM_NOT_ACTIVE), 2. the media goes, 3. the stream. Stopped in between, it can be asked for
 * again.
 */
export const deleteStream = defineOperation({
  name: 'DeleteStream',
  differs:
    'Done when it answers: a stream is never DELETING. ResourceInUse while a hold keeps media of it.',
  input: structure({ StreamARN: required(streamReference.StreamARN), CurrentVersion: version }),
  resource: streamResource,
  handle: async (input, { service }) => {
    const { archive, registry, pulls, edgeConfigurations, control } = service
    const info = findStream(service, input)
    const { name, streamId } = info
    requireVersion(info, input.CurrentVersion)
    refuseHeld(archive, info)
    await pulls.whileStopped(name, () =>
      control.sessions.whileClosed(streamId, async () => {
        findStream(service, input) // somebody else may have removed it
        await archive.remove(streamId)
        await registry.delete(name)
        await edgeConfigurations.delete(streamId)
      }),
    )
    return {}
  },
})

/** Asked first, so that nobody is evicted for nothing. */
function refuseHeld(archive: KinesisVideoService['archive'], { streamId }: StreamInfo): void {
  if (!archive.holds().some((hold) => hold.streamId === streamId)) return
  throw new ServiceError('conflict', 'StreamHeld', 'A hold keeps media of this stream.')
}
