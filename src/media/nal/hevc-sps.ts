import { RbspReader } from './rbsp-reader.ts'

/** Picture size of an H.265 sequence parameter set, after the conformance window. */
export type HevcSps = { readonly widthPx: number; readonly heightPx: number }

const MAX_DIMENSION_PX = 16_384

/**
 * Parses the beginning of seq_parameter_set_rbsp (ITU-T H.265 §7.3.2.2.1).
 *
 * @param nalUnit the SPS with its two-byte NAL header
 * @throws MalformedMediaError
 */
export function parseHevcSps(nalUnit: Uint8Array): HevcSps {
  const reader = new RbspReader(nalUnit, 2, 'HEVC SPS')
  reader.skip(4) // sps_video_parameter_set_id
  const maxSubLayersMinus1 = reader.bits(3)
  reader.skip(1) // sps_temporal_id_nesting_flag
  skipProfileTierLevel(reader, maxSubLayersMinus1)
  reader.unsigned() // sps_seq_parameter_set_id
  const chromaFormat = reader.unsigned()
  if (chromaFormat > 3) throw reader.malformed(`has chroma_format_idc ${chromaFormat}`)
  const separatePlanes = chromaFormat === 3 && reader.flag()
  let widthPx = reader.unsigned()
  let heightPx = reader.unsigned()
  if (reader.flag()) {
    // §7.4.3.2.1: the conformance window counts in chroma samples.
    const unitX = !separatePlanes && (chromaFormat === 1 || chromaFormat === 2) ? 2 : 1
    const unitY = !separatePlanes && chromaFormat === 1 ? 2 : 1
    widthPx -= (reader.unsigned() + reader.unsigned()) * unitX
    heightPx -= (reader.unsigned() + reader.unsigned()) * unitY
  }
  const sane = (px: number): boolean => px > 0 && px <= MAX_DIMENSION_PX
  if (!sane(widthPx) || !sane(heightPx)) {
    throw reader.malformed(`has an impossible picture size of ${widthPx}x${heightPx}`)
  }
  return { widthPx, heightPx }
}

/** profile_tier_level(1, maxSubLayersMinus1), ITU-T H.265 §7.3.3. */
function skipProfileTierLevel(reader: RbspReader, maxSubLayersMinus1: number): void {
  const GENERAL_BITS = 88
  const LEVEL_BITS = 8
  reader.skip(GENERAL_BITS + LEVEL_BITS)
  const present: { profile: boolean; level: boolean }[] = []
  for (let i = 0; i < maxSubLayersMinus1; i++) {
    present.push({ profile: reader.flag(), level: reader.flag() })
  }
  if (maxSubLayersMinus1 > 0) reader.skip(2 * (8 - maxSubLayersMinus1)) // reserved_zero_2bits
  for (const { profile, level } of present) {
    if (profile) reader.skip(GENERAL_BITS)
    if (level) reader.skip(LEVEL_BITS)
  }
}
