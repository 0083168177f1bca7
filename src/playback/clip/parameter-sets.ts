import { CODEC_AVC, type Track } from '../../domain/track.ts'
import { parseAvcConfig } from '../../media/nal/avc-config.ts'
import { parseHevcConfig } from '../../media/nal/hevc-config.ts'
import { lengthPrefixedNalUnits } from '../../media/nal/nal-units.ts'

/** The parameter sets of a video track as NAL units with lengths, as its samples have them. */
export function toParameterSets({ codecId, codecPrivate }: Track): Uint8Array {
  const { nalLengthBytes, units } = parse(codecId, codecPrivate)
  return Buffer.concat(
    units.map((unit) => {
      const length = Buffer.alloc(nalLengthBytes)
      length.writeUIntBE(unit.length, 0, nalLengthBytes)
      return Buffer.concat([length, unit])
    }),
  )
}

/**
 * A key sample with parameter sets: behind its access unit delimiter, which must be the first unit
 * (ITU-T H.264 §7.4.1.2.3, H.265 §7.4.2.4.4), or else before everything.
 */
export function withParameterSets(
  sample: Uint8Array,
  { codecId, codecPrivate }: Track,
  parameterSets: Uint8Array,
): Uint8Array {
  const nalLengthBytes = nalLengthBytesOf(codecId, codecPrivate)
  const [first] = lengthPrefixedNalUnits(sample, nalLengthBytes)
  const type = first === undefined ? -1 : nalTypeOf(codecId, sample[first.start]!)
  const at = type === (codecId === CODEC_AVC ? AVC_DELIMITER : HEVC_DELIMITER) ? first!.end : 0
  return Buffer.concat([sample.subarray(0, at), parameterSets, sample.subarray(at)])
}

/** How many bytes say the length of each NAL unit: 1, 2 or 4. */
export function nalLengthBytesOf(codecId: string, codecPrivate: Uint8Array): number {
  return (codecPrivate[codecId === CODEC_AVC ? 4 : 21]! & 3) + 1
}

const AVC_DELIMITER = 9
const HEVC_DELIMITER = 35

function nalTypeOf(codecId: string, header: number): number {
  return codecId === CODEC_AVC ? header & 0x1f : (header >> 1) & 0x3f
}

function parse(codecId: string, codecPrivate: Uint8Array) {
  if (codecId === CODEC_AVC) {
    const { nalLengthBytes, sps, pps } = parseAvcConfig(codecPrivate)
    return { nalLengthBytes, units: [...sps, ...pps] }
  }
  const { nalLengthBytes, nalUnits } = parseHevcConfig(codecPrivate)
  return {
    nalLengthBytes,
    units: nalUnits.filter(({ type }) => HEVC_SETS.has(type)).map(({ data }) => data),
  }
}

/** VPS, SPS and PPS: SEI and the like are left out. */
const HEVC_SETS = new Set([32, 33, 34])
