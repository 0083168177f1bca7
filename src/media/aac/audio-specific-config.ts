import { MalformedMediaError } from '../../domain/errors.ts'

/** What AudioSpecificConfig says (ISO/IEC 14496-3 §1.6.2.1). */
export type AacConfig = {
  /** 2 = AAC LC, 5 = SBR, 29 = PS; the one that is signalled first. */
  readonly objectType: number
  /** Of the core coder: one raw data block holds 1024 samples of it (960 in a few). */
  readonly sampleRateHz: number
  /** 0 when a program_config_element inside says it. */
  readonly channels: number
}

/** ISO/IEC 14496-3 Table 1.18; the two missing entries are reserved, 15 is the escape. */
const SAMPLE_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
  7_350,
]
const RATE_ESCAPE = 15
const TYPE_ESCAPE = 31

/** Table 1.19 by channelConfiguration; reserved ones are 0. */
const CHANNELS = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0]

/**
 * ```
 * | audioObjectType 5 [31: + 6] | samplingFrequencyIndex 4 [15: + 24] | channelConfiguration 4 | ...
 * ```
 *
 * @throws MalformedMediaError
 */
export function parseAudioSpecificConfig(record: Uint8Array): AacConfig {
  let bit = 0
  const read = (count: number): number => {
    if (bit + count > record.length * 8) {
      throw malformed(`ends after ${record.length} bytes`, record.length)
    }
    let value = 0
    for (const end = bit + count; bit < end; bit++) {
      value = value * 2 + ((record[bit >> 3]! >> (7 - (bit & 7))) & 1)
    }
    return value
  }

  let objectType = read(5)
  if (objectType === TYPE_ESCAPE) objectType = 32 + read(6)
  if (objectType === 0) throw malformed('has object type 0', 0)
  const rateIndex = read(4)
  const sampleRateHz = rateIndex === RATE_ESCAPE ? read(24) : SAMPLE_RATES[rateIndex]
  if (sampleRateHz === undefined || sampleRateHz === 0) {
    throw malformed(`has sampling frequency index ${rateIndex}`, 0)
  }
  return { objectType, sampleRateHz, channels: CHANNELS[read(4)]! }
}

/** RFC 6381 §3.3: `mp4a.40.` and the object type in decimal. */
export function toAacCodecString(config: Pick<AacConfig, 'objectType'>): string {
  return `mp4a.40.${config.objectType}`
}

function malformed(what: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(`AAC configuration ${what}`, {
    offset,
    path: 'AudioSpecificConfig',
  })
}
