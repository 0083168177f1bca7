import { CODEC_AVC, CODEC_HEVC } from '../../domain/track.ts'
import { parseAvcConfig } from '../nal/avc-config.ts'
import { parseHevcConfig } from '../nal/hevc-config.ts'
import {
  annexBNalUnits,
  isLengthPrefixed,
  lengthPrefixedNalUnits,
  startsWithStartCode,
} from '../nal/nal-units.ts'

/** Makes the access units of one track what a byte stream needs (H.264, H.265 Annex B). */
export interface AccessUnits {
  /**
   * One access unit: a delimiter, the parameter sets if wanted and not in it already, then its NAL
   * units, each behind a start code. `null` when the sample is no whole NAL units.
   */
  toAnnexB(
    sample: Uint8Array,
    options: { readonly withParameterSets: boolean },
  ): readonly Uint8Array[] | null
}

type NalRules = {
  readonly nalLengthBytes: number
  /** Of the decoder's configuration, in order. */
  readonly parameterSets: readonly Uint8Array[]
  readonly delimiter: Uint8Array
  readonly isDelimiter: (header: number) => boolean
  readonly isSps: (header: number) => boolean
}

/** @throws MalformedMediaError when the codec's configuration cannot be read */
export function openAccessUnits(
  codecId: typeof CODEC_AVC | typeof CODEC_HEVC,
  codecPrivate: Uint8Array,
): AccessUnits {
  const rules = codecId === CODEC_AVC ? toAvcRules(codecPrivate) : toHevcRules(codecPrivate)
  const opening = [START_CODE, rules.delimiter]
  const parameterSets = rules.parameterSets.flatMap((set) => [START_CODE, set])
  return {
    toAnnexB(sample, { withParameterSets }) {
      const units = toNalUnits(sample, rules.nalLengthBytes)
      if (units === null) return null
      const hasOwnSets = units.some((unit) => rules.isSps(unit[0]!))
      const parts = [...opening, ...(withParameterSets && !hasOwnSets ? parameterSets : [])]
      for (const unit of units) {
        // The one in front is ours: some encoders put it behind their SEI, where it may not be.
        if (!rules.isDelimiter(unit[0]!)) parts.push(START_CODE, unit)
      }
      return parts
    },
  }
}

/** With its zero_byte, which Annex B.1.2 asks for before parameter sets and the first NAL unit. */
const START_CODE = Uint8Array.of(0, 0, 0, 1)

function toNalUnits(sample: Uint8Array, nalLengthBytes: number): readonly Uint8Array[] | null {
  const units = isLengthPrefixed(sample, nalLengthBytes)
    ? lengthPrefixedNalUnits(sample, nalLengthBytes)
    : startsWithStartCode(sample)
      ? annexBNalUnits(sample)
      : null
  return units === null ? null : [...units].map(({ start, end }) => sample.subarray(start, end))
}

/** H.264 Table 7-1; the delimiter's primary_pic_type 7: any slices. */
function toAvcRules(record: Uint8Array): NalRules {
  const { nalLengthBytes, sps, pps } = parseAvcConfig(record)
  const typeOf = (header: number) => header & 0x1f
  return {
    nalLengthBytes,
    parameterSets: [...sps, ...pps],
    delimiter: Uint8Array.of(0x09, 0xf0),
    isDelimiter: (header) => typeOf(header) === 9,
    isSps: (header) => typeOf(header) === 7,
  }
}

/** H.265 Table 7-1; the delimiter's pic_type 2: any slices. */
function toHevcRules(record: Uint8Array): NalRules {
  const { nalLengthBytes, nalUnits } = parseHevcConfig(record)
  const typeOf = (header: number) => (header >> 1) & 0x3f
  return {
    nalLengthBytes,
    parameterSets: nalUnits.filter(({ type }) => type >= 32 && type <= 34).map(({ data }) => data),
    delimiter: Uint8Array.of(0x46, 0x01, 0x50),
    isDelimiter: (header) => typeOf(header) === 35,
    isSps: (header) => typeOf(header) === 33,
  }
}
