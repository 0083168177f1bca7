import { MalformedMediaError } from '../../domain/errors.ts'
import type { AvcRecordChroma } from './avc-record.ts'
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
  /** 0..31; picture parameter sets name it. */
  readonly id: number
  /** Of the high profiles; `null` for those that are 4:2:0 with 8 bits by definition. */
  readonly chroma: AvcRecordChroma | null
  /** What a slice header cannot be read without. */
  readonly slices: AvcSliceFields
  /**
   * How many pictures may come before one that is shown earlier: from the VUI, or 0 where nothing
   * can be reordered. `null` where the stream does not say.
   */
  readonly reorderPictures: number | null
}

export type AvcSliceFields = {
  readonly separatePlanes: boolean
  readonly frameNumBits: number
  readonly frameMbsOnly: boolean
  /** pic_order_cnt_type: 0 counts in slice headers, 1 by a cycle, 2 in decode order. */
  readonly pictureOrderType: number
  /** Of pic_order_cnt_lsb; 0 for other types than 0. */
  readonly pictureOrderBits: number
}

/** Beyond this no level of the standard goes; a lying SPS must not size anyone's buffers. */
const MAX_DIMENSION_PX = 16_384

/** Profiles whose SPS has chroma and scaling fields (ITU-T H.264 §7.3.2.1.1). */
const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])

const EXTENDED_SAR = 255

/** MaxDpbFrames of any level (A.3.1). */
const MAX_REORDER_PICTURES = 16

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
  const id = reader.unsigned()
  if (id > 31) throw reader.malformed(`has seq_parameter_set_id ${id}`)

  const chroma = HIGH_PROFILES.has(profileIdc) ? readHighProfileFields(reader) : CHROMA_420

  const frameNumBits = reader.unsigned() + 4
  const order = readPictureOrderCount(reader)
  if (frameNumBits > 16 || order.bits > 16) throw reader.malformed('counts in too many bits')
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

  const vui = reader.flag() ? readVui(reader) : NO_VUI
  const cannotReorder = order.type === 2 || isWithoutReordering(profileIdc, constraints)
  return {
    profileIdc,
    constraints,
    levelIdc,
    widthPx,
    heightPx,
    frameRate: vui.frameRate,
    id,
    chroma: chroma.record,
    slices: {
      separatePlanes: chroma.separatePlanes,
      frameNumBits,
      frameMbsOnly: frameMbsOnly === 1,
      pictureOrderType: order.type,
      pictureOrderBits: order.bits,
    },
    reorderPictures: cannotReorder ? 0 : vui.reorderPictures,
  }
}

/** Baseline has no B slices, the intra profiles nothing but I (Annex A.2). */
function isWithoutReordering(profileIdc: number, constraints: number): boolean {
  if (profileIdc === 66 || profileIdc === 44) return true
  return [100, 110, 122, 244].includes(profileIdc) && (constraints & 0x10) !== 0
}

type ChromaUnits = {
  readonly cropUnitX: number
  readonly cropUnitY: number
  readonly separatePlanes: boolean
  readonly record: AvcRecordChroma | null
}

const CHROMA_420: ChromaUnits = {
  cropUnitX: 2,
  cropUnitY: 2,
  separatePlanes: false,
  record: null,
}

function readHighProfileFields(reader: RbspReader): ChromaUnits {
  const chromaFormat = reader.unsigned()
  if (chromaFormat > 3) throw reader.malformed(`has chroma_format_idc ${chromaFormat}`)
  const separatePlanes = chromaFormat === 3 && reader.flag()
  const lumaBits = reader.unsigned() + 8
  const chromaBits = reader.unsigned() + 8
  if (lumaBits > 14 || chromaBits > 14) throw reader.malformed('has more than 14 bits a sample')
  reader.skip(1) // qpprime_y_zero_transform_bypass_flag
  if (reader.flag()) {
    const lists = chromaFormat === 3 ? 12 : 8
    for (let i = 0; i < lists; i++) if (reader.flag()) skipScalingList(reader, i < 6 ? 16 : 64)
  }
  // §6.2, Table 6-1: SubWidthC and SubHeightC; ChromaArrayType 0 crops in luma samples.
  const isSubsampled = !separatePlanes && (chromaFormat === 1 || chromaFormat === 2)
  return {
    cropUnitX: isSubsampled ? 2 : 1,
    cropUnitY: isSubsampled && chromaFormat === 1 ? 2 : 1,
    separatePlanes,
    record: { format: chromaFormat, lumaBits, chromaBits },
  }
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

function readPictureOrderCount(reader: RbspReader): { type: number; bits: number } {
  const type = reader.unsigned()
  if (type === 0) return { type, bits: reader.unsigned() + 4 }
  if (type !== 1) return { type, bits: 0 }
  reader.skip(1) // delta_pic_order_always_zero_flag
  reader.signed() // offset_for_non_ref_pic
  reader.signed() // offset_for_top_to_bottom_field
  const frames = reader.unsigned()
  if (frames > 255) throw reader.malformed(`counts ${frames} frames in an order cycle`)
  for (let i = 0; i < frames; i++) reader.signed()
  return { type, bits: 0 }
}

type Vui = { readonly frameRate: number | null; readonly reorderPictures: number | null }

const NO_VUI: Vui = { frameRate: null, reorderPictures: null }

/** vui_parameters (Annex E.1.1). A picture can be shown without it, so one that is cut is none. */
function readVui(reader: RbspReader): Vui {
  let frameRate: number | null = null
  try {
    frameRate = readFrameRate(reader)
    return { frameRate, reorderPictures: readReorderPictures(reader) }
  } catch (error) {
    if (!(error instanceof MalformedMediaError)) throw error
    return { frameRate, reorderPictures: null }
  }
}

function readFrameRate(reader: RbspReader): number | null {
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
  reader.skip(1) // fixed_frame_rate_flag
  // E.2.1: a frame lasts two ticks.
  return unitsInTick > 0 && timeScale > 0 ? timeScale / (2 * unitsInTick) : null
}

/** What follows the timing: hrd_parameters (E.1.2) and bitstream_restriction. */
function readReorderPictures(reader: RbspReader): number | null {
  const hasNalHrd = reader.flag()
  if (hasNalHrd) skipHrd(reader)
  const hasVclHrd = reader.flag()
  if (hasVclHrd) skipHrd(reader)
  if (hasNalHrd || hasVclHrd) reader.skip(1) // low_delay_hrd_flag
  reader.skip(1) // pic_struct_present_flag
  if (!reader.flag()) return null
  reader.skip(1) // motion_vectors_over_pic_boundaries_flag
  for (let i = 0; i < 4; i++) reader.unsigned() // bytes, bits and vector lengths
  const reorderPictures = reader.unsigned()
  return reorderPictures <= MAX_REORDER_PICTURES ? reorderPictures : null
}

function skipHrd(reader: RbspReader): void {
  const count = reader.unsigned() + 1
  if (count > 32) throw reader.malformed(`has ${count} coded picture buffers`)
  reader.skip(8) // bit_rate_scale, cpb_size_scale
  for (let i = 0; i < count; i++) {
    reader.unsigned()
    reader.unsigned()
    reader.skip(1)
  }
  reader.skip(20) // delay and time offset lengths
}
