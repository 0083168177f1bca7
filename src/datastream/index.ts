export type * from './data-streams.ts'
export type * from './shard-log.ts'
export {
  openDataStreams,
  type DataStreamsOptions,
  type DataStreamsParts,
} from './open-data-streams.ts'
export { openSegmentLog, type SegmentLogOptions } from './segment-log.ts'
export { PartialPutError } from './partial-put-error.ts'
export { parseSequenceNumber, renderSequenceNumber } from './sequence-number.ts'
