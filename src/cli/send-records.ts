import { setTimeout as delay } from 'node:timers/promises'
import { ServiceError } from '../domain/errors.ts'
import type { KinesisCall } from './kinesis-client.ts'

export type RecordToSend = { readonly data: Buffer; readonly key: string }

/** Of one PutRecords call: records, and bytes of data and keys. */
const MAX_RECORDS = 500
const MAX_BYTES = 10 * 1024 * 1024

/** A record that is refused is sent again so often, after a wait that gets longer by this each time. */
const MAX_TRIES = 8
const WAIT_MS = 250

type Answer = {
  readonly Records: readonly { readonly ErrorCode?: string; readonly ErrorMessage?: string }[]
}

/**
 * Puts records in calls as large as may be. Within a call, those that are refused go behind the others.
 *
 * @throws ServiceError `unavailable` with the last refusal's code, telling how many are stored; what the
 *   service answers to a call that it refuses as a whole
 */
export async function sendRecords(
  call: KinesisCall,
  stream: string,
  records: Iterable<RecordToSend>,
): Promise<number> {
  let stored = 0
  for (const batch of inBatches(records)) {
    let left: readonly RecordToSend[] = batch
    for (let tries = 1; left.length > 0; tries++) {
      const { Records } = await call<Answer>('PutRecords', {
        StreamName: stream,
        Records: left.map(({ data, key }) => ({
          Data: data.toString('base64'),
          PartitionKey: key,
        })),
      })
      const sent = left.length
      left = left.filter((_, i) => Records[i]?.ErrorCode !== undefined)
      stored += sent - left.length
      const refusal = Records.find(({ ErrorCode }) => ErrorCode !== undefined)
      if (refusal !== undefined && tries === MAX_TRIES) {
        const { ErrorCode, ErrorMessage = ErrorCode } = refusal
        const why = `${left.length} records were refused, ${stored} are stored: ${ErrorMessage}`
        throw new ServiceError('unavailable', ErrorCode!, why)
      }
      if (left.length > 0) await delay(WAIT_MS * tries)
    }
  }
  return stored
}

function* inBatches(records: Iterable<RecordToSend>): Generator<readonly RecordToSend[]> {
  let batch: RecordToSend[] = []
  let bytes = 0
  for (const record of records) {
    const size = record.data.length + Buffer.byteLength(record.key)
    if (batch.length === MAX_RECORDS || (batch.length > 0 && bytes + size > MAX_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
