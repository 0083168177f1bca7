import { RbspReader } from './rbsp-reader.ts'

/** What a player or a detector must know from an H.264 sequence parameter set. */
export type AvcSps = {
  readonly profileIdc: number
  /** constraint_set0_flag is the top bit. */
  readonly constraints: number
  readonly levelIdc: number
  /** The picture as shown: after cropping. */
  readonly widthPx: number
  readonly heightPx: number
  /** Nominal frames per second from the VUI, when it is there. */
  readonly frameRate: number | null
}

/** Beyond this no level of the standard goes; a lying SPS must not size anyone's buffers. */
const MAX_DIMENSION_PX = 16_384

/** Profiles whose SPS has chroma and scaling fields (ITU-T H.264 §7.3.2.1.1). */
const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])

const EXTENDED_SAR = 255

/**
 * Parses seq_parameter_set_data (ITU-T H.264 §7.3.2.1.1).
 *
 * @param nalUnit the SPS with its one-byte NAL header
 * @throws MalformedMediaError
 */
export function parseAvcSps(nalUnit: Uint8Array): AvcSps {
  const reader = new RbspReader(nalUnit, 1, 'SPS')
  const profileIdc = reader.bits(8)
  const constraints = reader.bits(8)
  const levelIdc = reader.bits(8)
  reader.unsigned() // seq_parameter_set_id

  const chroma = HIGH_PROFILES.has(profileIdc) ? readHighProfileFields(reader) : CHROMA_420

  reader.unsigned() // log2_max_frame_num_minus4
  skipPictureOrderCount(reader)
  reader.unsigned() // max_num_ref_frames
  reader.skip(1) // gaps_in_frame_num_value_allowed_flag
  const widthInMbs = reader.unsigned() + 1
  const heightInMapUnits = reader.unsigned() + 1
  const frameMbsOnly = reader.bit()
  if (frameMbsOnly === 0) reader.skip(1) // mb_adaptive_frame_field_flag
  reader.skip(1) // direct_8x8_inference_flag

  // §7.4.2.1.1, frame_crop_*: in units of chroma samples, and of two lines in field coding.
  const crop = { left: 0, right: 0, top: 0, bottom: 0 }
  if (reader.flag()) {
    crop.left = reader.unsigned()
    crop.right = reader.unsigned()
    crop.top = reader.unsigned()
    crop.bottom = reader.unsigned()
  }
  const widthPx = widthInMbs * 16 - (crop.left + crop.right) * chroma.cropUnitX
  const heightPx =
    (2 - frameMbsOnly) * (heightInMapUnits * 16 - (crop.top + crop.bottom) * chroma.cropUnitY)
  const sane = (px: number): boolean => px > 0 && px <= MAX_DIMENSION_PX
  if (!sane(widthPx) || !sane(heightPx)) {
    throw reader.malformed(`has an impossible picture size of ${widthPx}x${heightPx}`)
  }

  const frameRate = reader.flag() ? readVuiFrameRate(reader) : null
  return { profileIdc, constraints, levelIdc, widthPx, heightPx, frameRate }
}

type ChromaUnits = { readonly cropUnitX: number; readonly cropUnitY: number }

const CHROMA_420: ChromaUnits = { cropUnitX: 2, cropUnitY: 2 }

function readHighProfileFields(reader: RbspReader): ChromaUnits {
  const chromaFormat = reader.unsigned()
  if (chromaFormat > 3) throw reader.malformed(`has chroma_format_idc ${chromaFormat}`)
  const separatePlanes = chromaFormat === 3 && reader.flag()
  reader.unsigned() // bit_depth_luma_minus8
  reader.unsigned() // bit_depth_chroma_minus8
  reader.skip(1) // qpprime_y_zero_transform_bypass_flag
  if (reader.flag()) {
    const lists = chromaFormat === 3 ? 12 : 8
    for (let i = 0; i < lists; i++) if (reader.flag()) skipScalingList(reader, i < 6 ? 16 : 64)
  }
  // §6.2, Table 6-1: SubWidthC and SubHeightC; ChromaArrayType 0 crops in luma samples.
  if (separatePlanes || chromaFormat === 0 || chromaFormat === 3) {
    return { cropUnitX: 1, cropUnitY: 1 }
  }
  return chromaFormat === 1 ? CHROMA_420 : { cropUnitX: 2, cropUnitY: 1 }
}

/** ITU-T H.264 §7.3.2.1.1.1. */
function skipScalingList(reader: RbspReader, size: number): void {
  let last = 8
  let next = 8
  for (let i = 0; i < size; i++) {
    if (next !== 0) next = (last + reader.signed() + 256) % 256
    if (next !== 0) last = next
  }
}

function skipPictureOrderCount(reader: RbspReader): void {
  const type = reader.unsigned()
  if (type === 0) {
    reader.unsigned() // log2_max_pic_order_cnt_lsb_minus4
    return
  }
  if (type !== 1) return
  reader.skip(1) // delta_pic_order_always_zero_flag
  reader.signed() // offset_for_non_ref_pic
  reader.signed() // offset_for_top_to_bottom_field
  const frames = reader.unsigned()
  if (frames > 255) throw reader.malformed(`counts ${frames} frames in an order cycle`)
  for (let i = 0; i < frames; i++) reader.signed()
}

/** The part of vui_parameters (Annex E.1.1) up to the timing. */
function readVuiFrameRate(reader: RbspReader): number | null {
  if (reader.flag() && reader.bits(8) === EXTENDED_SAR) reader.skip(32)
  if (reader.flag()) reader.skip(1) // overscan_appropriate_flag
  if (reader.flag()) {
    reader.skip(4) // video_format, video_full_range_flag
    if (reader.flag()) reader.skip(24) // colour description
  }
  if (reader.flag()) {
    reader.unsigned() // chroma_sample_loc_type_top_field
    reader.unsigned()
  }
  if (!reader.flag()) return null
  const unitsInTick = reader.bits(32)
  const timeScale = reader.bits(32)
  // E.2.1: a frame lasts two ticks.
  return unitsInTick > 0 && timeScale > 0 ? timeScale / (2 * unitsInTick) : null
}
