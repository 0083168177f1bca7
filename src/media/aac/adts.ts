import { ServiceError } from '../../domain/errors.ts'
import {
  channelConfigurationOf,
  sampleRateIndexOf,
  sampleRateOf,
  toAudioSpecificConfig,
  type AacConfig,
} from './audio-specific-config.ts'

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

const HEADER_BYTES = 7
const MAX_FRAME_BYTES = 0x1fff

/**
 * The header of a raw data block, without CRC, in the layout above. SBR and PS are not signalled: their
 * decoders find them in the block (ISO/IEC 14496-3 §1.6.5.3).
 *
 * @returns `null` when the block is longer than ADTS can say
 * @throws ServiceError `invalid-argument`/`UnsupportedMedia` when ADTS has no words for the
 *   configuration: other object types, rates or layouts of channels
 */
export function toAdtsHeader(config: AacConfig, blockBytes: number): Uint8Array | null {
  const coreType = config.objectType === 5 || config.objectType === 29 ? 2 : config.objectType
  const rateIndex = sampleRateIndexOf(config.sampleRateHz)
  const layout = channelConfigurationOf(config.channels)
  if (coreType > 4 || rateIndex === null || layout === null || layout > 7) {
    throw new ServiceError(
      'invalid-argument',
      'UnsupportedMedia',
      `ADTS does not carry AAC of object type ${config.objectType} with ${config.channels} channels at ${config.sampleRateHz} Hz.`,
    )
  }
  const length = HEADER_BYTES + blockBytes
  if (length > MAX_FRAME_BYTES) return null
  return Uint8Array.of(
    0xff,
    0xf1, // MPEG-4, no CRC
    ((coreType - 1) << 6) | (rateIndex << 2) | (layout >> 2),
    ((layout & 3) << 6) | (length >> 11),
    (length >> 3) & 0xff,
    ((length & 7) << 5) | 0x1f, // fullness 7FF: not stated
    0xfc,
  )
}
