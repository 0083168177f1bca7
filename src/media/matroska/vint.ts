import { MalformedMediaError } from '../../domain/errors.ts'

/** Stands for the size of a live Cluster or Segment, which nobody knows yet (RFC 8794 §6.2). */
export const UNKNOWN_SIZE = -1

export type ElementSize = {
  /** Payload length in bytes, or {@link UNKNOWN_SIZE}. */
  readonly size: number
  /** Bytes that the encoded size itself took, 1..8. */
  readonly width: number
}

/** Where an element begins, what it is, and where its payload begins. */
export type ElementHead = {
  readonly id: number
  /** Of the element's first byte. */
  readonly offset: number
  /** Of its size, behind the ID. */
  readonly sizeOffset: number
  /** Of its payload. */
  readonly dataOffset: number
  /** Payload length in bytes, or {@link UNKNOWN_SIZE}. */
  readonly size: number
}

/**
 * Reads an EBML Element Data Size (RFC 8794 §6.1) at `offset`.
 *
 * @param end where `bytes` is taken to end
 * @returns `null` when `bytes` ends before the size does; call again with more bytes
 * @throws MalformedMediaError when it cannot be a valid size whatever bytes follow
 */
export function readElementSize(
  bytes: Uint8Array,
  offset: number,
  end = bytes.length,
): ElementSize | null {
  if (offset >= end) return null
  const first = bytes[offset]!

  // VINT_WIDTH is the run of leading zero bits (§4.1); Math.clz32 counts from bit 31.
  const width = Math.clz32(first) - 24 + 1
  if (width > 8) throw new MalformedMediaError('size wider than 8 bytes', { offset, path: 'EBML' })
  if (offset + width > end) return null

  const mask = 0xff >> width // drops VINT_WIDTH and VINT_MARKER (§4.2)
  let value = first & mask
  let allOnes = value === mask
  for (let i = 1; i < width; i++) {
    const byte = bytes[offset + i]!
    value = value * 256 + byte
    allOnes &&= byte === 0xff
  }
  if (allOnes) return { size: UNKNOWN_SIZE, width }
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new MalformedMediaError('size is beyond 2^53', { offset, path: 'EBML' })
  }
  return { size: value, width }
}

/**
 * Reads an element's ID (RFC 8794 §5) and size at `offset`.
 *
 * @param end where `bytes` is taken to end
 * @returns `null` when `bytes` ends inside them
 * @throws MalformedMediaError when no element can begin with these bytes
 */
export function readElementHead(
  bytes: Uint8Array,
  offset: number,
  end = bytes.length,
): ElementHead | null {
  if (offset >= end) return null
  const first = bytes[offset]!

  // IDs keep their length marker and take at most 4 bytes (EBMLMaxIDLength of Matroska).
  const width = Math.clz32(first) - 24 + 1
  if (width > 4) {
    throw new MalformedMediaError('no element ID begins here', { offset, path: 'EBML' })
  }
  if (offset + width > end) return null
  let id = first
  for (let i = 1; i < width; i++) id = id * 256 + bytes[offset + i]!

  const sizeOffset = offset + width
  const size = readElementSize(bytes, sizeOffset, end)
  if (size === null) return null
  return { id, offset, sizeOffset, dataOffset: sizeOffset + size.width, size: size.size }
}

/** Encodes a size in as few bytes as hold it, or in exactly `width` (1..8). */
export function toElementSize(size: number, width = elementSizeWidth(size)): Uint8Array {
  const bytes = new Uint8Array(width)
  writeElementSize(bytes, 0, size, width)
  return bytes
}

/** Encodes a size in `width` bytes at `offset`. */
export function writeElementSize(
  bytes: Uint8Array,
  offset: number,
  size: number,
  width: number,
): void {
  if (size >= 2 ** (7 * width) - 1) {
    throw new RangeError(`size ${size} does not fit in ${width} bytes`)
  }
  let rest = size
  for (let i = width - 1; i >= 0; i--) {
    bytes[offset + i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes[offset]! |= 0x100 >> width
}

/** The reserved all-ones size of this width (RFC 8794 §6.2). */
export function toUnknownSize(width: number): Uint8Array {
  const bytes = new Uint8Array(width).fill(0xff)
  bytes[0] = (0x200 >> width) - 1
  return bytes
}

/** The bytes of an ID as they stand in the file. */
export function toElementId(id: number): Uint8Array {
  const width = id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1
  const bytes = new Uint8Array(width)
  for (let i = 0; i < width; i++) bytes[i] = id >>> (8 * (width - 1 - i)) // its lowest byte
  return bytes
}

/** The fewest bytes that hold a size. All ones mean "unknown", so 127 already takes two. */
export function elementSizeWidth(size: number): number {
  let width = 1
  while (size >= 2 ** (7 * width) - 1) width++
  return width
}
