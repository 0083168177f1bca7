import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { PutOutcome, RecordToPut } from './data-streams.ts'
import type { OpenStream } from './open-stream.ts'
import type { Shard } from './shard.ts'
import type { LogEntryToAppend } from './shard-log.ts'
import type { StoreParts } from './store-parts.ts'
import type { StreamRow } from './stream-rows.ts'

/**
 * Puts records on the shards of their keys; resolves when each of them is on disk or has failed. The
 * answer has the request's order.
 *
 * @throws when the request as a whole is wrong: nothing was stored
 */
export async function putRecords(
  parts: StoreParts,
  stream: OpenStream,
  records: readonly RecordToPut[],
): Promise<readonly PutOutcome[]> {
  refuseTooLarge(stream.row, records)
  while (stream.pause !== null) await stream.pause
  stream.gone.signal.throwIfAborted()
  const arrivedAt = parts.clock.now()
  const outcomes = new Array<PutOutcome>(records.length)
  await Promise.all(
    [...shareOut(stream, records)].map(async ([shard, positions]) => {
      const batch = positions.map((i) => toEntry(records[i]!, arrivedAt))
      const { shardId } = shard.info
      try {
        const numbers = await append(parts, stream, shard, batch)
        positions.forEach((position, i) => {
          outcomes[position] = { shardId, sequenceNumber: numbers[i]! }
        })
      } catch (error) {
        for (const position of positions) outcomes[position] = { shardId, error }
      }
    }),
  )
  return outcomes
}

async function append(
  { metrics, events }: StoreParts,
  stream: OpenStream,
  shard: Shard,
  batch: readonly LogEntryToAppend[],
): Promise<readonly string[]> {
  const { name } = stream.row
  try {
    const numbers = await shard.append(batch)
    metrics.datastreamRecordsIn.inc({ stream: name }, batch.length)
    const bytes = batch.reduce((sum, { key, data }) => sum + key.length + data.byteLength, 0)
    metrics.datastreamBytesIn.inc({ stream: name }, bytes)
    return numbers
  } catch (error) {
    stream.gone.signal.throwIfAborted()
    const { shardId } = shard.info
    events.recordsNotStored({ stream: name, shardId, count: batch.length, error })
    throw error
  }
}

/** Positions in the request, by the shard that takes the record. */
function shareOut(stream: OpenStream, records: readonly RecordToPut[]): Map<Shard, number[]> {
  const shares = new Map<Shard, number[]>()
  records.forEach((record, i) => {
    const shard = stream.shardFor(record)
    const share = shares.get(shard)
    if (share === undefined) shares.set(shard, [i])
    else share.push(i)
  })
  return shares
}

function toEntry(record: RecordToPut, arrivedAt: EpochMs): LogEntryToAppend {
  return { key: record.partitionKey, data: record.data, arrivedAt }
}

function refuseTooLarge(row: StreamRow, records: readonly RecordToPut[]): void {
  const most = row.maxRecordKiB * 1024
  for (const { data, partitionKey } of records) {
    const bytes = data.byteLength + Buffer.byteLength(partitionKey)
    if (bytes <= most) continue
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      `A record of ${bytes} bytes, its partition key included, exceeds the ${most} bytes of the stream.`,
    )
  }
}
