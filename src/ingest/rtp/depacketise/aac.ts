import { CODEC_AAC } from '../../../domain/track.ts'
import { parseAdtsFrame, startsWithAdts } from '../../../media/aac/adts.ts'
import {
  parseAudioSpecificConfig,
  readAudioSpecificConfig,
  toAudioSpecificConfig,
  type WholeAacConfig,
} from '../../../media/aac/audio-specific-config.ts'
import { BitReader } from '../../../media/bit-reader.ts'
import type { PayloadFormat } from '../../sdp/payload-format.ts'
import {
  MAX_UNIT_BYTES,
  type Depacketiser,
  type MediaPacket,
  type TrackFormat,
  type UnitSink,
} from './depacketiser.ts'
import { tryToParse } from './try-to-parse.ts'
import { UnitBuffer } from './unit-buffer.ts'

/** The track of an AudioSpecificConfig; `null` when the record is none that we can read. */
export function toAacFormat(record: Uint8Array): AacFormat | null {
  const aac =
    tryToParse(() => readAudioSpecificConfig(new BitReader(record, 'config'))) ??
    tryToParse(() => ({ ...parseAudioSpecificConfig(record), blockSamples: 1024 }))
  if (aac === null) return null
  // 0 channels: a program_config_element says it. Matroska wants at least one.
  const audio = { sampleRateHz: aac.sampleRateHz, channels: Math.max(1, aac.channels) }
  const format = {
    kind: 'audio',
    codecId: CODEC_AAC,
    codecPrivate: record,
    video: null,
    audio,
  } as const
  return { format, aac }
}

export type AacFormat = { readonly format: TrackFormat; readonly aac: WholeAacConfig }

/** RTP ticks of one access unit: the clock may be twice the core's rate, as with SBR. */
export function ticksOfAccessUnit(aac: WholeAacConfig, clockRateHz: number): number {
  return Math.round((aac.blockSamples * clockRateHz) / aac.sampleRateHz)
}

/**
 * AAC in RTP (RFC 3640, modes AAC-hbr and AAC-lbr): several access units in a packet, or one in several
 * packets. Cameras that put ADTS in their place are read too, with or without AU headers before it.
 */
export class AacDepacketiser implements Depacketiser {
  readonly #sink: UnitSink
  readonly #clockRateHz: number
  readonly #headers: AuHeaderSizes
  #format: AacFormat | null
  #isDescribed = false
  /** An access unit that is longer than its packet. */
  readonly #fragment = new UnitBuffer()
  #fragmentBytes = 0
  #fragmentStart: MediaPacket | null = null

  constructor(sink: UnitSink, format: PayloadFormat) {
    this.#sink = sink
    this.#clockRateHz = format.clockRateHz
    this.#headers = toHeaderSizes(format.formatParameters)
    const config = Uint8Array.from(Buffer.from(format.formatParameters.get('config') ?? '', 'hex'))
    this.#format = toAacFormat(config) ?? guessFormat(format)
  }

  take(packet: MediaPacket): void {
    const { payload } = packet
    if (payload.length < 2) return
    if (startsWithAdts(payload)) {
      this.#takeAdts(packet, payload)
      return
    }
    const units = this.#readUnits(packet)
    if (units === null) {
      this.#sink.countMalformed()
      return
    }
    for (const unit of units) this.#write(unit.data, packet, unit.index)
  }

  lose(): void {
    if (this.#fragmentStart !== null) this.#sink.drop('packet-loss')
    this.#endFragment()
  }

  flush(): void {
    this.#endFragment()
  }

  /**
   * `| AU headers' length in bits 16 | AU headers | [auxiliary section] | access units |`, §3.2.1.
   *
   * @returns `null` when they do not fit
   */
  #readUnits(packet: MediaPacket): readonly { data: Uint8Array; index: number }[] | null {
    const { payload } = packet
    const headerBits = (payload[0]! << 8) | payload[1]!
    const headers = tryToParse(() => readAuHeaders(payload, headerBits, this.#headers))
    if (headers === null) return null
    const { units, dataStart } = headers
    const [first] = units
    if (units.length === 1 && first !== undefined) {
      const left = payload.length - dataStart
      if (first.bytes > left || this.#fragmentStart !== null) {
        return this.#takeFragment(packet, first.bytes, payload.subarray(dataStart))
      }
    }
    this.#endFragment()
    const whole: { data: Uint8Array; index: number }[] = []
    let offset = dataStart
    for (const { bytes, index } of units) {
      if (offset + bytes > payload.length) return null
      whole.push({ data: payload.subarray(offset, offset + bytes), index })
      offset += bytes
    }
    return whole
  }

  /** §3.2.3.1: each fragment's header has the size of the whole access unit. */
  #takeFragment(packet: MediaPacket, bytes: number, part: Uint8Array) {
    const begun = this.#fragmentStart
    if (begun === null || begun.ticks !== packet.ticks || bytes !== this.#fragmentBytes) {
      if (begun !== null) this.#sink.drop('malformed-sample')
      this.#endFragment()
      if (bytes > MAX_UNIT_BYTES) return null
      if (bytes <= part.length) return [{ data: part.subarray(0, bytes), index: 0 }]
      this.#fragmentStart = { ...packet, payload: NO_BYTES }
      this.#fragmentBytes = bytes
    }
    this.#fragment.append(part)
    if (this.#fragment.length < bytes) return []
    const data = this.#fragment.view(0, bytes)
    const whole = data.slice()
    this.#endFragment()
    return [{ data: whole, index: 0 }]
  }

  #endFragment(): void {
    this.#fragment.clear()
    this.#fragmentStart = null
  }

  #takeAdts(packet: MediaPacket, bytes: Uint8Array): void {
    let index = 0
    for (let offset = 0; offset < bytes.length; index++) {
      const frame = parseAdtsFrame(bytes, offset)
      if (frame === null) {
        this.#sink.countMalformed()
        return
      }
      this.#learn(frame.config)
      this.#give(bytes.slice(frame.start, frame.end), packet, index)
      offset = frame.end
    }
  }

