import type { DataStreams, ShardPosition, StoredRecord } from '../../datastream/index.ts'
import type { Codec } from './codec.ts'
import { refuseDryRun } from './dry-run.ts'
import { boolean, integer, required, string, structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { openIterator, sealIterator } from './shard-iterator.ts'
import { invalid, streamArn, toStreamName } from './stream-address.ts'
import { toHashKeyRange } from './stream-description.ts'

const MAX_RECORDS = 10_000
const MAX_BYTES = 10 * 1024 * 1024

/** GetRecords: the next records, and the iterator behind them. */
export const getRecords = defineOperation(
  'GetRecords',
  structure({
    ShardIterator: required(string({ min: 1, max: 512 })),
    Limit: integer({ min: 1, max: MAX_RECORDS }),
    StreamARN: streamArn,
    DryRun: boolean(),
  }),
  async (input, { service, codec }) => {
    const { dataStreams, sealer, clock } = service
    const position = openIterator(sealer, input.ShardIterator, clock.now())
    const { StreamARN } = input
    if (StreamARN !== undefined && toStreamName({ StreamARN }, service) !== position.stream) {
      throw invalid('StreamARN and ShardIterator must name the same stream.')
    }
    const maxRecords = input.Limit ?? MAX_RECORDS
    const read = await dataStreams.read(position, { maxRecords, maxBytes: MAX_BYTES })
    refuseDryRun(input.DryRun)
    return {
      Records: read.records.map((record) => toRecordMember(record, codec)),
      MillisBehindLatest: read.millisBehindLatest,
      ...(read.next === null
        ? { ChildShards: toChildShards(position, dataStreams) }
        : { NextShardIterator: sealIterator(sealer, read.next, clock.now()) }),
    }
  },
)

function toRecordMember(record: StoredRecord, codec: Codec) {
  return {
    SequenceNumber: record.sequenceNumber,
    ApproximateArrivalTimestamp: codec.writeTimestamp(record.arrivedAt),
    Data: codec.writeBlob(record.data),
    PartitionKey: record.partitionKey,
  }
}

/** Where to read on when a closed shard has been read to its end. */
function toChildShards({ stream, shardId }: ShardPosition, dataStreams: DataStreams) {
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
