import type { DataStreams, PutResult, RecordToPut } from '../datastream/index.ts'
import type { DetectionRecord } from './detection-record.ts'

/** Limits of one PutRecords call (Kinesis Data Streams API: PutRecords). */
const MAX_BATCH_RECORDS = 500
const MAX_BATCH_BYTES = 5 * 1024 * 1024

/**
 * Puts detection records on the results stream, batch after batch; resolves when all are on disk.
 * The partition key is the stream's name, so that one camera's records keep their order. Published
 * again after a crash, a record has the same id.
 *
 * @returns one result per record, in order
 */
export async function publishDetections(options: {
  readonly dataStreams: DataStreams
  readonly resultsStream: string
  readonly records: readonly DetectionRecord[]
}): Promise<readonly PutResult[]> {
  const results: PutResult[] = []
  for (const batch of toBatches(options.records.map(toRecordToPut))) {
    results.push(...(await options.dataStreams.put(options.resultsStream, batch)))
  }
  return results
}

function toRecordToPut(record: DetectionRecord): RecordToPut {
  return {
    data: Buffer.from(JSON.stringify(record)),
    partitionKey: record.streamName,
  }
}

/** Consecutive runs within the limits of one put. A record alone over the limit goes alone. */
function toBatches(records: readonly RecordToPut[]): RecordToPut[][] {
  const batches: RecordToPut[][] = []
  let bytes = 0
  for (const record of records) {
    const size = record.data.byteLength + Buffer.byteLength(record.partitionKey)
    const current = batches.at(-1)
    if (
      current === undefined ||
      current.length === MAX_BATCH_RECORDS ||
      bytes + size > MAX_BATCH_BYTES
    ) {
      batches.push([record])
      bytes = size
    } else {
      current.push(record)
      bytes += size
    }
  }
  return batches
}
