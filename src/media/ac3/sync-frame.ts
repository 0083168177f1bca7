/** What the head of an AC-3 or E-AC-3 frame says (ETSI TS 102 366 §4.3, §4.4 and Annex E.1.2). */
export type Ac3Frame = { readonly sampleRateHz: number; readonly channels: number }

/** §4.4.1.3 fscod. */
const SAMPLE_RATES = [48_000, 44_100, 32_000]
/** §4.4.2.3 acmod, without the low-frequency channel. */
const CHANNELS = [2, 1, 2, 3, 3, 4, 4, 5]
/** Above it, bsid says E-AC-3 (Annex E.1.3.1.6). */
const LAST_AC3_BSID = 10

/**
 * ```
 * AC-3:   | 0B77 | crc 16 | fscod 2, frmsizecod 6 | bsid 5, bsmod 3 | acmod 3 [mix levels 2 each] lfe 1 |
 * E-AC-3: | 0B77 | strmtyp 2, id 3, frmsiz 11 | fscod 2, fscod2 or numblks 2, acmod 3, lfe 1 | bsid 5 |
 * ```
 *
 * @returns `null` for what is no such frame
 */
export function parseAc3Frame(bytes: Uint8Array): Ac3Frame | null {
  if (bytes.length < 8 || bytes[0] !== 0x0b || bytes[1] !== 0x77) return null
  const isEnhanced = bytes[5]! >> 3 > LAST_AC3_BSID
  const rateCode = bytes[4]! >> 6
  if (isEnhanced) {
    const halfRate = SAMPLE_RATES[(bytes[4]! >> 4) & 3]
    const full = SAMPLE_RATES[rateCode]
    const sampleRateHz = full ?? (halfRate === undefined ? undefined : halfRate / 2)
    if (sampleRateHz === undefined) return null
    return { sampleRateHz, channels: CHANNELS[(bytes[4]! >> 1) & 7]! + (bytes[4]! & 1) }
  }
  const sampleRateHz = SAMPLE_RATES[rateCode]
  if (sampleRateHz === undefined) return null
  const mode = bytes[6]! >> 5
  // §4.3.2: mix levels stand between acmod and lfeon for some modes.
  let bit = 3
  if ((mode & 1) !== 0 && mode !== 1) bit += 2 // cmixlev: three front channels
  if ((mode & 4) !== 0) bit += 2 // surmixlev: a surround channel
  if (mode === 2) bit += 2 // dsurmod: stereo
  const hasLowFrequency = ((bytes[6 + (bit >> 3)]! >> (7 - (bit & 7))) & 1) === 1
  return { sampleRateHz, channels: CHANNELS[mode]! + (hasLowFrequency ? 1 : 0) }
}
