import { readLatmBlocks, readLatmConfig, type LatmConfig } from '../../../media/aac/latm.ts'
import { BitReader } from '../../../media/bit-reader.ts'
import type { PayloadFormat } from '../../sdp/payload-format.ts'
import { ticksOfAccessUnit, toAacFormat } from './aac.ts'
import type { Depacketiser, MediaPacket, UnitSink } from './depacketiser.ts'
import { MarkedUnit, type ClosedUnit } from './marked-unit.ts'
import { tryToParse } from './try-to-parse.ts'

/**
 * AAC as LATM in RTP (RFC 6416 §6, RFC 3016 before it): one or more AudioMuxElements a packet, or one
 * in several, the last of which has the marker. The StreamMuxConfig is in the SDP, in the elements, or
 * in both.
 */
export class LatmDepacketiser implements Depacketiser {
  readonly #sink: UnitSink
  readonly #clockRateHz: number
  /** RFC 6416 §7.3, `cpresent`: each element says whether a configuration follows. */
  readonly #isConfigInBand: boolean
  readonly #unit: MarkedUnit
  #config: LatmConfig | null
  #described: Uint8Array | null = null

  constructor(sink: UnitSink, { formatParameters, clockRateHz }: PayloadFormat) {
    this.#sink = sink
    this.#clockRateHz = clockRateHz
    this.#isConfigInBand = formatParameters.get('cpresent') !== '0'
    this.#unit = new MarkedUnit(sink, (unit) => this.#read(unit))
    const config = Buffer.from(formatParameters.get('config') ?? '', 'hex')
    this.#config = tryToParse(() => readLatmConfig(new BitReader(config, 'StreamMuxConfig')))
  }

  take(packet: MediaPacket): void {
    this.#unit.begin(packet)
    this.#unit.append(packet.payload)
    this.#unit.end(packet)
  }

  lose(): void {
    this.#unit.lose()
  }

  flush(): void {
    this.#unit.flush()
  }

  #read(unit: ClosedUnit): void {
    if (tryToParse(() => this.#readElements(unit)) === null) this.#sink.countMalformed()
  }

  /** @throws MalformedMediaError */
  #readElements(unit: ClosedUnit): true {
    const { bytes } = unit
    let index = 0
    for (let offset = 0; offset < bytes.length;) {
      const reader = new BitReader(bytes, 'AudioMuxElement', offset * 8)
      if (this.#isConfigInBand && !reader.flag()) this.#config = readLatmConfig(reader)
      const config = this.#config
      if (config === null) {
        this.#sink.drop('no-parameter-sets')
        return true
      }
      for (const block of readLatmBlocks(reader, config)) {
        if (block.length > 0) this.#write(block, config, unit, index)
        index++
      }
      reader.skip(Math.min(config.otherDataBits, reader.left))
      offset = (reader.position + 7) >> 3
    }
    return true
  }

  #write(data: Uint8Array, config: LatmConfig, unit: ClosedUnit, index: number): void {
    if (this.#described === null || Buffer.compare(this.#described, config.record) !== 0) {
      const known = toAacFormat(config.record)
      if (known === null) return
      this.#sink.describe(known.format)
      this.#described = config.record
    }
    const pts = unit.ticks + index * ticksOfAccessUnit(config.aac, this.#clockRateHz)
    this.#sink.write({ pts, dts: pts, isKey: true, data, arrivedAt: unit.arrivedAt })
  }
}
