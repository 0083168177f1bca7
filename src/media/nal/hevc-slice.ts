import { RbspReader } from './rbsp-reader.ts'

/** NAL unit types of pictures at which decoding may begin: BLA, IDR, CRA (ITU-T H.265 §7.4.2.2). */
export function isHevcRandomAccess(nalType: number): boolean {
  return nalType >= 16 && nalType <= 21
}

/** nal_unit_type of the two-byte header (§7.3.1.2). */
export function hevcNalType(header: number): number {
  return (header >> 1) & 0x3f
}

/** The start of slice_segment_header (§7.3.6.1). */
export type HevcSliceStart = {
  /** first_slice_segment_in_pic_flag */
  readonly isFirst: boolean
  readonly ppsId: number
}

/** Long enough for every field that is read here, emulation prevention included. */
const HEADER_BYTES = 32

/** @throws MalformedMediaError */
export function parseHevcSliceStart(nalUnit: Uint8Array): HevcSliceStart {
  const reader = new RbspReader(nalUnit.subarray(0, HEADER_BYTES), 2, 'slice segment header')
  const isFirst = reader.flag()
  const type = hevcNalType(nalUnit[0]!)
  if (type >= 16 && type <= 23) reader.skip(1) // no_output_of_prior_pics_flag
  return { isFirst, ppsId: reader.unsigned() }
}

/** The ids at the start of a picture parameter set (§7.3.2.3). @throws MalformedMediaError */
export function parseHevcPpsIds(nalUnit: Uint8Array): { id: number; spsId: number } {
  const reader = new RbspReader(nalUnit.subarray(0, HEADER_BYTES), 2, 'HEVC PPS')
  const id = reader.unsigned()
  const spsId = reader.unsigned()
  if (id > 63 || spsId > 15) throw reader.malformed(`has id ${id} and SPS ${spsId}`)
  return { id, spsId }
}
