import type { AvcSliceFields } from './avc-sps.ts'
import { RbspReader } from './rbsp-reader.ts'

/** The start of a slice header (ITU-T H.264 §7.3.3): all that does not need its parameter sets. */
export type AvcSliceStart = {
  /** 0 where a picture begins, unless slices come in any order. */
  readonly firstMb: number
  /** slice_type mod 5: 0 P, 1 B, 2 I, 3 SP, 4 SI. */
  readonly type: number
  readonly ppsId: number
}

/** Long enough for every field that is read here, emulation prevention included. */
const HEADER_BYTES = 48

/** @throws MalformedMediaError */
export function parseAvcSliceStart(nalUnit: Uint8Array): AvcSliceStart {
  return readStart(headerReader(nalUnit))
}

/**
 * pic_order_cnt_lsb of a slice, `null` where order is not counted in slice headers.
 *
 * @throws MalformedMediaError
 */
export function parseAvcPictureOrder(nalUnit: Uint8Array, sps: AvcSliceFields): number | null {
  if (sps.pictureOrderType !== 0) return null
  const reader = headerReader(nalUnit)
  readStart(reader)
  if (sps.separatePlanes) reader.skip(2) // colour_plane_id
  reader.skip(sps.frameNumBits)
  if (!sps.frameMbsOnly && reader.flag()) reader.skip(1) // bottom_field_flag
  if ((nalUnit[0]! & 0x1f) === IDR) reader.unsigned() // idr_pic_id
  return reader.bits(sps.pictureOrderBits)
}

const IDR = 5

function headerReader(nalUnit: Uint8Array): RbspReader {
  return new RbspReader(nalUnit.subarray(0, HEADER_BYTES), 1, 'slice header')
}

function readStart(reader: RbspReader): AvcSliceStart {
  const firstMb = reader.unsigned()
  const type = reader.unsigned() % 5
  const ppsId = reader.unsigned()
  return { firstMb, type, ppsId }
}

/** The ids at the start of a picture parameter set (§7.3.2.2). @throws MalformedMediaError */
export function parseAvcPpsIds(nalUnit: Uint8Array): { id: number; spsId: number } {
  const reader = new RbspReader(nalUnit.subarray(0, HEADER_BYTES), 1, 'PPS')
  const id = reader.unsigned()
  const spsId = reader.unsigned()
  if (id > 255 || spsId > 31) throw reader.malformed(`has id ${id} and SPS ${spsId}`)
  return { id, spsId }
}
