import { crc32 } from 'node:zlib'
import { toFragmentNumber, type Fragment } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import { epochMs, type EpochMs } from '../domain/time.ts'

/** One fragment as the sidecar and the closing record keep it; little-endian, 80 bytes. */
export type FragmentRow = {
  readonly counter: number
  readonly serverTimestamp: EpochMs
  readonly random28: number
  readonly discontinuity: boolean
  readonly recovered: boolean
  readonly startsWithKey: boolean
  readonly hasProducerTags: boolean
  /** Its bytes were overwritten on request; the row keeps its place in the numbering. */
  readonly deleted: boolean
  readonly producerTimestamp: EpochMs
  readonly offset: number
  readonly length: number
  readonly durationMs: number
  readonly arrivalSpanMs: number
  readonly sampleCount: number
  readonly sequence: number
  readonly discontinuitySequence: number
  /** CRC-32 of its bytes; `null` when they were changed after they were written. */
  readonly checksum: number | null
}

export const ROW_BYTES = 80
export const SIDECAR_HEADER_BYTES = 16

const VERSION = 1
const MAGIC = Buffer.from('KINORAIX', 'latin1')
const MAX_U32 = 0xffff_ffff

/** A row keeps a fragment's length in 32 bits; some room is left for its Tags. */
export const MAX_FRAGMENT_BYTES = MAX_U32 - 65_536
/** Where a row's fields begin that are read without decoding all of it; see {@link encodeRow}. */
export const RowField = {
  counter: 0,
  serverTimestamp: 8,
  producerTimestamp: 24,
  offset: 32,
  length: 40,
  durationMs: 44,
  arrivalSpanMs: 48,
} as const

const Flag = {
  discontinuity: 1,
  recovered: 2,
  startsWithKey: 4,
  hasProducerTags: 8,
  deleted: 16,
  hasChecksum: 32,
} as const

/**
 * ```
 *  0 "KINORAIX" | 8 version u32 = 1 | 12 bytes per row u32 = 80 | 16 rows ...
 * ```
 */
export function sidecarHeader(): Uint8Array {
  const bytes = Buffer.alloc(SIDECAR_HEADER_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(VERSION, 8)
  bytes.writeUInt32LE(ROW_BYTES, 12)
  return bytes
}

/**
 * ```
 *  0 counter u64           | 8 serverTimestamp u64 ms | 16 random28 u32  | 20 flags u32
 * 24 producerTimestamp i64 | 32 offset u64            | 40 length u32    | 44 durationMs u32
 * 48 arrivalSpanMs u32     | 52 sampleCount u32       | 56 sequence u32  | 60 discontinuitySequence
 * 64 checksum u32          | 68 zero, 8 bytes         | 76 CRC-32 of bytes 0..75
 * ```
 */
export function encodeRow(row: FragmentRow): Uint8Array {
  const bytes = Buffer.alloc(ROW_BYTES)
  bytes.writeBigUInt64LE(BigInt(row.counter), 0)
  bytes.writeBigUInt64LE(BigInt(row.serverTimestamp), 8)
  bytes.writeUInt32LE(row.random28, 16)
  bytes.writeUInt32LE(flagsOf(row), 20)
  bytes.writeBigInt64LE(BigInt(row.producerTimestamp), 24)
  bytes.writeBigUInt64LE(BigInt(row.offset), 32)
  bytes.writeUInt32LE(row.length, 40)
  bytes.writeUInt32LE(Math.min(row.durationMs, MAX_U32), 44)
  bytes.writeUInt32LE(Math.min(row.arrivalSpanMs, MAX_U32), 48)
  bytes.writeUInt32LE(row.sampleCount, 52)
  bytes.writeUInt32LE(row.sequence, 56)
  bytes.writeUInt32LE(row.discontinuitySequence, 60)
  bytes.writeUInt32LE(row.checksum ?? 0, 64)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, ROW_BYTES - 4)), ROW_BYTES - 4)
  return bytes
}

function flagsOf(row: FragmentRow): number {
  return (
    (row.discontinuity ? Flag.discontinuity : 0) |
    (row.recovered ? Flag.recovered : 0) |
    (row.startsWithKey ? Flag.startsWithKey : 0) |
    (row.hasProducerTags ? Flag.hasProducerTags : 0) |
    (row.deleted ? Flag.deleted : 0) |
    (row.checksum === null ? 0 : Flag.hasChecksum)
  )
}

/** `null` when the bytes at `offset` are no row: cut off, torn or damaged. */
export function decodeRow(bytes: Uint8Array, offset = 0): FragmentRow | null {
  if (offset + ROW_BYTES > bytes.length) return null
  const row = Buffer.from(bytes.buffer, bytes.byteOffset + offset, ROW_BYTES)
  if (crc32(row.subarray(0, ROW_BYTES - 4)) !== row.readUInt32LE(ROW_BYTES - 4)) return null
  const flags = row.readUInt32LE(20)
  return {
    counter: Number(row.readBigUInt64LE(0)),
    serverTimestamp: epochMs(Number(row.readBigUInt64LE(8))),
    random28: row.readUInt32LE(16),
    discontinuity: (flags & Flag.discontinuity) !== 0,
    recovered: (flags & Flag.recovered) !== 0,
    startsWithKey: (flags & Flag.startsWithKey) !== 0,
    hasProducerTags: (flags & Flag.hasProducerTags) !== 0,
    deleted: (flags & Flag.deleted) !== 0,
    producerTimestamp: epochMs(Number(row.readBigInt64LE(24))),
    offset: Number(row.readBigUInt64LE(32)),
    length: row.readUInt32LE(40),
    durationMs: row.readUInt32LE(44),
    arrivalSpanMs: row.readUInt32LE(48),
    sampleCount: row.readUInt32LE(52),
    sequence: row.readUInt32LE(56),
    discontinuitySequence: row.readUInt32LE(60),
    checksum: (flags & Flag.hasChecksum) === 0 ? null : row.readUInt32LE(64),
  }
}

/**
 * The rows of a sidecar up to the first that cannot be right: counters rise, fragments do not
 * overlap, and none reaches past the chunk's end.
 *
 * @param chunkBytes length of the chunk file
 */
export function decodeSidecar(bytes: Uint8Array, chunkBytes: number): readonly FragmentRow[] {
  const header = sidecarHeader()
  if (Buffer.compare(bytes.subarray(0, SIDECAR_HEADER_BYTES), header) !== 0) return []
  const rows: FragmentRow[] = []
  let counter = -1
  let end = 0
  for (let at = SIDECAR_HEADER_BYTES; ; at += ROW_BYTES) {
    const row = decodeRow(bytes, at)
    if (row === null || row.counter <= counter || row.offset < end) return rows
    counter = row.counter
    end = row.offset + row.length
    if (end > chunkBytes) return rows
    rows.push(row)
  }
}

export function toFragment(row: FragmentRow, streamId: StreamId, chunkId: string): Fragment {
  return {
    streamId,
    fragmentNumber: toFragmentNumber(row),
    producerTimestamp: row.producerTimestamp,
    serverTimestamp: row.serverTimestamp,
    durationMs: row.durationMs,
    arrivalSpanMs: row.arrivalSpanMs,
    sizeBytes: row.length,
    sampleCount: row.sampleCount,
    sequence: row.sequence,
    discontinuitySequence: row.discontinuitySequence,
    discontinuity: row.discontinuity,
    startsWithKey: row.startsWithKey,
    recovered: row.recovered,
    place: { chunkId, offset: row.offset },
  }
}
