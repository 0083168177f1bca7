/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), with which LevelDB covers its records and blocks. */
export function crc32c(...parts: readonly Uint8Array[]): number {
  let crc = 0xffff_ffff
  for (const part of parts) {
    let at = 0
    for (const end = part.length - 3; at < end; at += 4) {
      crc ^= part[at]! | (part[at + 1]! << 8) | (part[at + 2]! << 16) | (part[at + 3]! << 24)
      crc =
        TABLE[768 + (crc & 0xff)]! ^
        TABLE[512 + ((crc >>> 8) & 0xff)]! ^
        TABLE[256 + ((crc >>> 16) & 0xff)]! ^
        TABLE[crc >>> 24]!
    }
    for (; at < part.length; at++) crc = TABLE[(crc ^ part[at]!) & 0xff]! ^ (crc >>> 8)
  }
  return ~crc >>> 0
}

/** As it stands in files: a CRC of bytes that hold their own CRC would be no good (crc32c.h). */
export function maskedCrc32c(...parts: readonly Uint8Array[]): number {
  const crc = crc32c(...parts)
  return (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0
}

/** Four tables: the second is for a byte that one more byte follows, and so on. */
const TABLE = makeTables()

function makeTables(): Int32Array {
  const tables = new Int32Array(4 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f6_3b78
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!
    tables[at] = tables[before & 0xff]! ^ (before >>> 8)
  }
  return tables
}
