import { BitReader } from '../bit-reader.ts'
import { readAudioSpecificConfig, type WholeAacConfig } from './audio-specific-config.ts'

/** StreamMuxConfig (ISO/IEC 14496-3 §1.7.3.1) of one program with one layer, as RTP carries it. */
export type LatmConfig = {
  /** The AudioSpecificConfig inside, from its own first byte. */
  readonly record: Uint8Array
  readonly aac: WholeAacConfig
  /** Raw data blocks in each AudioMuxElement. */
  readonly blocks: number
  /** Bits that follow the payload and that nobody needs. */
  readonly otherDataBits: number
}

/** @throws MalformedMediaError also for what RTP senders do not use: several programs or layers */
export function readLatmConfig(reader: BitReader): LatmConfig {
  const version = reader.bit()
  if (version === 1 && reader.bit() === 1) throw reader.malformed('has audioMuxVersionA 1')
  if (version === 1) readLatmValue(reader) // taraBufferFullness
  if (!reader.flag()) throw reader.malformed('has streams of different framing')
  const blocks = reader.bits(6) + 1
  if (reader.bits(4) !== 0 || reader.bits(3) !== 0) {
    throw reader.malformed('has several programs or layers')
  }
  const configEnd = version === 1 ? readLatmValue(reader) + reader.position : null
  const { record, aac } = readConfigRecord(reader, configEnd)
  // GStreamer's payloader ends its `config` here.
  if (reader.left < TAIL_BITS) return { record, aac, blocks, otherDataBits: 0 }
  const frameLengthType = reader.bits(3)
  if (frameLengthType !== 0) throw reader.malformed(`has frameLengthType ${frameLengthType}`)
  reader.skip(8) // latmBufferFullness
  let otherDataBits = 0
  if (reader.flag()) otherDataBits = version === 1 ? readLatmValue(reader) : readOtherData(reader)
  if (reader.flag()) reader.skip(8) // crcCheckSum
  return { record, aac, blocks, otherDataBits }
}

/** frameLengthType, latmBufferFullness, and two flags for what may follow. */
const TAIL_BITS = 13

/** Reads it twice: once for its end, once for a copy that begins at a byte. */
function readConfigRecord(
  reader: BitReader,
  end: number | null,
): { record: Uint8Array; aac: WholeAacConfig } {
  const probe = reader.fork()
  const aac = readAudioSpecificConfig(probe)
  const bits = (end ?? probe.position) - reader.position
  if (bits < probe.position - reader.position) throw reader.malformed('ends inside its codec')
  return { record: reader.copy(bits), aac }
}

/**
 * The raw data blocks of one AudioMuxElement without StreamMuxConfig; the reader stands behind them
 * afterwards (§1.7.3.1, PayloadLengthInfo and PayloadMux).
 *
 * @throws MalformedMediaError
 */
export function readLatmBlocks(reader: BitReader, config: LatmConfig): readonly Uint8Array[] {
  const blocks: Uint8Array[] = []
  for (let i = 0; i < config.blocks; i++) {
    let bytes = 0
    for (let part = 255; part === 255;) {
      part = reader.bits(8)
      bytes += part
    }
    blocks.push(reader.copy(bytes * 8))
  }
  return blocks
}

/** LatmGetValue(): 1 to 4 bytes behind their count. */
function readLatmValue(reader: BitReader): number {
  return reader.bits(8 * (reader.bits(2) + 1))
}

function readOtherData(reader: BitReader): number {
  let bits = 0
  for (let isMore = true; isMore;) {
    isMore = reader.flag()
    bits = bits * 256 + reader.bits(8)
    if (bits > 2 ** 31) throw reader.malformed('announces too much other data')
  }
  return bits
}
