import type { DataStreams, StoredRecord } from '../../datastream/index.ts'
import type { Codec } from '../aws/codec.ts'
import { toHashKeyRange } from './stream-description.ts'

export function toRecordMember(record: StoredRecord, codec: Codec) {
  return {
    SequenceNumber: record.sequenceNumber,
    ApproximateArrivalTimestamp: codec.writeTimestamp(record.arrivedAt),
    Data: codec.writeBlob(record.data),
    ...(record.partitionKey !== '' && { PartitionKey: record.partitionKey }),
    ...(record.isEncrypted === true && { EncryptionType: 'KMS' }),
  }
}

/** Where to read on when a closed shard has been read to its end. */
export function toChildShards(
  { stream, shardId }: { readonly stream: string; readonly shardId: string },
  dataStreams: DataStreams,
) {
  return dataStreams
    .describe(stream)
    .shards.filter(
      ({ parentShardId, adjacentParentShardId }) =>
        parentShardId === shardId || adjacentParentShardId === shardId,
    )
    .map((child) => ({
      ShardId: child.shardId,
      ParentShards: [child.parentShardId, child.adjacentParentShardId].filter((id) => id !== null),
      HashKeyRange: toHashKeyRange(child),
    }))
}
