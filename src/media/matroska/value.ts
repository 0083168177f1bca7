import { MalformedMediaError } from '../../domain/errors.ts'
import { elementName } from './element-id.ts'
import type { ElementHead } from './vint.ts'

/**
 * The payloads of EBML's basic types (RFC 8794 §7). All need the element to lie in `bytes` whole.
 */

/** Unsigned Integer, 0..8 bytes (§7.2). Matroska's own stay below 2^53. */
export function readUnsigned(bytes: Uint8Array, head: ElementHead): number {
  if (head.size > 8) throw wrongLength(head, 'an unsigned integer')
  let value = 0
  for (let i = 0; i < head.size; i++) value = value * 256 + bytes[head.dataOffset + i]!
  if (value > Number.MAX_SAFE_INTEGER) throw wrongLength(head, 'an integer below 2^53')
  return value
}

/** Float of 0, 4 or 8 bytes (§7.3). */
export function readFloat(bytes: Uint8Array, head: ElementHead): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + head.dataOffset)
  if (head.size === 0) return 0
  if (head.size === 4) return view.getFloat32(0)
  if (head.size === 8) return view.getFloat64(0)
  throw wrongLength(head, 'a float')
}

/** String or UTF-8 (§7.4, §7.5). Old producers pad with NUL, which §7.4 tells readers to cut. */
export function readText(bytes: Uint8Array, head: ElementHead): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + head.dataOffset, head.size).toString()
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

function wrongLength(head: ElementHead, wanted: string): MalformedMediaError {
  return new MalformedMediaError(`${head.size} bytes are not ${wanted}`, {
    offset: head.dataOffset,
    path: elementName(head.id),
  })
}
