import { sampleRateOf, toAudioSpecificConfig } from './audio-specific-config.ts'

/** One ADTS frame: a header and, as everybody writes it, one raw data block (ISO/IEC 14496-3 §1.A.2). */
export type AdtsFrame = {
  /** Where its raw data block lies. */
  readonly start: number
  readonly end: number
  /** AudioSpecificConfig of the same meaning. */
  readonly config: Uint8Array
}

/** Whether `bytes` begins as an ADTS header does: twelve ones, layer 0. */
export function startsWithAdts(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && (bytes[1]! & 0xf6) === 0xf0
}

/**
 * ```
 * | syncword 12 | id 1 | layer 2 | protection_absent 1 | profile 2 | rate index 4 | private 1 |
 * | channels 3 | 4 | frame length 13, header included | fullness 11 | blocks - 1 2 | [CRC 16] |
 * ```
 *
 * @returns `null` when there is no whole frame with one block at `offset`
 */
export function parseAdtsFrame(bytes: Uint8Array, offset: number): AdtsFrame | null {
  const header = bytes.subarray(offset, offset + 7)
  if (header.length < 7 || !startsWithAdts(header)) return null
  const length = ((header[3]! & 3) << 11) | (header[4]! << 3) | (header[5]! >> 5)
  const headerBytes = (header[1]! & 1) === 1 ? 7 : 9
  const sampleRateHz = sampleRateOf((header[2]! >> 2) & 0x0f)
  const isOneBlock = (header[6]! & 3) === 0
  if (length <= headerBytes || offset + length > bytes.length) return null
  if (sampleRateHz === null || !isOneBlock) return null
  const config = toAudioSpecificConfig({
    objectType: (header[2]! >> 6) + 1,
    sampleRateHz,
    channelConfiguration: ((header[2]! & 1) << 2) | (header[3]! >> 6),
  })
  return config === null ? null : { start: offset + headerBytes, end: offset + length, config }
}
