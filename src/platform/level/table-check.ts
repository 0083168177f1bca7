import { maskedCrc32c } from './crc32c.ts'
import { decompressSnappy } from './snappy.ts'
import { VarintReader } from './varint.ts'

/** Behind a block's contents: how it is compressed u8, masked CRC-32C of contents and that u32. */
const TRAILER_BYTES = 5
const FOOTER_BYTES = 48
const MAGIC = Buffer.from('57fb808b247547db', 'hex')
const SNAPPY = 1

/**
 * Compares every block of a table file with its CRC (leveldb, doc/table_format.md):
 *
 * ```
 * data blocks | filter block | metaindex block | index block | footer: their places, magic
 * ```
 *
 * @param bytes the whole file
 * @returns what is wrong; `null`: nothing is
 */
export function findTableDamage(bytes: Buffer): string | null {
  const footerAt = bytes.length - FOOTER_BYTES
  if (footerAt < 0 || !bytes.subarray(-MAGIC.length).equals(MAGIC)) return 'no table'
  try {
    const footer = new VarintReader(bytes, footerAt)
    const metaindex = readBlock(bytes, readPlace(footer))
    const index = readBlock(bytes, readPlace(footer))
    for (const contents of [metaindex, index]) {
      for (const value of blockValues(contents)) {
        checkBlock(bytes, readPlace(new VarintReader(value)))
      }
    }
    return null
  } catch (error) {
    if (error instanceof RangeError) return error.message
    throw error
  }
}

type Place = { readonly offset: number; readonly length: number }

function readPlace(reader: VarintReader): Place {
  return { offset: reader.number(), length: reader.number() }
}

function readBlock(bytes: Buffer, place: Place): Uint8Array {
  const contents = checkBlock(bytes, place)
  const isCompressed = bytes[place.offset + place.length] === SNAPPY
  return isCompressed ? decompressSnappy(contents) : contents
}

/** @throws RangeError */
function checkBlock(bytes: Buffer, { offset, length }: Place): Uint8Array {
  const end = offset + length
  if (end + TRAILER_BYTES > bytes.length) throw new RangeError(`block at ${offset} ends behind it`)
  const crc = bytes.readUInt32LE(end + 1)
  if (maskedCrc32c(bytes.subarray(offset, end + 1)) !== crc) {
    throw new RangeError(`block at byte ${offset} is damaged`)
  }
  return bytes.subarray(offset, end)
}

/** Of the entries of a block: shared and own length of the key, length of the value, both. */
function* blockValues(contents: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength)
  const restarts = view.getUint32(contents.length - 4, true)
  const entries = contents.subarray(0, contents.length - 4 - restarts * 4)
  const reader = new VarintReader(entries)
  while (!reader.isAtEnd) {
    reader.number()
    const [keyLength, valueLength] = [reader.number(), reader.number()]
    reader.take(keyLength)
    yield reader.take(valueLength)
  }
}
