import { MalformedMediaError } from '../../domain/errors.ts'
import { parseAvcSps, type AvcSps } from './avc-sps.ts'

/** AVCDecoderConfigurationRecord, the `avcC` of MP4, Matroska and FLV (ISO/IEC 14496-15 §5.3.3.1). */
export type AvcConfig = {
  readonly profileIdc: number
  readonly constraints: number
  readonly levelIdc: number
  /** Size of the length before each NAL unit: 1, 2 or 4. */
  readonly nalLengthBytes: number
  /** NAL units with their header byte; views on the record. */
  readonly sps: readonly Uint8Array[]
  readonly pps: readonly Uint8Array[]
  /** The first SPS. */
  readonly picture: AvcSps
}

const PATH = 'avcC'

/**
 * ```
 *  0      1        2        3      4             5             6
 * +------+--------+--------+------+-------------+-------------+----------------- - -
 * | 1    |profile |constr. |level |111111|len-1 |111|count SPS|{size16 SPS}* count PPS {size16 PPS}*
 * +------+--------+--------+------+-------------+-------------+----------------- - -
 * ```
 * What follows the PPS (chroma format and bit depths of the high profiles) is kept, not read.
 *
 * @throws MalformedMediaError
 */
export function parseAvcConfig(record: Uint8Array): AvcConfig {
  if (record.length < 7) throw malformed('is shorter than its fixed part', record.length)
  if (record[0] !== 1) throw malformed(`has version ${record[0]}`, 0)
  const nalLengthBytes = (record[4]! & 3) + 1
  if (nalLengthBytes === 3) throw malformed('has a NAL length of 3 bytes', 4)

  const [sps, ppsAt] = readParameterSets(record, 6, record[5]! & 0x1f)
  if (ppsAt >= record.length) throw malformed('ends before its PPS', ppsAt)
  const [pps] = readParameterSets(record, ppsAt + 1, record[ppsAt]!)
  const first = sps[0]
  if (first === undefined) throw malformed('has no SPS', 5)

  return {
    profileIdc: record[1]!,
    constraints: record[2]!,
    levelIdc: record[3]!,
    nalLengthBytes,
    sps,
    pps,
    picture: parseAvcSps(first),
  }
}

/** RFC 6381 §3.3: `avc1.` and profile, constraints and level in hexadecimal. */
export function toAvcCodecString(
  config: Pick<AvcConfig, 'profileIdc' | 'constraints' | 'levelIdc'>,
): string {
  const hex = [config.profileIdc, config.constraints, config.levelIdc].map((byte) =>
    byte.toString(16).toUpperCase().padStart(2, '0'),
  )
  return `avc1.${hex.join('')}`
}

function readParameterSets(
  record: Uint8Array,
  start: number,
  count: number,
): [sets: Uint8Array[], end: number] {
  const sets: Uint8Array[] = []
  let offset = start
  for (let i = 0; i < count; i++) {
    if (offset + 2 > record.length) throw malformed('ends inside a parameter set length', offset)
    const size = (record[offset]! << 8) | record[offset + 1]!
    offset += 2
    if (size === 0 || offset + size > record.length) {
      throw malformed(`announces a parameter set of ${size} bytes`, offset - 2)
    }
    sets.push(record.subarray(offset, offset + size))
    offset += size
  }
  return [sets, offset]
}

function malformed(what: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(`AVC configuration ${what}`, { offset, path: PATH })
}
