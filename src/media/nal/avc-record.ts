/**
 * Writes an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1) with four-byte NAL lengths from
 * parameter sets as they came.
 *
 * @param sps at least one; the first is the one in use
 * @param chroma of the first SPS; the high profiles' records end with it
 */
export function toAvcRecord(
  sps: readonly Uint8Array[],
  pps: readonly Uint8Array[],
  chroma: AvcRecordChroma | null,
): Uint8Array {
  const first = sps[0]!
  const spsHere = sps.slice(0, MAX_SPS)
  const ppsHere = pps.slice(0, MAX_PPS)
  const parts: Uint8Array[] = [
    Uint8Array.of(1, first[1]!, first[2]!, first[3]!, 0xff, 0xe0 | spsHere.length),
    ...spsHere.flatMap(withLength16),
    Uint8Array.of(ppsHere.length),
    ...ppsHere.flatMap(withLength16),
  ]
  if (chroma !== null) {
    const { format, lumaBits, chromaBits } = chroma
    parts.push(Uint8Array.of(0xfc | format, 0xf8 | (lumaBits - 8), 0xf8 | (chromaBits - 8), 0))
  }
  return Uint8Array.from(Buffer.concat(parts))
}

export type AvcRecordChroma = {
  /** chroma_format_idc, 0..3. */
  readonly format: number
  readonly lumaBits: number
  readonly chromaBits: number
}

const MAX_SPS = 31
const MAX_PPS = 255

/** A parameter set behind its size in 16 bits. */
export function withLength16(nalUnit: Uint8Array): readonly Uint8Array[] {
  return [Uint8Array.of(nalUnit.length >> 8, nalUnit.length & 0xff), nalUnit]
}
