/**
 * One ISO base media file format box (ISO/IEC 14496-12 §4.2) with its parts behind one another:
 *
 *   size:u32 (of the whole box)  type:4 characters  parts...
 */
export function box(type: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, BOX_HEADER_BYTES)
  const bytes = new Uint8Array(size)
  bytes.set(u32(size))
  bytes.set(ascii(type), 4)
  let offset = BOX_HEADER_BYTES
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/** A box with `version:u8 flags:u24` in front of its parts (ISO/IEC 14496-12 §4.2). */
export function fullBox(
  type: string,
  head: { readonly version: number; readonly flags: number },
  ...parts: readonly Uint8Array[]
): Uint8Array {
  return box(type, u32(((head.version << 24) | head.flags) >>> 0), ...parts)
}

export const BOX_HEADER_BYTES = 8

export function u8(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values)
}

/** Big-endian; a negative number as its two's complement. */
export function u16(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * values.length))
  for (const [i, value] of values.entries()) view.setUint16(2 * i, value)
  return new Uint8Array(view.buffer)
}

/** Big-endian; a negative number as its two's complement. */
export function u32(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length))
  for (let i = 0; i < values.length; i++) view.setUint32(4 * i, values[i]!)
  return new Uint8Array(view.buffer)
}

export function u64(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, BigInt(value))
  return new Uint8Array(view.buffer)
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/** `count` zero bytes, where the standard reserves room. */
export function reserved(count: number): Uint8Array {
  return new Uint8Array(count)
}
