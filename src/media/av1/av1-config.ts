import { MalformedMediaError } from '../../domain/errors.ts'
import { BitReader } from '../bit-reader.ts'
import type { PictureSize } from '../vpx/vp8-frame.ts'

export const OBU_SEQUENCE_HEADER = 1
export const OBU_TEMPORAL_DELIMITER = 2
const AV1C_BYTES = 4

/**
 * The OBUs of an AV1CodecConfigurationRecord, the content of `av1C` and Matroska's CodecPrivate of
 * `V_AV1` alike (AV1 ISO Media File Format Binding §2.3.3). There may be none.
 *
 * ```
 * | marker 1, version 7 | profile 3, level 5 | tier 1, ... chroma 2 | ... | OBUs ... |
 * ```
 *
 * @throws MalformedMediaError
 */
export function parseAv1Config(record: Uint8Array): { readonly obus: Uint8Array } {
  if (record.length < AV1C_BYTES) throw malformed('ends early', record.length)
  if (record[0] !== 0x81) throw malformed('has another version', 0)
  return { obus: record.subarray(AV1C_BYTES) }
}

/** A temporal unit as Matroska stores it: without its delimiter (Matroska AV1, "Block Data"). */
export function withoutTemporalDelimiter(unit: Uint8Array): Uint8Array {
  const isDelimiter = (unit[0] ?? 0) >> 3 === OBU_TEMPORAL_DELIMITER && unit[1] === 0
  return isDelimiter ? unit.subarray(2) : unit
}

/**
 * The picture's size in the first sequence header among these OBUs (AV1 Bitstream §5.3, §5.5).
 *
 * @returns `null` when there is none
 * @throws MalformedMediaError
 */
export function findAv1PictureSize(obus: Uint8Array): PictureSize | null {
  for (let offset = 0; offset < obus.length;) {
    const first = obus[offset]!
    const type = (first >> 3) & 15
    let at = offset + ((first & 4) === 0 ? 1 : 2)
    let size = obus.length - at
    if ((first & 2) !== 0) {
      const field = readLeb128(obus, at)
      if (field === null) return null
      at = field.end
      size = field.value
    }
    if (size < 0 || at + size > obus.length) return null
    if (type === OBU_SEQUENCE_HEADER) {
      return pictureSizeOf(parseAv1SequenceHeader(obus.subarray(at, at + size)))
    }
    offset = at + size
  }
  return null
}

function pictureSizeOf({ widthPx, heightPx }: Av1SequenceHeader): PictureSize {
  return { widthPx, heightPx }
}

/** What a sequence header says (§5.5.1, §5.5.2), in the fields of an av1C. */
export type Av1SequenceHeader = PictureSize & {
  readonly profile: number
  /** seq_level_idx and seq_tier of the first operating point. */
  readonly level: number
  readonly tier: number
  /** high_bitdepth, twelve_bit, mono_chrome, subsampling x and y, sample position: 7 bits in all. */
  readonly colour: number
}

/**
 * @param bytes the OBU's payload
 * @throws MalformedMediaError
 */
export function parseAv1SequenceHeader(bytes: Uint8Array): Av1SequenceHeader {
  const reader = new BitReader(bytes, 'AV1 sequence header')
  const profile = reader.bits(3)
  reader.skip(1) // still_picture
  const isReduced = reader.flag()
  const { level, tier } = isReduced
    ? { level: reader.bits(5), tier: 0 }
    : readOperatingPoints(reader)
  const widthBits = reader.bits(4) + 1
  const heightBits = reader.bits(4) + 1
  const widthPx = reader.bits(widthBits) + 1
  const heightPx = reader.bits(heightBits) + 1
  if (!isReduced && reader.flag()) reader.skip(7) // frame id lengths
  reader.skip(3) // superblock size, filter intra, intra edge filter
  if (!isReduced) skipTools(reader)
  reader.skip(3) // superres, cdef, restoration
  return { profile, level, tier, widthPx, heightPx, colour: readColour(reader, profile) }
}

