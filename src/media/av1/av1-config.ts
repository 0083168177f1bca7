import { MalformedMediaError } from '../../domain/errors.ts'
import { BitReader } from '../bit-reader.ts'
import type { PictureSize } from '../vpx/vp8-frame.ts'

const OBU_SEQUENCE_HEADER = 1
const OBU_TEMPORAL_DELIMITER = 2
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
    if (type === OBU_SEQUENCE_HEADER) return readSequenceHeader(obus.subarray(at, at + size))
    offset = at + size
  }
  return null
}

/** §5.5.1, up to the size. */
function readSequenceHeader(bytes: Uint8Array): PictureSize {
  const reader = new BitReader(bytes, 'AV1 sequence header')
  reader.skip(3 + 1) // seq_profile, still_picture
  if (reader.flag())
    reader.skip(5) // reduced_still_picture_header
  else skipOperatingPoints(reader)
  const widthBits = reader.bits(4) + 1
  const heightBits = reader.bits(4) + 1
  return { widthPx: reader.bits(widthBits) + 1, heightPx: reader.bits(heightBits) + 1 }
}

function skipOperatingPoints(reader: BitReader): void {
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
  for (let i = 0; i < points; i++) {
    reader.skip(12)
    if (reader.bits(5) > 7) reader.skip(1) // seq_tier
    if (delayBits !== null && reader.flag()) reader.skip(2 * delayBits + 1)
    if (hasDisplayDelay && reader.flag()) reader.skip(4)
  }
}

/** uvlc(), §4.10.3. */
function skipExpGolomb(reader: BitReader): void {
  let zeros = 0
  while (!reader.flag()) zeros++
  if (zeros < 32) reader.skip(zeros)
}

/** leb128(), §4.10.5. */
function readLeb128(bytes: Uint8Array, start: number): { value: number; end: number } | null {
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
