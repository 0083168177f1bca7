import { MalformedMediaError } from '../../domain/errors.ts'
import { CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'
import { parseAvcConfig } from '../../media/nal/avc-config.ts'
import { toAvcRecord } from '../../media/nal/avc-record.ts'
import { parseAvcSps } from '../../media/nal/avc-sps.ts'
import { parseHevcConfig } from '../../media/nal/hevc-config.ts'
import { toHevcRecord } from '../../media/nal/hevc-record.ts'
import { hevcNalType } from '../../media/nal/hevc-slice.ts'
import { parseHevcSps } from '../../media/nal/hevc-sps.ts'
import {
  annexBNalUnits,
  isLengthPrefixed,
  lengthPrefixedNalUnits,
  startsWithStartCode,
} from '../../media/nal/nal-units.ts'

/** Whether players can make something of the track's CodecPrivate; of other codecs nobody asks here. */
export function hasCodecPrivate({ codecId, codecPrivate }: Track): boolean {
  if (codecId !== CODEC_AVC && codecId !== CODEC_HEVC) return true
  try {
    if (codecId === CODEC_AVC) parseAvcConfig(codecPrivate)
    else parseHevcConfig(codecPrivate)
    return true
  } catch (error) {
    if (!(error instanceof MalformedMediaError)) throw error
    return false
  }
}

/**
 * The CodecPrivate that a track should have had, out of the parameter sets in its media: in a key
 * frame, or in a CodecPrivate that holds them with start codes (ISO/IEC 14496-15 §5.3.3.1, §8.3.3.1).
 *
 * @returns `null` when they are not all there, or cannot be read
 */
export function deriveCodecPrivate(codecId: string, bytes: Uint8Array): Uint8Array | null {
  try {
    const units = toNalUnits(bytes)
    return codecId === CODEC_AVC ? deriveAvc(units) : deriveHevc(units)
  } catch (error) {
    if (!(error instanceof MalformedMediaError)) throw error
    return null
  }
}

/** Whether a frame has start codes where lengths belong (ITU-T H.264 and H.265, Annex B). */
export function isAnnexB(frame: Uint8Array): boolean {
  return startsWithStartCode(frame) && !isLengthPrefixed(frame, 4)
}

function toNalUnits(bytes: Uint8Array): readonly Uint8Array[] {
  const units = isAnnexB(bytes) ? annexBNalUnits(bytes) : lengthPrefixedNalUnits(bytes, 4)
  return [...units].map(({ start, end }) => bytes.subarray(start, end))
}

function deriveAvc(units: readonly Uint8Array[]): Uint8Array | null {
  const ofType = (type: number) => units.filter((unit) => (unit[0]! & 0x1f) === type)
  const [sps, pps] = [ofType(7), ofType(8)]
  if (sps.length === 0 || pps.length === 0) return null
  return toAvcRecord(sps, pps, parseAvcSps(sps[0]!).chroma)
}

function deriveHevc(units: readonly Uint8Array[]): Uint8Array | null {
  const sets = [32, 33, 34].map((type) => ({
    type,
    units: units.filter((unit) => hevcNalType(unit[0]!) === type),
  }))
  if (sets.some((each) => each.units.length === 0)) return null
  return toHevcRecord(sets, parseHevcSps(sets[1]!.units[0]!))
}
