export type { KinesisVideoAccess, StreamReference } from './kinesis-video-access.ts'
export { getClip, type GetClipOptions } from './get-clip.ts'
export { getMedia, type GetMediaOptions, type MediaStart } from './get-media.ts'
export { putMedia, type FragmentAcknowledgement, type PutMediaOptions } from './put-media.ts'
export type { ReceivedFragment } from './fragment-splitter.ts'
export {
  decryptRecordData,
  encryptRecordData,
  isEncryptedRecordData,
  type EnvelopeKey,
} from './record-envelope.ts'
