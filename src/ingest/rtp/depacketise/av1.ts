import { CODEC_AV1 } from '../../../domain/track.ts'
import {
  OBU_SEQUENCE_HEADER,
  OBU_TEMPORAL_DELIMITER,
  parseAv1SequenceHeader,
  readLeb128,
  toAv1Record,
} from '../../../media/av1/av1-config.ts'
import type { Depacketiser, MediaPacket, UnitSink } from './depacketiser.ts'
import { MarkedUnit, type ClosedUnit } from './marked-unit.ts'
import { tryToParse } from './try-to-parse.ts'
import { UnitBuffer } from './unit-buffer.ts'

/**
 * AV1 in RTP (RTP Payload Format for AV1, v1.0): OBUs without sizes, some over several packets, become
 * temporal units with sizes, as Matroska stores them: without delimiters.
 */
export class Av1Depacketiser implements Depacketiser {
  readonly #sink: UnitSink
  readonly #unit: MarkedUnit
  /** An OBU of which more is to come. */
  readonly #partial = new UnitBuffer()
  #hasPartial = false
  /** Of the temporal unit that is being put together. */
  #sequence: Uint8Array | null = null
  #frameType: number | null = null
  #described: Uint8Array | null = null

  constructor(sink: UnitSink) {
    this.#sink = sink
    this.#unit = new MarkedUnit(sink, (unit) => this.#write(unit))
  }

  take(packet: MediaPacket): void {
    const goesOn = this.#unit.holds(packet)
    this.#unit.begin(packet) // which may end the unit before: its facts are still here
    if (!goesOn) this.#forget()
    if (!this.#takeElements(packet.payload)) {
      if (!this.#unit.isCut) this.#sink.countMalformed()
      this.#unit.spoil('malformed-sample')
    }
    this.#unit.end(packet)
  }

  lose(): void {
    this.#unit.lose()
    this.#hasPartial = false
  }

  flush(): void {
    this.#unit.flush()
  }

  /**
   * §4.4, the aggregation header: `| Z continues | Y is continued | W 2 | N | 000 |`. Each OBU element
   * stands behind its size, but for the last of W.
   */
  #takeElements(payload: Uint8Array): boolean {
    const header = payload[0]
    if (header === undefined) return false
    const count = (header >> 4) & 3
    let continues = (header & 0x80) !== 0
    if (continues !== this.#hasPartial) return this.#abandon()
    for (let offset = 1, index = 1; offset < payload.length; index++) {
      const isSized = count === 0 || index < count
      const size = isSized
        ? readLeb128(payload, offset)
        : { value: payload.length - offset, end: offset }
      if (size === null || size.end + size.value > payload.length) return this.#abandon()
      const end = size.end + size.value
      const isLast = end === payload.length
      if (isLast !== (count === 0 ? isLast : index === count)) return this.#abandon()
      if (!continues) this.#partial.clear()
      this.#partial.append(payload.subarray(size.end, end))
      this.#hasPartial = isLast && (header & 0x40) !== 0
      if (!this.#hasPartial && !this.#takeObu(this.#partial.view())) return this.#abandon()
      continues = false
      offset = end
    }
    return true
  }

  #abandon(): false {
    this.#hasPartial = false
    return false
  }

  /** `| 0, type 4, extension 1, has size 1, 0 | [extension 8] | [size] | ... |` */
  #takeObu(obu: Uint8Array): boolean {
    const first = obu[0]
    if (first === undefined) return true
    const type = (first >> 3) & 15
    const headerBytes = (first & 4) === 0 ? 1 : 2
    if (obu.length < headerBytes) return false
    const size = (first & 2) === 0 ? null : readLeb128(obu, headerBytes)
    if ((first & 2) !== 0 && size === null) return false
    const body = obu.subarray(size?.end ?? headerBytes)
    if (size !== null && size.value > body.length) return false
    const content = size === null ? body : body.subarray(0, size.value)
    if (DROPPED.has(type)) return true
    const head = [first | 2, ...obu.subarray(1, headerBytes), ...toLeb128(content.length)]
    const start = Uint8Array.from(head)
    if (type === OBU_SEQUENCE_HEADER) this.#sequence ??= Uint8Array.from([...head, ...content])
    if (FRAMES.has(type) && this.#frameType === null) this.#frameType = toFrameType(content)
    this.#unit.append(start)
    this.#unit.append(content)
    return true
  }

  #forget(): void {
    this.#hasPartial = false
    this.#sequence = null
    this.#frameType = null
  }

  #write({ bytes, ticks, arrivedAt }: ClosedUnit): void {
    const sequence = this.#sequence
    if (sequence !== null) this.#describe(sequence)
    if (this.#described === null) {
      this.#sink.drop('no-parameter-sets')
      return
    }
    const isKey = sequence !== null && this.#frameType === KEY_FRAME
    this.#sink.write({ pts: ticks, dts: ticks, isKey, data: bytes.slice(), arrivedAt })
  }

  #describe(obu: Uint8Array): void {
    if (this.#described !== null && Buffer.compare(this.#described, obu) === 0) return
    const { end } = readLeb128(obu, (obu[0]! & 4) === 0 ? 1 : 2)!
    const header = tryToParse(() => parseAv1SequenceHeader(obu.subarray(end)))
    if (header === null) return
    this.#described = obu
    this.#sink.describe({
      kind: 'video',
      codecId: CODEC_AV1,
      codecPrivate: toAv1Record(header, obu),
      video: { widthPx: header.widthPx, heightPx: header.heightPx },
      audio: null,
    })
  }
}

const KEY_FRAME = 0
/** Frame headers and frames. */
const FRAMES = new Set([3, 6])
/** Temporal delimiters, tile lists and padding do not belong into Matroska. */
const DROPPED = new Set([OBU_TEMPORAL_DELIMITER, 8, 15])

/** frame_type behind show_existing_frame (§5.9.2); `null` where a frame is only shown again. */
function toFrameType(content: Uint8Array): number | null {
  const first = content[0] ?? 0x80
  return (first & 0x80) !== 0 ? null : (first >> 5) & 3
}

function toLeb128(value: number): readonly number[] {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest >>>= 7
  } while (rest > 0)
  return bytes
}
