/** What the header of an MPEG-1 or MPEG-2 audio frame says (ISO/IEC 11172-3 §2.4.1.3). */
export type MpegAudioFrame = {
  readonly layer: 1 | 2 | 3
  readonly sampleRateHz: number
  readonly channels: 1 | 2
}

/** By sampling_frequency, of MPEG-1; MPEG-2 halves them and the unofficial 2.5 quarters them. */
const SAMPLE_RATES = [44_100, 48_000, 32_000]

/**
 * ```
 * | sync 11 | version 2 | layer 2 | no crc 1 | bitrate 4 | rate 2 | padding 1 | private 1 | mode 2 | ... |
 * ```
 *
 * @returns `null` for what is no such frame
 */
export function parseMpegAudioFrame(bytes: Uint8Array): MpegAudioFrame | null {
  if (bytes.length < 4 || bytes[0] !== 0xff || (bytes[1]! & 0xe0) !== 0xe0) return null
  const version = (bytes[1]! >> 3) & 3 // 3: MPEG-1, 2: MPEG-2, 0: 2.5
  const layerCode = (bytes[1]! >> 1) & 3 // 3: I, 2: II, 1: III
  const rate = SAMPLE_RATES[(bytes[2]! >> 2) & 3]
  if (version === 1 || layerCode === 0 || rate === undefined) return null
  const divisor = version === 3 ? 1 : version === 2 ? 2 : 4
  return {
    layer: (4 - layerCode) as 1 | 2 | 3,
    sampleRateHz: rate / divisor,
    channels: bytes[3]! >> 6 === 3 ? 1 : 2,
  }
}
