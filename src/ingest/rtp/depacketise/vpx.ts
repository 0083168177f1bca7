import { CODEC_VP8, CODEC_VP9 } from '../../../domain/track.ts'
import { parseVp8KeyFrame, type PictureSize } from '../../../media/vpx/vp8-frame.ts'
import { parseVp9KeyFrame } from '../../../media/vpx/vp9.ts'
import type { Depacketiser, MediaPacket, UnitSink } from './depacketiser.ts'
import { MarkedUnit, type ClosedUnit } from './marked-unit.ts'
import { tryToParse } from './try-to-parse.ts'

/** What differs between VP8 and VP9. */
export type VpxCodec = {
  readonly codecId: string
  /** `null` when it is longer than the payload. */
  readonly parseDescriptor: (payload: Uint8Array) => VpxDescriptor | null
  /** The size in a key frame; `null` for another frame. */
  readonly parseKeyFrame: (frame: Uint8Array) => PictureSize | null
}

/** What stands before the data in each packet. */
export type VpxDescriptor = {
  /** Where the data begin. */
  readonly bytes: number
  /** The data begin a frame. */
  readonly isStart: boolean
}

export const VP8: VpxCodec = {
  codecId: CODEC_VP8,
  parseDescriptor: parseVp8Descriptor,
  parseKeyFrame: parseVp8KeyFrame,
}

export const VP9: VpxCodec = {
  codecId: CODEC_VP9,
  parseDescriptor: parseVp9Descriptor,
  parseKeyFrame: (frame) => tryToParse(() => parseVp9KeyFrame(frame)),
}

/** VP8 and VP9 in RTP (RFC 7741, RFC 9628): frames in packets, behind a descriptor in each. */
export class VpxDepacketiser implements Depacketiser {
  readonly #sink: UnitSink
  readonly #codec: VpxCodec
  readonly #unit: MarkedUnit
  #described: PictureSize | null = null

  constructor(sink: UnitSink, codec: VpxCodec) {
    this.#sink = sink
    this.#codec = codec
    this.#unit = new MarkedUnit(sink, (unit) => this.#write(unit))
  }

  take(packet: MediaPacket): void {
    const before = this.#unit.begin(packet)
    const descriptor = this.#codec.parseDescriptor(packet.payload)
    if (descriptor === null) this.#sink.countMalformed()
    if (descriptor === null || (before === 0 && !descriptor.isStart)) {
      this.#unit.spoil('malformed-sample')
    } else {
      this.#unit.append(packet.payload.subarray(descriptor.bytes))
    }
    this.#unit.end(packet)
  }

  lose(): void {
    this.#unit.lose()
  }

  flush(): void {
    this.#unit.flush()
  }

  #write({ bytes, ticks, arrivedAt }: ClosedUnit): void {
    const size = this.#codec.parseKeyFrame(bytes)
    if (size !== null) this.#describe(size)
    if (this.#described === null) {
      this.#sink.drop('no-parameter-sets') // which are in the key frames
      return
    }
    const data = bytes.slice()
    this.#sink.write({ pts: ticks, dts: ticks, isKey: size !== null, data, arrivedAt })
  }

  #describe(video: PictureSize): void {
    const known = this.#described
    if (known?.widthPx === video.widthPx && known.heightPx === video.heightPx) return
    this.#described = video
    const { codecId } = this.#codec
    const codecPrivate = new Uint8Array(0)
    this.#sink.describe({ kind: 'video', codecId, codecPrivate, video, audio: null })
  }
}

/**
 * RFC 7741 §4.2:
 *
 * ```
 * | X R N S 0 PID 3 | X: I L T K 0000 | I: M PictureID 7 [M: 8 more] | L: TL0PICIDX 8 | T or K: 8 |
 * ```
 */
function parseVp8Descriptor(payload: Uint8Array): VpxDescriptor | null {
  const first = payload[0] ?? 0
  let bytes = 1
  if ((first & 0x80) !== 0) {
    const extensions = payload[bytes++] ?? 0
    if ((extensions & 0x80) !== 0) bytes += pictureIdBytes(payload, bytes)
    if ((extensions & 0x40) !== 0) bytes++
    if ((extensions & 0x30) !== 0) bytes++
  }
  const isStart = (first & 0x17) === 0x10 // S, of partition 0
  return bytes < payload.length ? { bytes, isStart } : null
}

/**
 * RFC 9628 §4.2:
 *
 * ```
 * | I P L F B E V Z | I: M PictureID | L: TID 3 U SID 3 D | L, not F: TL0PICIDX 8 |
 * | F and P: P_DIFF 7 N, up to three | V: scalability structure |
 * ```
 */
function parseVp9Descriptor(payload: Uint8Array): VpxDescriptor | null {
  const first = payload[0] ?? 0
  const isFlexible = (first & 0x10) !== 0
  let bytes = 1
  if ((first & 0x80) !== 0) bytes += pictureIdBytes(payload, bytes)
  if ((first & 0x20) !== 0) bytes += isFlexible ? 1 : 2
  if (isFlexible && (first & 0x40) !== 0) {
    for (let i = 0, isMore = true; i < 3 && isMore; i++)
      isMore = ((payload[bytes++] ?? 0) & 1) !== 0
  }
  if ((first & 0x02) !== 0) bytes = endOfScalability(payload, bytes)
  return bytes < payload.length ? { bytes, isStart: (first & 0x08) !== 0 } : null
}

/** `| N_S 3, Y, G, 000 | Y: (width 16, height 16) per layer | G: N_G 8, (TID 3, U, R 2, 00, R bytes)... |` */
function endOfScalability(payload: Uint8Array, start: number): number {
  const head = payload[start] ?? 0
  let at = start + 1
  if ((head & 0x10) !== 0) at += 4 * ((head >> 5) + 1)
  if ((head & 0x08) === 0) return at
  const pictures = payload[at++] ?? 0
  for (let i = 0; i < pictures; i++) at += 1 + (((payload[at] ?? 0) >> 2) & 3)
  return at
}

function pictureIdBytes(payload: Uint8Array, at: number): number {
  return ((payload[at] ?? 0) & 0x80) === 0 ? 1 : 2
}
