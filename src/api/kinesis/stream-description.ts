import type { DataStreamInfo, DataStreamSettings, ShardInfo } from '../../datastream/index.ts'
import type { Call, KinesisService } from './operation.ts'
import { toStreamArn } from './stream-address.ts'

/** The members that DescribeStream and DescribeStreamSummary share. */
export function toStreamMembers(info: DataStreamInfo, { service, codec }: Call) {
  const { mode, shardLevelMetrics, encryption } = service.dataStreams.settings(info.name)
  return {
    StreamName: info.name,
    StreamARN: toStreamArn(info.name, service),
    StreamStatus: info.status,
    StreamModeDetails: { StreamMode: mode },
    RetentionPeriodHours: info.retentionHours,
    StreamCreationTimestamp: codec.writeTimestamp(info.createdAt),
    EnhancedMonitoring: [{ ShardLevelMetrics: shardLevelMetrics }],
    ...toEncryptionMembers(encryption),
  }
}

function toEncryptionMembers(encryption: DataStreamSettings['encryption']) {
  return encryption === null
    ? { EncryptionType: 'NONE' }
    : { EncryptionType: 'KMS', KeyId: encryption.keyId }
}

/** Of puts: absent while the stream is not encrypted. */
export function toEncryptionType({ encryption }: DataStreamSettings) {
  return encryption === null ? {} : { EncryptionType: 'KMS' }
}

/** A shard takes a mebibyte per second. */
export function toWarmThroughput(name: string, { dataStreams }: KinesisService) {
  const target = dataStreams.settings(name).warmMiBps
  return {
    TargetMiBps: target,
    CurrentMiBps: Math.min(target, countOpenShards(dataStreams.describe(name))),
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
