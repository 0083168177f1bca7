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
      for (const { value } of blockEntries(contents)) {
        checkBlock(bytes, readPlace(new VarintReader(value)))
      }
    }
    return null
  } catch (error) {
    if (error instanceof RangeError) return error.message
    throw error
  }
}

/** A key as some commit left it: later ones have higher sequences; `value: null`: it was deleted. */
export type TableEntry = {
  readonly key: Buffer
  readonly sequence: bigint
  readonly value: Buffer | null
}

/** What stands in the blocks of a table that are not damaged; nothing when its index is. */
export function* soundEntries(bytes: Buffer): Generator<TableEntry> {
  for (const place of dataBlocks(bytes)) {
    const contents = unlessDamaged(() => readBlock(bytes, place))
    for (const { key, value } of contents === null ? [] : blockEntries(contents)) {
      // An internal key: the key, then its kind (1: a value) and 7 bytes of sequence (dbformat.h).
      const tag = key.readBigUInt64LE(key.length - 8)
      const isValue = (tag & 0xffn) === 1n
      yield {
        key: key.subarray(0, -8),
        sequence: tag >> 8n,
        value: isValue ? Buffer.from(value) : null,
      }
    }
  }
}

function dataBlocks(bytes: Buffer): readonly Place[] {
  const index = unlessDamaged(() => {
    const footer = new VarintReader(bytes, bytes.length - FOOTER_BYTES)
    readPlace(footer) // of the metaindex
    return readBlock(bytes, readPlace(footer))
  })
  if (index === null) return []
  return [...blockEntries(index)].map(({ value }) => readPlace(new VarintReader(value)))
}

function unlessDamaged<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof RangeError) return null
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

/**
 * Entries: how much of the key is that of the one before, length of its rest and of the value, both.
 */
function* blockEntries(
  contents: Uint8Array,
): Generator<{ readonly key: Buffer; readonly value: Uint8Array }> {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength)
  const restarts = view.getUint32(contents.length - 4, true)
  const entries = contents.subarray(0, contents.length - 4 - restarts * 4)
  const reader = new VarintReader(entries)
  let key = Buffer.alloc(0)
  while (!reader.isAtEnd) {
    const shared = reader.number()
    const [restLength, valueLength] = [reader.number(), reader.number()]
    key = Buffer.concat([key.subarray(0, shared), reader.take(restLength)])
    yield { key, value: reader.take(valueLength) }
  }
}
