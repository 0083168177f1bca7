import type { SignalingChannel, StreamInfo } from '../../../registry/index.ts'
import type { KinesisVideoService } from '../operation.ts'

/** The stream that is to keep a channel's media; one that was removed is none. */
export function storageStreamOf(
  { registry }: KinesisVideoService,
  { storageStreamId }: SignalingChannel,
): StreamInfo | null {
  return storageStreamId === null ? null : registry.findById(storageStreamId)
}
