import type { StoredRecord } from '../../datastream/index.ts'
import { jsonCodec, type Codec } from '../aws/codec.ts'
import { toRecordMember } from './record-output.ts'

/** Around a record's data and key: the names of its members, its number and its time. */
const RECORD_TEXT_BYTES = 256

/**
 * An answer with records and other members. As JSON it is written once, the data in base64 straight
 * into the answer's bytes: megabytes of text never become strings of their own.
 */
export function renderRecords(
  records: readonly StoredRecord[],
  others: object,
  codec: Codec,
): Buffer {
  if (codec !== jsonCodec) {
    return codec.render({
      Records: records.map((record) => toRecordMember(record, codec)),
      ...others,
    })
  }
  const rest = Buffer.from(JSON.stringify(others))
  const bytes = Buffer.allocUnsafeSlow(sizeOfJson(records) + rest.length)
  let at = bytes.write('{"Records":[', 'latin1')
  records.forEach((record, i) => {
    if (i > 0) at += bytes.write(',', at, 'latin1')
    at = writeRecord(bytes, at, record)
  })
  at += bytes.write(rest.length > 2 ? '],' : ']', at, 'latin1')
  at += rest.copy(bytes, at, 1)
  return bytes.subarray(0, at)
}

/** Enough for any escape in a key: six bytes for a code unit. */
function sizeOfJson(records: readonly StoredRecord[]): number {
  let bytes = 16
  for (const { data, partitionKey } of records) {
    bytes += RECORD_TEXT_BYTES + Math.ceil(data.byteLength / 3) * 4 + partitionKey.length * 6
  }
  return bytes
}

/** Nothing in it that JSON escapes or UTF-8 has more than a byte for. */
const PLAIN = /^[ !#-[\]-~]*$/

/** The same members in the same order as {@link toRecordMember} gives. @returns the offset behind it */
function writeRecord(bytes: Buffer, from: number, record: StoredRecord): number {
  const { data, partitionKey } = record
  let at = from
  at += bytes.write(
    `{"SequenceNumber":"${record.sequenceNumber}",` +
      `"ApproximateArrivalTimestamp":${record.arrivedAt / 1000},"Data":"`,
    at,
    'latin1',
  )
  const base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
  at += bytes.write(base64, at, 'latin1')
  const key =
    partitionKey === ''
      ? ''
      : `,"PartitionKey":${PLAIN.test(partitionKey) ? `"${partitionKey}"` : JSON.stringify(partitionKey)}`
  const encryption = record.isEncrypted === true ? ',"EncryptionType":"KMS"' : ''
  return at + bytes.write(`"${key}${encryption}}`, at, 'utf8')
}
