import { RbspReader } from './rbsp-reader.ts'

/** What a player, a detector or a muxer must know from an H.265 sequence parameter set. */
export type HevcSps = {
  /** The picture as shown: after the conformance window. */
  readonly widthPx: number
  readonly heightPx: number
  /** 0..15; picture parameter sets name it. */
  readonly id: number
  /** The first 12 bytes of profile_tier_level: profile, compatibility, constraints, level. */
  readonly profileTierLevel: Uint8Array
  readonly temporalLayers: number
  readonly isTemporallyNested: boolean
  /** chroma_format_idc, 0..3. */
  readonly chromaFormat: number
  readonly lumaBits: number
  readonly chromaBits: number
  /** How many pictures may come before one that is shown earlier. */
  readonly reorderPictures: number
}

const MAX_DIMENSION_PX = 16_384
/** MaxDpbSize of any level (A.4.2). */
const MAX_REORDER_PICTURES = 16

/**
 * Parses seq_parameter_set_rbsp as far as the reordering of pictures (ITU-T H.265 §7.3.2.2.1).
 *
 * @param nalUnit the SPS with its two-byte NAL header
 * @throws MalformedMediaError
 */
export function parseHevcSps(nalUnit: Uint8Array): HevcSps {
  const reader = new RbspReader(nalUnit, 2, 'HEVC SPS')
  reader.skip(4) // sps_video_parameter_set_id
  const maxSubLayersMinus1 = reader.bits(3)
  const isTemporallyNested = reader.flag()
  const profileTierLevel = readProfileTierLevel(reader, maxSubLayersMinus1)
  const id = reader.unsigned()
  if (id > 15) throw reader.malformed(`has sps_seq_parameter_set_id ${id}`)
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
  const lumaBits = reader.unsigned() + 8
  const chromaBits = reader.unsigned() + 8
  if (lumaBits > 16 || chromaBits > 16) throw reader.malformed('has more than 16 bits a sample')
  return {
    widthPx,
    heightPx,
    id,
    profileTierLevel,
    temporalLayers: maxSubLayersMinus1 + 1,
    isTemporallyNested,
    chromaFormat,
    lumaBits,
    chromaBits,
    reorderPictures: readReorderPictures(reader, maxSubLayersMinus1),
  }
}

/** sps_max_num_reorder_pics of the highest layer. */
function readReorderPictures(reader: RbspReader, maxSubLayersMinus1: number): number {
  reader.unsigned() // log2_max_pic_order_cnt_lsb_minus4
  const layers = reader.flag() ? maxSubLayersMinus1 + 1 : 1
  let reorderPictures = 0
  for (let i = 0; i < layers; i++) {
    reader.unsigned() // sps_max_dec_pic_buffering_minus1
    reorderPictures = reader.unsigned()
    reader.unsigned() // sps_max_latency_increase_plus1
  }
  return Math.min(reorderPictures, MAX_REORDER_PICTURES)
}

/** profile_tier_level(1, maxSubLayersMinus1), ITU-T H.265 §7.3.3; answers its general part. */
function readProfileTierLevel(reader: RbspReader, maxSubLayersMinus1: number): Uint8Array {
  const GENERAL_BITS = 88
  const LEVEL_BITS = 8
  const general = reader.copy(GENERAL_BITS + LEVEL_BITS)
  const present: { profile: boolean; level: boolean }[] = []
  for (let i = 0; i < maxSubLayersMinus1; i++) {
    present.push({ profile: reader.flag(), level: reader.flag() })
  }
  if (maxSubLayersMinus1 > 0) reader.skip(2 * (8 - maxSubLayersMinus1)) // reserved_zero_2bits
  for (const { profile, level } of present) {
    if (profile) reader.skip(GENERAL_BITS)
    if (level) reader.skip(LEVEL_BITS)
  }
  return general
}
