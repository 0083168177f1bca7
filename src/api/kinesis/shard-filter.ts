import { epochMs, type EpochMs } from '../../domain/time.ts'
import { parseSequenceNumber, type DataStreamInfo, type ShardInfo } from '../../datastream/index.ts'
import { invalid } from './stream-address.ts'

export const SHARD_FILTER_TYPES = [
  'AFTER_SHARD_ID',
  'AT_TRIM_HORIZON',
  'FROM_TRIM_HORIZON',
  'AT_LATEST',
  'AT_TIMESTAMP',
  'FROM_TIMESTAMP',
] as const

export type ShardFilter = {
  readonly Type: (typeof SHARD_FILTER_TYPES)[number]
  readonly ShardId?: string | undefined
  readonly Timestamp?: EpochMs | undefined
}

/**
 * Which shards of a stream a filter lets pass. The times of a shard are those in its sequence
 * numbers, whole seconds.
 *
 * @throws `invalid-argument`/`InvalidArgumentException` when the type lacks its parameter
 */
export function planShardFilter(
  filter: ShardFilter | null,
  info: DataStreamInfo,
): (shard: ShardInfo) => boolean {
  const { horizon } = info
  switch (filter?.Type) {
    case undefined:
    case 'FROM_TRIM_HORIZON':
      return () => true
    case 'AT_TRIM_HORIZON': {
      const from = epochMs(Math.max(horizon, info.createdAt))
      return (shard) => startsBy(shard, from) && endsAtOrAfter(shard, from)
    }
    case 'AT_LATEST':
      return (shard) => shard.endingSequenceNumber === null
    case 'AFTER_SHARD_ID': {
      const after = filter.ShardId
      if (after === undefined) throw invalid('ShardId is required for filter type AFTER_SHARD_ID.')
      return (shard) => shard.shardId > after
    }
    case 'AT_TIMESTAMP': {
      const time = timeOf(filter)
      return (shard) => startsBy(shard, time) && endsAtOrAfter(shard, time)
    }
    case 'FROM_TIMESTAMP': {
      const time = epochMs(Math.max(horizon, timeOf(filter)))
      return (shard) => endsAtOrAfter(shard, time)
    }
  }
}

function timeOf({ Type, Timestamp }: ShardFilter): EpochMs {
  if (Timestamp === undefined) throw invalid(`Timestamp is required for filter type ${Type}.`)
  return Timestamp
}

function startsBy(shard: ShardInfo, time: EpochMs): boolean {
  return parseSequenceNumber(shard.startingSequenceNumber).recordedAt <= Math.floor(time / 1000)
}

function endsAtOrAfter({ endingSequenceNumber: end }: ShardInfo, time: EpochMs): boolean {
  return end === null || parseSequenceNumber(end).recordedAt >= Math.floor(time / 1000)
}
