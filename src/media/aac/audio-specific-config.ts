import { BitReader } from '../bit-reader.ts'

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
const PATH = 'AudioSpecificConfig'
const RATE_ESCAPE = 15
const TYPE_ESCAPE = 31

const SBR = 5
const ER_BSAC = 22
const PS = 29
/** Object types that are configured by GASpecificConfig (§1.6.2.1). */
const GENERAL_AUDIO = new Set([1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23])
const RESILIENT = new Set([17, 19, 20, 23])

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
  const { objectType, sampleRateHz, channels } = readStart(new BitReader(record, PATH))
  return { objectType, sampleRateHz, channels }
}

/** What a raw data block's duration takes besides, and where the configuration ends. */
export type WholeAacConfig = AacConfig & {
  /** Samples of the core coder in one raw data block: 1024 or 960. */
  readonly blockSamples: number
}

/**
 * Reads a whole configuration, as LATM needs to find its end; the reader stands behind it afterwards.
 *
 * @throws MalformedMediaError also for the object types that are no AAC
 */
export function readAudioSpecificConfig(reader: BitReader): WholeAacConfig {
  const start = reader.position
  const config = readStart(reader)
  let coreType = config.objectType
  if (coreType === SBR || coreType === PS) {
    readSampleRate(reader) // extensionSamplingFrequency
    coreType = readObjectType(reader)
    if (coreType === ER_BSAC) reader.skip(4) // extensionChannelConfiguration
  }
  if (!GENERAL_AUDIO.has(coreType)) throw reader.malformed(`has object type ${coreType}`)
  const blockSamples = reader.flag() ? 960 : 1024
  if (reader.flag()) reader.skip(14) // dependsOnCoreCoder: coreCoderDelay
  const isExtended = reader.flag()
  if (config.channelConfiguration === 0) skipProgramConfig(reader, start)
  if (coreType === 6 || coreType === 20) reader.skip(3) // layerNr
  if (isExtended) {
    if (coreType === ER_BSAC) reader.skip(16) // numOfSubFrame, layer_length
    if (RESILIENT.has(coreType)) reader.skip(3)
    reader.skip(1) // extensionFlag3
  }
  if (coreType >= 17 && reader.bits(2) > 1) throw reader.malformed('has error protection')
  skipSyncExtension(reader)
  return { ...config, blockSamples }
}

/** SBR and PS signalled behind the configuration, so that old decoders do not see them (§1.6.5.2). */
function skipSyncExtension(reader: BitReader): void {
  if (reader.left < 17 || reader.fork().bits(11) !== 0x2b7) return
  reader.skip(11)
  const hasSbr = readObjectType(reader) === SBR && reader.flag()
  if (!hasSbr) return
  readSampleRate(reader)
  if (reader.left < 12 || reader.fork().bits(11) !== 0x548) return
  reader.skip(12) // psPresentFlag
}

/** Of AAC LC: what ADTS and an `rtpmap` tell is all of it. `null` when there is no such rate. */
export function toAudioSpecificConfig(options: {
  readonly objectType: number
  readonly sampleRateHz: number
  readonly channelConfiguration: number
}): Uint8Array | null {
  const rateIndex = sampleRateIndexOf(options.sampleRateHz)
  if (rateIndex === null) return null
  const bits = (options.objectType << 11) | (rateIndex << 7) | (options.channelConfiguration << 3)
  return Uint8Array.of(bits >> 8, bits & 0xff)
}

/** samplingFrequencyIndex to Hz; `null` for the reserved ones. */
export function sampleRateOf(index: number): number | null {
  return SAMPLE_RATES[index] ?? null
}

/** Hz to samplingFrequencyIndex; `null` when there is no such rate. */
export function sampleRateIndexOf(sampleRateHz: number): number | null {
  const index = SAMPLE_RATES.indexOf(sampleRateHz)
  return index < 0 ? null : index
}

/** The first of Table 1.19 with so many channels; `null` when none has. */
export function channelConfigurationOf(channels: number): number | null {
  const configuration = channels > 0 ? CHANNELS.indexOf(channels) : -1
  return configuration < 0 ? null : configuration
}

function readStart(reader: BitReader): AacConfig & { readonly channelConfiguration: number } {
  const objectType = readObjectType(reader)
  if (objectType === 0) throw reader.malformed('has object type 0')
  const sampleRateHz = readSampleRate(reader)
  const channelConfiguration = reader.bits(4)
  return {
    objectType,
    sampleRateHz,
    channels: CHANNELS[channelConfiguration]!,
    channelConfiguration,
  }
}

function readObjectType(reader: BitReader): number {
  const objectType = reader.bits(5)
  return objectType === TYPE_ESCAPE ? 32 + reader.bits(6) : objectType
}

function readSampleRate(reader: BitReader): number {
  const index = reader.bits(4)
  const sampleRateHz = index === RATE_ESCAPE ? reader.bits(24) : SAMPLE_RATES[index]
  if (sampleRateHz === undefined || sampleRateHz === 0) {
    throw reader.malformed(`has sampling frequency index ${index}`)
  }
  return sampleRateHz
}

/** program_config_element(), §4.4.1.1; aligned to the configuration's first byte. */
function skipProgramConfig(reader: BitReader, start: number): void {
  reader.skip(10) // element_instance_tag, object_type, sampling_frequency_index
  const front = reader.bits(4)
  const side = reader.bits(4)
  const back = reader.bits(4)
  const lowFrequency = reader.bits(2)
  const associated = reader.bits(3)
  const coupling = reader.bits(4)
  if (reader.flag()) reader.skip(4) // mono mixdown
  if (reader.flag()) reader.skip(4) // stereo mixdown
  if (reader.flag()) reader.skip(3) // matrix mixdown
  reader.skip(5 * (front + side + back + coupling) + 4 * (lowFrequency + associated))
  reader.skip((8 - ((reader.position - start) & 7)) & 7)
  reader.skip(8 * reader.bits(8)) // comment
}

/** RFC 6381 §3.3: `mp4a.40.` and the object type in decimal. */
export function toAacCodecString(config: Pick<AacConfig, 'objectType'>): string {
  return `mp4a.40.${config.objectType}`
}