  #write(data: Uint8Array, packet: MediaPacket, index: number): void {
    const frame = startsWithAdts(data) ? parseAdtsFrame(data, 0) : null
    if (frame !== null && frame.end === data.length) {
      this.#learn(frame.config)
      this.#give(data.slice(frame.start), packet, index)
    } else if (data.length > 0) {
      this.#give(data.slice(), packet, index)
    }
  }

  /** What a header inside says counts only where the SDP says nothing. */
  #learn(config: Uint8Array): void {
    this.#format ??= toAacFormat(config)
  }

  #give(data: Uint8Array, packet: MediaPacket, index: number): void {
    if (this.#format === null) {
      this.#sink.drop('no-parameter-sets')
      return
    }
    if (!this.#isDescribed) this.#sink.describe(this.#format.format)
    this.#isDescribed = true
    const pts = packet.ticks + index * ticksOfAccessUnit(this.#format.aac, this.#clockRateHz)
    this.#sink.write({ pts, dts: pts, isKey: true, data, arrivedAt: packet.arrivedAt })
  }
}

const NO_BYTES = new Uint8Array(0)

/** Bits of an AU header's fields (RFC 3640 §4.1). */
type AuHeaderSizes = {
  readonly size: number
  readonly index: number
  readonly indexDelta: number
  readonly ctsDelta: number
  readonly dtsDelta: number
  readonly randomAccess: boolean
  readonly streamState: number
  readonly auxiliarySize: number
  readonly constantBytes: number
}

function toHeaderSizes(parameters: ReadonlyMap<string, string>): AuHeaderSizes {
  const bits = (name: string, otherwise: number): number => {
    const value = Number(parameters.get(name) ?? otherwise)
    return Number.isInteger(value) && value >= 0 && value <= 32 ? value : otherwise
  }
  const isLowBitRate = parameters.get('mode')?.toLowerCase() === 'aac-lbr'
  const constantBytes = Number(parameters.get('constantsize') ?? 0) || 0
  return {
    size: bits('sizelength', constantBytes > 0 ? 0 : isLowBitRate ? 6 : 13),
    index: bits('indexlength', constantBytes > 0 ? 0 : isLowBitRate ? 2 : 3),
    indexDelta: bits('indexdeltalength', constantBytes > 0 ? 0 : isLowBitRate ? 2 : 3),
    ctsDelta: bits('ctsdeltalength', 0),
    dtsDelta: bits('dtsdeltalength', 0),
    randomAccess: bits('randomaccessindication', 0) === 1,
    streamState: bits('streamstateindication', 0),
    auxiliarySize: bits('auxiliarydatasizelength', 0),
    constantBytes: Math.min(Math.max(0, Math.trunc(constantBytes)), MAX_UNIT_BYTES),
  }
}

type AuHeader = { readonly bytes: number; readonly index: number }

/** @throws MalformedMediaError */
function readAuHeaders(
  payload: Uint8Array,
  headerBits: number,
  sizes: AuHeaderSizes,
): { units: readonly AuHeader[]; dataStart: number } {
  const reader = new BitReader(payload, 'AU headers', 16)
  const end = reader.position + headerBits
  if (headerBits > reader.left) throw reader.malformed('are longer than their packet')
  const units: AuHeader[] = []
  let index = 0
  while (reader.position < end && units.length < MAX_ACCESS_UNITS) {
    const before = reader.position
    const bytes = sizes.size === 0 ? sizes.constantBytes : reader.bits(sizes.size)
    const step = reader.bits(units.length === 0 ? sizes.index : sizes.indexDelta)
    index = units.length === 0 ? 0 : index + 1 + step
    if (sizes.ctsDelta > 0 && reader.flag()) reader.skip(sizes.ctsDelta)
    if (sizes.dtsDelta > 0 && reader.flag()) reader.skip(sizes.dtsDelta)
    if (sizes.randomAccess) reader.skip(1)
    reader.skip(sizes.streamState)
    if (reader.position === before) throw reader.malformed('have no fields')
    units.push({ bytes, index })
  }
  if (reader.position > end) throw reader.malformed('end inside a field')
  let dataStart = (end + 7) >> 3
  if (sizes.auxiliarySize > 0) {
    const auxiliary = new BitReader(payload, 'auxiliary section', dataStart * 8)
    auxiliary.skip(auxiliary.bits(sizes.auxiliarySize))
    dataStart = (auxiliary.position + 7) >> 3
  }
  return { units, dataStart }
}

/** More than fit into a packet of 64 KiB with anything in them. */
const MAX_ACCESS_UNITS = 1024

/** LC at the rtpmap's rate and channels, for want of a `config`. */
function guessFormat({ clockRateHz, channels }: PayloadFormat): AacFormat | null {
  if (channels === null) return null
  const channelConfiguration = channels === 8 ? 7 : channels
  if (channelConfiguration > 7) return null
  const record = toAudioSpecificConfig({
    objectType: 2,
    sampleRateHz: clockRateHz,
    channelConfiguration,
  })
  return record === null ? null : toAacFormat(record)
}
