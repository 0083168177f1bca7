export type * from './lease-store.ts'
export { openMetaLeases, type MetaLeasesOptions } from './meta-leases.ts'
export type { RetryPolicy } from './handle-with-retries.ts'
export {
  consumeVideoStream,
  type SkippedFragments,
  type VideoCheckpoint,
  type VideoPolicy,
  type VideoStreamToConsume,
} from './consume-video-stream.ts'
export {
  startVideoConsumer,
  DEFAULT_VIDEO_POLICY,
  type Consumer,
  type VideoConsumerOptions,
  type VideoStreamName,
} from './video-consumer.ts'
export {
  consumeShard,
  type RecordBatch,
  type ShardCheckpoint,
  type ShardToConsume,
} from './consume-shard.ts'
export { startDataConsumer, DEFAULT_DATA_RETRY, type DataConsumerOptions } from './data-consumer.ts'
export { planReadyShards } from './shard-lineage.ts'
