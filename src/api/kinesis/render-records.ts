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
  const rest = restOf(others)
  const bytes = Buffer.allocUnsafeSlow(HEAD.length + sizeOfJson(records) + rest.length)
  HEAD.copy(bytes)
  const end = writeList(bytes, HEAD.length, records)
  return bytes.subarray(0, end + rest.copy(bytes, end))
}

/**
 * As {@link renderRecords}, for a list that many are given: the followers of a shard. What was
 * rendered as JSON is kept for as long as the list is.
 */
export class SharedRecords {
  readonly #lists = new WeakMap<readonly StoredRecord[], Buffer>()

  render(records: readonly StoredRecord[], others: object, codec: Codec): Buffer {
    if (codec !== jsonCodec) return renderRecords(records, others, codec)
    return Buffer.concat([HEAD, this.#listOf(records), restOf(others)])
  }

  #listOf(records: readonly StoredRecord[]): Buffer {
    const known = this.#lists.get(records)
    if (known !== undefined) return known
    const bytes = Buffer.allocUnsafeSlow(sizeOfJson(records))
    const list = bytes.subarray(0, writeList(bytes, 0, records))
    this.#lists.set(records, list)
    return list
  }
}

const HEAD = Buffer.from('{"Records":')

/** The other members, and the end of the object. */
function restOf(others: object): Buffer {
  const text = JSON.stringify(others)
  return Buffer.from(text === '{}' ? '}' : `,${text.slice(1)}`)
}

/** @returns the offset behind it */
function writeList(bytes: Buffer, from: number, records: readonly StoredRecord[]): number {
  let at = from + bytes.write('[', from, 'latin1')
  records.forEach((record, i) => {
    if (i > 0) at += bytes.write(',', at, 'latin1')
    at = writeRecord(bytes, at, record)
  })
  return at + bytes.write(']', at, 'latin1')
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
