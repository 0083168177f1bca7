import { MalformedMediaError } from '../../domain/errors.ts'
import { parseHevcSps, type HevcSps } from './hevc-sps.ts'

/** HEVCDecoderConfigurationRecord, the `hvcC` box's content (ISO/IEC 14496-15 §8.3.3.1). */
export type HevcConfig = {
  /** general_profile_space, 0..3. */
  readonly profileSpace: number
  readonly tier: 'main' | 'high'
  readonly profileIdc: number
  readonly profileCompatibility: number
  /** general_constraint_indicator_flags, six bytes. */
  readonly constraints: Uint8Array
  readonly levelIdc: number
  readonly nalLengthBytes: number
  /** Parameter sets by NAL unit type; views on the record. */
  readonly nalUnits: readonly HevcParameterSet[]
  readonly picture: HevcSps
}

export type HevcParameterSet = { readonly type: number; readonly data: Uint8Array }

const SPS_NAL_TYPE = 33

/**
 * ```
 *  0        1                   2..5            6..11        12     13..20   21          22
 * +--------+-------------------+---------------+------------+------+--------+-----------+--------+
 * | 1      |space2 tier1 prof5 | compatibility | constraints| level| ...    |..... len-1| arrays |
 * +--------+-------------------+---------------+------------+------+--------+-----------+--------+
 * each array: | completeness1 0 type6 | count16 | { size16, NAL unit }* |
 * ```
 *
 * @throws MalformedMediaError
 */
export function parseHevcConfig(record: Uint8Array): HevcConfig {
  if (record.length < 23) throw malformed('is shorter than its fixed part', record.length)
  if (record[0] !== 1) throw malformed(`has version ${record[0]}`, 0)
  const nalLengthBytes = (record[21]! & 3) + 1
  if (nalLengthBytes === 3) throw malformed('has a NAL length of 3 bytes', 21)
  const nalUnits = readArrays(record)
  const sps = nalUnits.find((unit) => unit.type === SPS_NAL_TYPE)
  if (sps === undefined) throw malformed('has no SPS', 22)
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  return {
    profileSpace: record[1]! >> 6,
    tier: (record[1]! & 0x20) === 0 ? 'main' : 'high',
    profileIdc: record[1]! & 0x1f,
    profileCompatibility: view.getUint32(2),
    constraints: record.subarray(6, 12),
    levelIdc: record[12]!,
    nalLengthBytes,
    nalUnits,
    picture: parseHevcSps(sps.data),
  }
}

/** ISO/IEC 14496-15 Annex E.3, e.g. `hvc1.1.6.L93.B0`. */
export function toHevcCodecString(config: Omit<HevcConfig, 'picture' | 'nalUnits'>): string {
  const space = ['', 'A', 'B', 'C'][config.profileSpace] ?? ''
  const compatibility = reverseBits32(config.profileCompatibility).toString(16).toUpperCase()
  const level = `${config.tier === 'main' ? 'L' : 'H'}${config.levelIdc}`
  let used = config.constraints.length
  while (used > 0 && config.constraints[used - 1] === 0) used-- // trailing zero bytes may go
  const constraints = [...config.constraints.subarray(0, used)].map((byte) =>
    byte.toString(16).toUpperCase(),
  )
  return ['hvc1', `${space}${config.profileIdc}`, compatibility, level, ...constraints].join('.')
}

function readArrays(record: Uint8Array): HevcParameterSet[] {
  const nalUnits: HevcParameterSet[] = []
  let offset = 23
  for (let array = 0; array < record[22]!; array++) {
    if (offset + 3 > record.length) throw malformed('ends inside an array', offset)
    const type = record[offset]! & 0x3f
    const count = (record[offset + 1]! << 8) | record[offset + 2]!
    offset += 3
    for (let i = 0; i < count; i++) {
      if (offset + 2 > record.length) throw malformed('ends inside a NAL unit length', offset)
      const size = (record[offset]! << 8) | record[offset + 1]!
      offset += 2
      if (size === 0 || offset + size > record.length) {
        throw malformed(`announces a NAL unit of ${size} bytes`, offset - 2)
      }
      nalUnits.push({ type, data: record.subarray(offset, offset + size) })
      offset += size
    }
  }
  return nalUnits
}

function reverseBits32(value: number): number {
  let reversed = 0
  for (let bit = 0; bit < 32; bit++) reversed = (reversed << 1) | ((value >>> bit) & 1)
  return reversed >>> 0
}

function malformed(what: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(`HEVC configuration ${what}`, { offset, path: 'hvcC' })
}
