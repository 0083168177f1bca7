import { maskedCrc32c } from './crc32c.ts'

const BLOCK_BYTES = 32_768
const HEAD_BYTES = 7
/** Types: FULL 1, FIRST 2, MIDDLE 3, LAST 4. */
const FULL = 1
const LAST = 4

export type LogContents = {
  /** Whole logical records, up to the first damage. */
  readonly records: readonly Uint8Array[]
  /**
   * Where bytes are wrong although whole records follow; `null` when nothing is. What is torn at the
   * end was being written when the power failed: its commit was never confirmed.
   */
  readonly damagedAt: number | null
}

/**
 * Reads a log or MANIFEST of LevelDB (doc/log_format.md). Blocks of 32 KiB hold
 *
 * ```
 * 0 masked CRC-32C of type and data u32 | 4 length u16 | 6 type u8 | 7 data ...
 * ```
 *
 * and zeros where fewer than 7 bytes are left.
 */
export function readLog(bytes: Buffer): LogContents {
  const records: Uint8Array[] = []
  let parts: Uint8Array[] = []
  let damagedAt: number | null = null
  for (let at = 0; at + HEAD_BYTES <= bytes.length;) {
    const blockEnd = (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES
    if (blockEnd - at < HEAD_BYTES) {
      at = blockEnd
      continue
    }
    const record = readRecord(bytes, at, blockEnd)
    if (record === null) {
      damagedAt ??= at
      at = blockEnd // whatever the block's rest is, another begins where it ends
      continue
    }
    at = record.end
    if (damagedAt !== null) {
      // Of the one write that was torn, pieces may be there, but no beginning of another.
      if (record.type <= 2) return { records, damagedAt }
      continue
    }
    parts.push(record.data)
    if (record.type !== FULL && record.type !== LAST) continue
    records.push(parts.length === 1 ? parts[0]! : Buffer.concat(parts))
    parts = []
  }
  return { records, damagedAt: null }
}

function readRecord(bytes: Buffer, at: number, blockEnd: number) {
  const end = at + HEAD_BYTES + bytes.readUInt16LE(at + 4)
  const type = bytes[at + 6]!
  if (type < FULL || type > LAST || end > blockEnd || end > bytes.length) return null
  if (maskedCrc32c(bytes.subarray(at + 6, end)) !== bytes.readUInt32LE(at)) return null
  return { type, data: bytes.subarray(at + HEAD_BYTES, end), end }
}