/**
 * AV1CodecConfigurationRecord of a sequence header OBU, which has its size field.
 *
 * ```
 * | marker 1, version 7 | profile 3, level 5 | tier 1, colour 7 | 000, no delay 1, 0000 | OBU ... |
 * ```
 */
export function toAv1Record(header: Av1SequenceHeader, obu: Uint8Array): Uint8Array {
  const { profile, level, tier, colour } = header
  return Uint8Array.from([0x81, (profile << 5) | level, (tier << 7) | colour, 0, ...obu])
}

/** From enable_interintra_compound to order_hint_bits. */
function skipTools(reader: BitReader): void {
  reader.skip(4) // interintra, masked compound, warped motion, dual filter
  const hasOrderHint = reader.flag()
  if (hasOrderHint) reader.skip(2) // jnt_comp, ref_frame_mvs
  const choosesScreenContent = reader.flag()
  const screenContent = choosesScreenContent ? 2 : reader.bit()
  if (screenContent > 0 && !reader.flag()) reader.skip(1) // seq_force_integer_mv
  if (hasOrderHint) reader.skip(3)
}

/** color_config(), §5.5.2. */
function readColour(reader: BitReader, profile: number): number {
  const isHigh = reader.bit()
  const isTwelve = profile === 2 && isHigh === 1 ? reader.bit() : 0
  const isMono = profile === 1 ? 0 : reader.bit()
  const isSrgb = reader.flag() && reader.bits(24) === SRGB
  const depths = (isHigh << 6) | (isTwelve << 5) | (isMono << 4)
  if (isMono === 1) return depths | 0b1100
  if (isSrgb) return depths
  reader.skip(1) // color_range
  const [x, y] = readSubsampling(reader, { profile, isTwelve: isTwelve === 1 })
  const position = x === 1 && y === 1 ? reader.bits(2) : 0
  return depths | (x << 3) | (y << 2) | position
}

/** BT.709 primaries, the sRGB transfer, the identity matrix. */
const SRGB = (1 << 16) | (13 << 8)

function readSubsampling(
  reader: BitReader,
  { profile, isTwelve }: { readonly profile: number; readonly isTwelve: boolean },
): readonly [x: number, y: number] {
  if (profile === 0) return [1, 1]
  if (profile === 1) return [0, 0]
  if (!isTwelve) return [1, 0]
  const x = reader.bit()
  return [x, x === 1 ? reader.bit() : 0]
}

/** Level and tier of the first one. */
function readOperatingPoints(reader: BitReader): { level: number; tier: number } {
  let delayBits: number | null = null
  if (reader.flag()) {
    reader.skip(64) // timing_info: two of 32 bits
    if (reader.flag()) skipExpGolomb(reader) // equal_picture_interval
    if (reader.flag()) {
      delayBits = reader.bits(5) + 1 // decoder_model_info
      reader.skip(32 + 5 + 5)
    }
  }
  const hasDisplayDelay = reader.flag()
  const points = reader.bits(5) + 1
  let first: { level: number; tier: number } | null = null
  for (let i = 0; i < points; i++) {
    reader.skip(12)
    const level = reader.bits(5)
    const tier = level > 7 ? reader.bit() : 0
    first ??= { level, tier }
    if (delayBits !== null && reader.flag()) reader.skip(2 * delayBits + 1)
    if (hasDisplayDelay && reader.flag()) reader.skip(4)
  }
  return first!
}

/** uvlc(), §4.10.3. */
function skipExpGolomb(reader: BitReader): void {
  let zeros = 0
  while (!reader.flag()) zeros++
  if (zeros < 32) reader.skip(zeros)
}

/** leb128(), §4.10.5. */
export function readLeb128(
  bytes: Uint8Array,
  start: number,
): { value: number; end: number } | null {
  let value = 0
  for (let i = 0; i < 8; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) return null
    value += (byte & 0x7f) * 2 ** (7 * i)
    if ((byte & 0x80) === 0) return { value, end: start + i + 1 }
  }
  return null
}

function malformed(what: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(`AV1 configuration ${what}`, { offset, path: 'av1C' })
}
