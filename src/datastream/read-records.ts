import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type {
  IteratorStart,
  ReadLimits,
  ReadResult,
  ShardPosition,
  StoredRecord,
} from './data-streams.ts'
import type { OpenStream } from './open-stream.ts'
import { parseSequenceNumber } from './sequence-number.ts'
import { toSeconds, type Shard } from './shard.ts'
import { horizonOf, type StreamRow } from './stream-rows.ts'

/** Where an iterator of the given kind starts. */
export async function seekIn(
  stream: OpenStream,
  shardId: string,
  start: IteratorStart,
  now: EpochMs,
): Promise<ShardPosition> {
  const shard = stream.shard(shardId)
  const index = await stream.whileThere(() => indexAt(stream, shard, start, now))
  return { stream: stream.row.name, streamCreatedAt: stream.row.createdAt, shardId, index }
}

async function indexAt(
  { row }: OpenStream,
  shard: Shard,
  start: IteratorStart,
  now: EpochMs,
): Promise<number> {
  await shard.log.opened()
  switch (start.type) {
    case 'TRIM_HORIZON':
      return shard.log.seekTime(horizonOf(row, now))
    case 'LATEST':
      return shard.log.nextIndex
    case 'AT_TIMESTAMP':
      refuseFuture(start.timestamp, now)
      return shard.log.seekTime(start.timestamp)
    case 'AT_SEQUENCE_NUMBER':
      return indexOfNumber(row, shard, start.sequenceNumber)
    case 'AFTER_SEQUENCE_NUMBER':
      return indexOfNumber(row, shard, start.sequenceNumber, 1)
  }
}

export async function readIn(
  stream: OpenStream,
  position: ShardPosition,
  limits: ReadLimits,
  now: EpochMs,
): Promise<ReadResult> {
  const shard = stream.shard(position.shardId)
  const horizon = horizonOf(stream.row, now)
  const { records, next } = await stream.whileThere(() =>
    shard.read(position.index, limits, horizon),
  )
  const caughtUp = next >= shard.log.nextIndex
  const reached = records.at(-1)?.arrivedAt ?? horizon
  return {
    records,
    next: caughtUp && shard.row.closedAt !== null ? null : { ...position, index: next },
    // 0 means caught up and nothing else, even within one millisecond.
    millisBehindLatest: caughtUp ? 0 : Math.max(1, now - reached),
  }
}

export function bytesOf(records: readonly StoredRecord[]): number {
  return records.reduce((sum, { data, partitionKey }) => {
    return sum + data.byteLength + partitionKey.length
  }, 0)
}

/** The last `count` records of all shards by arrival, newest first. */
export async function newestIn(
  stream: OpenStream,
  count: number,
  now: EpochMs,
): Promise<readonly StoredRecord[]> {
  const horizon = horizonOf(stream.row, now)
  const tails = await stream.whileThere(() =>
    Promise.all(stream.shards.map((shard) => shard.readTail(count, horizon))),
  )
  // Each tail is reversed first: the sort is stable, so records of one shard and one millisecond
  // come newest first too.
  return tails
    .flatMap((tail) => tail.toReversed())
    .sort((a, b) => b.arrivedAt - a.arrivedAt)
    .slice(0, count)
}

/** Index of the record `beyond` records after the one with this number, within the shard. */
function indexOfNumber(row: StreamRow, shard: Shard, text: string, beyond = 0): number {
  const number = parseSequenceNumber(text)
  if (
    number.shardNumber !== shard.row.number ||
    number.shardCreatedAt !== toSeconds(shard.row.createdAt)
  ) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      `StartingSequenceNumber ${text} used in GetShardIterator on shard ${shard.info.shardId} in ` +
        `stream ${row.name} is invalid because it did not come from this stream.`,
      { context: { stream: row.name } },
    )
  }
  return Math.min(Math.max(0, number.index + beyond), shard.log.nextIndex)
}

function refuseFuture(timestamp: EpochMs, now: EpochMs): void {
  if (timestamp <= now) return
  throw new ServiceError(
    'invalid-argument',
    'InvalidArgumentException',
    'The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. ' +
      `timestampInMillis: ${timestamp}, currentTimestampInMillis: ${now}`,
  )
}
