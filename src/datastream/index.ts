export type { AccountSettings, Commitment } from './account-settings.ts'
export type * from './data-streams.ts'
export { SHARD_LEVEL_METRICS } from './data-streams.ts'
export type * from './shard-log.ts'
export { createKeyCommand } from './key-command.ts'
export { DEFAULT_KEY_ID, MasterKeys, type KeyWrapper } from './master-keys.ts'
export { openDataStreams } from './open-data-streams.ts'
export type { DataStreamsOptions, DataStreamsParts } from './store-parts.ts'
export type { StreamConsumer, StreamConsumers } from './stream-consumers.ts'
export { openSegmentLog, type SegmentLogOptions } from './segment-log.ts'
export {
  decryptRecordData,
  encryptRecordData,
  isEncryptedRecordData,
  type EnvelopeKey,
} from './record-envelope.ts'
export { PartialPutError } from './partial-put-error.ts'
export { parseSequenceNumber, renderSequenceNumber } from './sequence-number.ts'
