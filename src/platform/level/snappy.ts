import { VarintReader } from './varint.ts'

/**
 * Snappy's raw format (google/snappy, format_description.txt): the length of what comes out, then
 * literals and copies of what came out before.
 *
 * @throws RangeError when the bytes are no such thing
 */
export function decompressSnappy(bytes: Uint8Array): Uint8Array {
  const reader = new VarintReader(bytes)
  const length = reader.number()
  if (length > MAX_BYTES) throw new RangeError('longer than any block')
  const out = new Uint8Array(length)
  let at = 0
  const littleEndian = (count: number) =>
    reader.take(count).reduce((sum, byte, i) => sum + byte * 256 ** i, 0)
  while (!reader.isAtEnd) {
    const tag = reader.take(1)[0]!
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >>> 2
      const count = 1 + (short < 60 ? short : littleEndian(short - 59))
      if (at + count > length) throw new RangeError('more than was said')
      out.set(reader.take(count), at)
      at += count
      continue
    }
    const count = kind === 1 ? 4 + ((tag >>> 2) & 7) : 1 + (tag >>> 2)
    const back = kind === 1 ? (tag >>> 5) * 256 + littleEndian(1) : littleEndian(kind === 2 ? 2 : 4)
    if (back === 0 || back > at || at + count > length) throw new RangeError('a copy of nothing')
    for (let i = 0; i < count; i++, at++) out[at] = out[at - back]! // it may copy what it makes
  }
  if (at !== length) throw new RangeError('less than was said')
  return out
}

const MAX_BYTES = 1 << 28
