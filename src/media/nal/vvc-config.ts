import { BitReader } from '../bit-reader.ts'

/**
 * What ingest needs of a VvcDecoderConfigurationRecord, the content of `vvcC` (ISO/IEC 14496-15
 * §11.2.4.2): the length of its NAL lengths, and the largest picture where the record tells.
 */
export type VvcConfig = {
  readonly nalLengthBytes: number
  readonly picture: { readonly widthPx: number; readonly heightPx: number } | null
}

/**
 * ```
 * | 1s 5, length - 1, 2, has PTL 1 |
 * PTL: | OLS 9, sublayers 3, rate 2, chroma 2, depth 3, 1s 5 |
 *      | 0 2, constraint bytes 6, profile 7, tier 1, level 8, flags 2 | constraints ... |
 *      | sublayer levels ... | sub-profiles 8, 32 each | width 16 | height 16 | rate 16 |
 * ```
 *
 * @throws MalformedMediaError
 */
export function parseVvcConfig(record: Uint8Array): VvcConfig {
  const reader = new BitReader(record, 'vvcC')
  if (reader.bits(5) !== 0x1f) throw reader.malformed('begins otherwise')
  const nalLengthBytes = reader.bits(2) + 1
  if (!reader.flag()) return { nalLengthBytes, picture: null }
  reader.skip(9)
  const sublayers = reader.bits(3)
  reader.skip(2 + 2 + 3 + 5 + 2)
  const constraintBytes = reader.bits(6)
  reader.skip(7 + 1 + 8 + 8 * constraintBytes) // two flags, and constraints of 8n - 2 bits
  let levels = 0
  for (let i = sublayers - 2; i >= 0; i--) levels += reader.bit()
  if (sublayers > 1) reader.skip(9 - sublayers)
  reader.skip(8 * levels)
  reader.skip(32 * reader.bits(8))
  const [widthPx, heightPx] = [reader.bits(16), reader.bits(16)]
  return { nalLengthBytes, picture: widthPx > 0 && heightPx > 0 ? { widthPx, heightPx } : null }
}
