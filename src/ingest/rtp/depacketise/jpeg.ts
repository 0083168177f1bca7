import { CODEC_MJPEG } from '../../../domain/track.ts'
import {
  JPEG_END,
  parseJpegSize,
  toJfifHeader,
  toQuantization,
} from '../../../media/jpeg/jfif-header.ts'
import type { MediaDescription } from '../../sdp/parse-sdp.ts'
import type { Depacketiser, MediaPacket, UnitSink } from './depacketiser.ts'
import { MarkedUnit, type ClosedUnit } from './marked-unit.ts'

/**
 * JPEG in RTP (RFC 2435): the scan data in fragments, with just enough before it to make up a header.
 * A sample is a whole JFIF file, and a key.
 *
 * ```
 * | type-specific 8 | fragment offset 24 | type 8 | Q 8 | width / 8 8 | height / 8 8 |
 * | types 64..127: restart interval 16, F L count 16 |
 * | Q 128..255, offset 0: MBZ 8, precision 8, length 16, quantization tables |
 * ```
 */
export class JpegDepacketiser implements Depacketiser {
  readonly #sink: UnitSink
  readonly #unit: MarkedUnit
  readonly #dimensions: MediaDescription['dimensions']
  /** Tables that were sent under a Q of 128 to 254; later pictures may leave them out. */
  readonly #tables = new Map<number, readonly Uint8Array[]>()
  #headerBytes = 0
  #described: { widthPx: number; heightPx: number } | null = null

  constructor(sink: UnitSink, { dimensions }: Pick<MediaDescription, 'dimensions'>) {
    this.#sink = sink
    this.#dimensions = dimensions
    this.#unit = new MarkedUnit(sink, (unit) => this.#write(unit))
  }

  take(packet: MediaPacket): void {
    const before = this.#unit.begin(packet)
    const { payload } = packet
    const fragment = parseFragment(payload)
    if (fragment === null) {
      this.#sink.countMalformed()
      this.#unit.spoil('malformed-sample')
    } else if (fragment.offset === 0 && before === 0) {
      this.#begin(fragment)
    } else if (before === 0 || fragment.offset !== before - this.#headerBytes) {
      this.#unit.spoil('malformed-sample')
    } else {
      this.#unit.append(fragment.data)
    }
    this.#unit.end(packet)
  }

  lose(): void {
    this.#unit.lose()
  }

  flush(): void {
    this.#unit.flush()
  }

  #begin(fragment: JpegFragment): void {
    const quantization = this.#quantizationOf(fragment)
    const { widthPx, heightPx } = sizeOf(fragment, this.#dimensions)
    if (quantization === null || widthPx === 0 || heightPx === 0) {
      this.#sink.countMalformed()
      this.#unit.spoil('malformed-sample')
      return
    }
    const { restartInterval, sampling } = fragment
    const header = toJfifHeader({ widthPx, heightPx, sampling, quantization, restartInterval })
    this.#headerBytes = header.length
    this.#unit.append(header)
    this.#unit.append(fragment.data)
  }

  #quantizationOf({ q, tables }: JpegFragment): readonly Uint8Array[] | null {
    if (q < 128) return q === 0 ? null : toQuantization(q)
    // §4.2: with Q 255 tables are in every picture and belong to it alone.
    if (tables !== null && q < 255) this.#tables.set(q, tables)
    return tables ?? this.#tables.get(q) ?? null
  }

  #write({ bytes, ticks, arrivedAt }: ClosedUnit): void {
    const size = parseJpegSize(bytes)
    if (size === null) return
    if (size.widthPx !== this.#described?.widthPx || size.heightPx !== this.#described.heightPx) {
      this.#described = size
      this.#sink.describe({
        kind: 'video',
        codecId: CODEC_MJPEG,
        codecPrivate: new Uint8Array(0),
        video: size,
        audio: null,
      })
    }
    const hasEnd = bytes.at(-2) === JPEG_END[0] && bytes.at(-1) === JPEG_END[1]
    const data = hasEnd ? bytes.slice() : Uint8Array.from(Buffer.concat([bytes, JPEG_END]))
    this.#sink.write({ pts: ticks, dts: ticks, isKey: true, data, arrivedAt })
  }
}

type JpegFragment = {
  readonly offset: number
  readonly q: number
  readonly sampling: '422' | '420'
  readonly widthPx: number
  readonly heightPx: number
  readonly restartInterval: number
  /** `null` where none are sent. */
  readonly tables: readonly Uint8Array[] | null
  readonly data: Uint8Array
}

const FIXED_BYTES = 8

/** `null` for what is cut short and for types that nobody has defined. */
function parseFragment(payload: Uint8Array): JpegFragment | null {
  if (payload.length < FIXED_BYTES) return null
  const offset = (payload[1]! << 16) | (payload[2]! << 8) | payload[3]!
  const type = payload[4]!
  const q = payload[5]!
  if ((type & 0x3f) > 1 || type > 127) return null
  let at = FIXED_BYTES
  let restartInterval = 0
  if (type >= 64) {
    if (at + 4 > payload.length) return null
    restartInterval = (payload[at]! << 8) | payload[at + 1]!
    at += 4
  }
  let tables: readonly Uint8Array[] | null = null
  if (offset === 0 && q >= 128) {
    if (at + 4 > payload.length) return null
    const precision = payload[at + 1]!
    const length = (payload[at + 2]! << 8) | payload[at + 3]!
    at += 4
    if (at + length > payload.length) return null
    tables = length === 0 ? null : splitTables(payload.slice(at, at + length), precision)
    if (length > 0 && tables === null) return null
    at += length
  }
  return {
    offset,
    q,
    sampling: (type & 1) === 0 ? '422' : '420',
    widthPx: payload[6]! * 8,
    heightPx: payload[7]! * 8,
    restartInterval,
    tables,
    data: payload.subarray(at),
  }
}

/** Two tables of 8 or 16 bits a value, by the precision's lowest bits; a single one serves both. */
function splitTables(bytes: Uint8Array, precision: number): readonly Uint8Array[] | null {
  const tables: Uint8Array[] = []
  let at = 0
  for (let i = 0; i < 2 && at < bytes.length; i++) {
    const size = ((precision >> i) & 1) === 0 ? 64 : 128
    if (at + size > bytes.length) return null
    tables.push(bytes.subarray(at, at + size))
    at += size
  }
  const [luma, chroma = luma] = tables
  return luma === undefined || chroma === undefined ? null : [luma, chroma]
}

/** The header counts in blocks of 8 up to 2040; 0, or what the SDP says beside it, is larger. */
function sizeOf(fragment: JpegFragment, announced: MediaDescription['dimensions']) {
  const { widthPx, heightPx } = fragment
  if (announced === null) return { widthPx, heightPx }
  return {
    widthPx: widthPx === 0 ? announced.widthPx : widthPx,
    heightPx: heightPx === 0 ? announced.heightPx : heightPx,
  }
}
