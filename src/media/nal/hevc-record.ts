import { withLength16 } from './avc-record.ts'
import type { HevcSps } from './hevc-sps.ts'

/**
 * Writes an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1) with four-byte NAL lengths
 * from parameter sets as they came.
 *
 * @param sets by NAL unit type: VPS 32, SPS 33, PPS 34; types without a set are left out
 * @param sps what the SPS in use says
 */
export function toHevcRecord(
  sets: readonly { readonly type: number; readonly units: readonly Uint8Array[] }[],
  sps: HevcSps,
): Uint8Array {
  const arrays = sets.filter(({ units }) => units.length > 0)
  const fixed = new Uint8Array(23)
  fixed[0] = 1
  fixed.set(sps.profileTierLevel, 1)
  fixed[13] = 0xf0 // min_spatial_segmentation_idc 0: not known
  fixed[15] = 0xfc // parallelismType 0: not known
  fixed[16] = 0xfc | sps.chromaFormat
  fixed[17] = 0xf8 | (sps.lumaBits - 8)
  fixed[18] = 0xf8 | (sps.chromaBits - 8)
  // avgFrameRate and constantFrameRate 0: not known.
  fixed[21] = (sps.temporalLayers << 3) | (sps.isTemporallyNested ? 4 : 0) | 3
  fixed[22] = arrays.length
  const parts = arrays.flatMap(({ type, units }) => [
    Uint8Array.of(0x80 | type, units.length >> 8, units.length & 0xff), // complete: none in band
    ...units.flatMap(withLength16),
  ])
  return Uint8Array.from(Buffer.concat([fixed, ...parts]))
}
