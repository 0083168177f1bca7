import type { DataStreamInfo, ShardInfo } from '../../datastream/index.ts'
import type { Call } from './operation.ts'
import { toStreamArn } from './stream-address.ts'

/** The members that DescribeStream and DescribeStreamSummary share. */
export function toStreamMembers(info: DataStreamInfo, { service, codec }: Call) {
  return {
    StreamName: info.name,
    StreamARN: toStreamArn(info.name, service),
    StreamStatus: info.status,
    StreamModeDetails: { StreamMode: 'PROVISIONED' },
    RetentionPeriodHours: info.retentionHours,
    StreamCreationTimestamp: codec.writeTimestamp(info.createdAt),
    EnhancedMonitoring: [{ ShardLevelMetrics: [] }],
    EncryptionType: 'NONE',
  }
}

export function countOpenShards({ shards }: DataStreamInfo): number {
  return shards.filter((shard) => shard.endingSequenceNumber === null).length
}

/** An open shard has no EndingSequenceNumber, an original one no parents: absent, not null. */
export function toShardMember(shard: ShardInfo) {
  return {
    ShardId: shard.shardId,
    ...(shard.parentShardId !== null && { ParentShardId: shard.parentShardId }),
    ...(shard.adjacentParentShardId !== null && {
      AdjacentParentShardId: shard.adjacentParentShardId,
    }),
    HashKeyRange: toHashKeyRange(shard),
    SequenceNumberRange: {
      StartingSequenceNumber: shard.startingSequenceNumber,
      ...(shard.endingSequenceNumber !== null && {
        EndingSequenceNumber: shard.endingSequenceNumber,
      }),
    },
  }
}

export function toHashKeyRange(shard: ShardInfo) {
  return { StartingHashKey: shard.startingHashKey, EndingHashKey: shard.endingHashKey }
}
