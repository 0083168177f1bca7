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
  const encryption = stream.row.encryption
  if (encryption !== null) await stream.cipher.use(encryption.keyId)
  while (stream.pause !== null) await stream.pause
  stream.gone.signal.throwIfAborted()
  const startedAt = performance.now()
  const arrivedAt = parts.clock.now()
  const outcomes = new Array<PutOutcome>(records.length)
  const shares = shareOut(stream, records)
  if (parts.options.capacity !== 'off') throttle(parts, stream, { records, shares, outcomes })
  await Promise.all(
    [...shares].map(async ([shard, positions]) => {
      const { shardId } = shard.info
      // Nothing is thrown: it would end the whole while other shards still have their records before them.
      try {
        const batch = positions.map((i) => {
          const entry = toEntry(records[i]!, arrivedAt)
          return encryption === null ? entry : seal(stream, shard, entry)
        })
        const numbers = await append(parts, stream, shard, batch)
        positions.forEach((position, i) => {
          outcomes[position] = { shardId, sequenceNumber: numbers[i]! }
        })
      } catch (error) {
        for (const position of positions) outcomes[position] = { shardId, error }
      }
    }),
  )
  parts.measure.putTook(stream, (performance.now() - startedAt) / 1000)
  return outcomes
}

/** Takes out of the shares what is over the limits of its shard, where these are enforced. */
function throttle(
  { options, clock, measure }: StoreParts,
  stream: OpenStream,
  put: {
    readonly records: readonly RecordToPut[]
    readonly shares: Map<Shard, number[]>
    readonly outcomes: PutOutcome[]
  },
): void {
  const now = clock.now()
  for (const [shard, positions] of put.shares) {
    const { shardId } = shard.info
    const admitted = positions.filter((position) => {
      if (shard.capacity.takeRecord(sizeOf(put.records[position]!), now)) return true
      measure.writeThrottled(stream, shardId)
      if (options.capacity === 'report') return true
      put.outcomes[position] = { shardId, error: rateExceeded(stream.row.name, shardId) }
      return false
    })
    if (admitted.length > 0) put.shares.set(shard, admitted)
    else put.shares.delete(shard)
  }
}

export function rateExceeded(stream: string, shardId: string): ServiceError {
  return new ServiceError(
    'limit-exceeded',
    'ProvisionedThroughputExceededException',
    `Rate exceeded for shard ${shardId} in stream ${stream}.`,
    { context: { stream, shardId } },
  )
}

async function append(
  { measure, events }: StoreParts,
  stream: OpenStream,
  shard: Shard,
  batch: readonly LogEntryToAppend[],
): Promise<readonly string[]> {
  const { shardId } = shard.info
  try {
    const numbers = await shard.append(batch)
    let sizeBytes = 0
    for (const { key, data } of batch) {
      const bytes = key.length + data.byteLength
      sizeBytes += bytes
      shard.traffic.add(key, bytes)
    }
    measure.put(stream, shardId, batch.length, sizeBytes)
    return numbers
  } catch (error) {
    stream.gone.signal.throwIfAborted()
    events.recordsNotStored({ stream: stream.row.name, shardId, count: batch.length, error })
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

function seal(stream: OpenStream, shard: Shard, entry: LogEntryToAppend): LogEntryToAppend {
  const data = stream.cipher.seal(shard.row.number, entry)
  return { key: '', data, arrivedAt: entry.arrivedAt, isSealed: true }
}

function refuseTooLarge(row: StreamRow, records: readonly RecordToPut[]): void {
  const most = row.maxRecordKiB * 1024
  for (const record of records) {
    const bytes = sizeOf(record)
    if (bytes <= most) continue
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      `A record of ${bytes} bytes, its partition key included, exceeds the ${most} bytes of the stream.`,
    )
  }
}

function sizeOf({ data, partitionKey }: RecordToPut): number {
  return data.byteLength + Buffer.byteLength(partitionKey)
}
