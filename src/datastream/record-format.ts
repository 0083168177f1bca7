import { crc32 } from 'node:zlib'
import { ServiceError } from '../domain/errors.ts'
import { epochMs } from '../domain/time.ts'
import type { LogEntry, LogEntryToAppend } from './shard-log.ts'

/**
 * The bytes of a segment file: one header, then records without gaps. All integers are big-endian.
 *
 * ```
 * segment header                               record
 *  0  4  'KSEG'                                 0  4  CRC-32, salted, of all that follows in the record
 *  4  2  version, 1                             4  4  length of key and data together
 *  6  2  flags, 0                               8  2  length of the key
 *  8  8  index of the first record             10  2  flags: 1 encrypted, 2 begins a group
 * 16  8  latest arrival before this segment    12  8  index in the shard
 * 24  4  salt of the records' checksums        20  8  arrival, epoch ms
 * 28  4  CRC-32 of bytes 0..27                 28     key (UTF-8), data
 * ```
 *
 * The CRC is that of ISO/IEC 3309 (zlib). It covers the lengths too, so that a torn or zeroed header
 * never sends a reader astray. A reader refuses flags that it does not know. The salt, a random number
 * for each segment, keeps what a producer put as data from ever passing for a record. A group is what one sync
 * makes durable: the flag tells, when a damaged record is found, whether what follows was written
 * after that one was on disk.
 */
export const SEGMENT_HEADER_BYTES = 32
export const RECORD_HEADER_BYTES = 28
/** 10 MiB of data, the largest key in UTF-8, and room. A longer length is not a record. */
export const MAX_RECORD_BODY_BYTES = 11 * 1024 * 1024
const SEALED = 1
const GROUP_START = 2
const SEGMENT_MAGIC = 0x4b534547
const SEGMENT_VERSION = 1

export type SegmentHeader = {
  readonly firstIndex: number
  /** The latest arrival of the whole log before this segment; 0 when there was none. */
  readonly latestArrivalBefore: number
  /** The checksums of the records start with it: 32 bits. */
  readonly salt: number
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  bytes.writeUInt32BE(SEGMENT_MAGIC, 0)
  bytes.writeUInt16BE(SEGMENT_VERSION, 4)
  writeUint64(bytes, header.firstIndex, 8)
  writeUint64(bytes, header.latestArrivalBefore, 16)
  bytes.writeUInt32BE(header.salt, 24)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 28)), 28)
  return bytes
}

/** `null` when these are not the bytes of a segment header of this version. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | null {
  if (
    bytes.length < SEGMENT_HEADER_BYTES ||
    bytes.readUInt32BE(0) !== SEGMENT_MAGIC ||
    bytes.readUInt32BE(28) !== crc32(bytes.subarray(0, 28)) ||
    bytes.readUInt16BE(4) !== SEGMENT_VERSION ||
    bytes.readUInt16BE(6) !== 0
  ) {
    return null
  }
  return {
    firstIndex: readUint64(bytes, 8),
    latestArrivalBefore: readUint64(bytes, 16),
    salt: bytes.readUInt32BE(24),
  }
}

/** @throws `invalid-argument`/`RecordTooLarge` */
export function recordSize(entry: LogEntryToAppend): number {
  const keyBytes = Buffer.byteLength(entry.key)
  const bodyBytes = keyBytes + entry.data.byteLength
  if (keyBytes > 0xffff || bodyBytes > MAX_RECORD_BODY_BYTES) {
    throw new ServiceError('invalid-argument', 'RecordTooLarge', 'The record is too large.', {
      context: { keyBytes, dataBytes: entry.data.byteLength },
    })
  }
  return RECORD_HEADER_BYTES + bodyBytes
}

/** What a record must agree with: its index in the shard, its segment's salt. */
export type RecordPlace = { readonly index: number; readonly salt: number }

