import { MalformedMediaError } from '../../domain/errors.ts'
import { BitReader } from '../bit-reader.ts'
import type { PictureSize } from './vp8-frame.ts'

/** VPCodecConfigurationRecord, the content of `vpcC` (VP Codec ISO Media File Format Binding, v1.0). */
export type VpConfig = {
  readonly profile: number
  /** Ten times the level; 0 when it is not known. */
  readonly level: number
  readonly bitDepth: number
  readonly chromaSubsampling: number
}

/**
 * ```
 * [version 1, flags 3] | profile 8 | level 8 | depth 4, chroma 3, full range 1 | ... |
 * ```
 * The brackets are of the MP4 box; some encoders send them.
 *
 * @throws MalformedMediaError
 */
export function parseVpConfig(record: Uint8Array): VpConfig {
  const boxed = record[0] === 1 && record[1] === 0 && record[2] === 0 && record[3] === 0
  const at = boxed ? 4 : 0
  if (record.length < at + 3) {
    throw new MalformedMediaError('VP configuration ends early', {
      offset: record.length,
      path: 'vpcC',
    })
  }
  return {
    profile: record[at]!,
    level: record[at + 1]!,
    bitDepth: record[at + 2]! >> 4,
    chromaSubsampling: (record[at + 2]! >> 1) & 7,
  }
}

/**
 * Matroska's CodecPrivate of `V_VP9` is not the MP4 record but a list of features, each an id, a
 * length and a value (WebM Container Guidelines, "VP9 Codec Feature Metadata").
 */
export function toVp9Features(config: VpConfig): Uint8Array {
  const { profile, level, bitDepth, chromaSubsampling } = config
  return Uint8Array.of(1, 1, profile, 2, 1, level, 3, 1, bitDepth, 4, 1, chromaSubsampling)
}

const SYNC_CODE = 0x498342
const COLOR_SPACE_RGB = 7

/**
 * The size in a VP9 key frame's uncompressed header (VP9 Bitstream Specification §6.2).
 *
 * @returns `null` for another frame, or none
 */
export function parseVp9KeyFrame(bytes: Uint8Array): PictureSize | null {
  const HEAD_BYTES = 12
  if (bytes.length < HEAD_BYTES) return null
  const reader = new BitReader(bytes.subarray(0, HEAD_BYTES), 'VP9 frame')
  if (reader.bits(2) !== 2) return null // frame_marker
  const profile = reader.bit() | (reader.bit() << 1)
  if (profile === 3) reader.skip(1)
  if (reader.flag()) return null // show_existing_frame
  if (reader.flag()) return null // frame_type 1: not a key frame
  reader.skip(2) // show_frame, error_resilient_mode
  if (reader.bits(24) !== SYNC_CODE) return null
  if (profile >= 2) reader.skip(1) // ten_or_twelve_bit
  const isRgb = reader.bits(3) === COLOR_SPACE_RGB
  if (!isRgb) reader.skip(1) // color_range
  if (profile === 1 || profile === 3) reader.skip(isRgb ? 1 : 3)
  return { widthPx: reader.bits(16) + 1, heightPx: reader.bits(16) + 1 }
}
