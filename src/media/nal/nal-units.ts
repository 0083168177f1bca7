import { MalformedMediaError } from '../../domain/errors.ts'

/**
 * The two ways to keep NAL units apart in an access unit: a length before each (ISO/IEC 14496-15
 * §5.3.4.2; what the archive keeps) and start codes between them (ITU-T H.264 Annex B; what some
 * encoders send where lengths belong).
 */
export type NalUnit = {
  /** Where the unit's header byte is. */
  readonly start: number
  readonly end: number
}

/** @throws MalformedMediaError when the lengths do not add up to the sample */
export function* lengthPrefixedNalUnits(
  sample: Uint8Array,
  nalLengthBytes: number,
): Generator<NalUnit> {
  let offset = 0
  while (offset < sample.length) {
    const start = offset + nalLengthBytes
    if (start > sample.length) throw malformed('ends inside a length', offset)
    let size = 0
    for (let at = offset; at < start; at++) size = size * 256 + sample[at]!
    if (start + size > sample.length) throw malformed(`announces ${size} bytes`, offset)
    if (size > 0) yield { start, end: start + size }
    offset = start + size
  }
}

/** Whether the lengths add up exactly; makes no garbage, so it can run for every sample. */
export function isLengthPrefixed(sample: Uint8Array, nalLengthBytes: number): boolean {
  let offset = 0
  while (offset < sample.length) {
    const start = offset + nalLengthBytes
    if (start > sample.length) return false
    let size = 0
    for (let at = offset; at < start; at++) size = size * 256 + sample[at]!
    offset = start + size
  }
  return offset === sample.length && sample.length > 0
}

/** Whether `bytes` begins with a start code: 00 00 01 or 00 00 00 01. */
export function startsWithStartCode(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0 || bytes[1] !== 0) return false
  return bytes[2] === 1 || (bytes[2] === 0 && bytes[3] === 1)
}

/** The NAL units between start codes (Annex B.1); trailing zero bytes belong to none. */
export function* annexBNalUnits(bytes: Uint8Array): Generator<NalUnit> {
  let start = -1
  let offset = 0
  while (offset + 3 <= bytes.length) {
    if (bytes[offset] !== 0 || bytes[offset + 1] !== 0 || bytes[offset + 2] !== 1) {
      offset++
      continue
    }
    if (start >= 0) yield* trimmed(bytes, start, offset)
    start = offset + 3
    offset = start
  }
  if (start >= 0) yield* trimmed(bytes, start, bytes.length)
}

/** The same access unit with four-byte lengths. Copies. */
export function annexBToLengthPrefixed(bytes: Uint8Array): Uint8Array {
  const units = [...annexBNalUnits(bytes)]
  const size = units.reduce((sum, unit) => sum + 4 + unit.end - unit.start, 0)
  const sample = new Uint8Array(size)
  const view = new DataView(sample.buffer)
  let offset = 0
  for (const { start, end } of units) {
    view.setUint32(offset, end - start)
    sample.set(bytes.subarray(start, end), offset + 4)
    offset += 4 + end - start
  }
  return sample
}

function* trimmed(bytes: Uint8Array, start: number, limit: number): Generator<NalUnit> {
  let end = limit
  while (end > start && bytes[end - 1] === 0) end-- // trailing_zero_8bits and zero_byte
  if (end > start) yield { start, end }
}

function malformed(what: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(`NAL unit ${what}`, { offset, path: 'access unit' })
}