/** Writes one record at `offset` and returns the offset behind it. */
export function encodeRecord(
  into: Buffer,
  offset: number,
  entry: LogEntryToAppend,
  { index, startsGroup, salt }: RecordPlace & { readonly startsGroup: boolean },
): number {
  const keyBytes = into.write(entry.key, offset + RECORD_HEADER_BYTES)
  const dataAt = offset + RECORD_HEADER_BYTES + keyBytes
  into.set(entry.data, dataAt)
  const end = dataAt + entry.data.byteLength
  into.writeUInt32BE(keyBytes + entry.data.byteLength, offset + 4)
  into.writeUInt16BE(keyBytes, offset + 8)
  const flags = (entry.isSealed === true ? SEALED : 0) | (startsGroup ? GROUP_START : 0)
  into.writeUInt16BE(flags, offset + 10)
  writeUint64(into, index, offset + 12)
  writeUint64(into, entry.arrivedAt, offset + 20)
  into.writeUInt32BE(crc32(into.subarray(offset + 4, end), salt), offset)
  return end
}

/**
 * The size in bytes that the record at `offset` claims, or `null` when its header is not whole or
 * no record has such lengths. Nothing is checked yet.
 */
export function claimedRecordSize(bytes: Buffer, offset: number): number | null {
  if (offset + RECORD_HEADER_BYTES > bytes.length) return null
  const bodyBytes = bytes.readUInt32BE(offset + 4)
  if (bodyBytes > MAX_RECORD_BODY_BYTES || bytes.readUInt16BE(offset + 8) > bodyBytes) return null
  return RECORD_HEADER_BYTES + bodyBytes
}

/** Index of the record whose header is whole at `offset`; unchecked. */
export function claimedIndex(bytes: Buffer, offset: number): number {
  return readUint64(bytes, offset + 12)
}

/** Arrival of the record whose header is whole at `offset`; unchecked. */
export function claimedArrival(bytes: Buffer, offset: number): number {
  return readUint64(bytes, offset + 20)
}

/** Whether a whole, undamaged record with this index lies in `bytes[offset, offset + size)`. */
export function holdsRecord(
  bytes: Buffer,
  offset: number,
  size: number,
  { index, salt }: RecordPlace,
): boolean {
  return (
    offset + size <= bytes.length &&
    bytes.readUInt32BE(offset) === crc32(bytes.subarray(offset + 4, offset + size), salt) &&
    bytes.readUInt16BE(offset + 10) <= (SEALED | GROUP_START) &&
    claimedIndex(bytes, offset) === index
  )
}

/**
 * The first sound record at or after `from` that begins a group and has an index above `after`. All
 * before it was on disk when it was written: groups are written one after the other.
 */
export function findGroupStart(
  bytes: Buffer,
  from: number,
  { index: after, salt }: RecordPlace,
): { readonly offset: number; readonly index: number } | null {
  for (let offset = from; offset + RECORD_HEADER_BYTES <= bytes.length; offset++) {
    const flags = bytes.readUInt16BE(offset + 10)
    if (flags > (SEALED | GROUP_START) || (flags & GROUP_START) === 0) continue
    const index = claimedIndex(bytes, offset)
    const size = claimedRecordSize(bytes, offset)
    if (size === null || index <= after || index > after + bytes.length) continue
    if (holdsRecord(bytes, offset, size, { index, salt })) return { offset, index }
  }
  return null
}

/** The record at `offset`; its data is a view of `bytes`. */
export function decodeRecord(bytes: Buffer, offset: number): LogEntry {
  const bodyAt = offset + RECORD_HEADER_BYTES
  const dataAt = bodyAt + bytes.readUInt16BE(offset + 8)
  return {
    index: claimedIndex(bytes, offset),
    key: bytes.toString('utf8', bodyAt, dataAt),
    data: bytes.subarray(dataAt, bodyAt + bytes.readUInt32BE(offset + 4)),
    arrivedAt: epochMs(claimedArrival(bytes, offset)),
    ...((bytes.readUInt16BE(offset + 10) & SEALED) !== 0 && { isSealed: true }),
  }
}

/** @param value an integer, 0..2^53-1 */
export function writeUint64(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), offset)
  bytes.writeUInt32BE(value % 0x1_0000_0000, offset + 4)
}

/** Exact below 2^53; what is above comes from damaged bytes and matches no index. */
export function readUint64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32BE(offset) * 0x1_0000_0000 + bytes.readUInt32BE(offset + 4)
}
