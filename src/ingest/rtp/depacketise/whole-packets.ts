import { CODEC_RTP } from '../../../domain/track.ts'
import type { PayloadFormat } from '../../sdp/payload-format.ts'
import type { Depacketiser, MediaPacket, UnitSink } from './depacketiser.ts'
import { MarkedUnit, type ClosedUnit } from './marked-unit.ts'

/**
 * Formats that we cannot read are stored, not refused: the packets of one timestamp are one sample,
 * each behind its length in 16 bits (RFC 4571 §2), and the track's private data is what the SDP said.
 * Whoever knows the format can depacketise them later; a lost packet leaves a hole in their sequence.
 */
export class WholePackets implements Depacketiser {
  readonly #sink: UnitSink
  readonly #format: PayloadFormat
  readonly #unit: MarkedUnit
  #isDescribed = false

  constructor(sink: UnitSink, format: PayloadFormat) {
    this.#sink = sink
    this.#format = format
    this.#unit = new MarkedUnit(sink, (unit) => this.#write(unit))
  }

  take(packet: MediaPacket): void {
    this.#unit.begin(packet)
    const length = RTP_HEADER_BYTES + packet.payload.length
    if (length > 0xffff) {
      this.#sink.countMalformed()
      return
    }
    const head = new Uint8Array(2 + RTP_HEADER_BYTES)
    const view = new DataView(head.buffer)
    view.setUint16(0, length)
    head[2] = 0x80 // version 2; padding, extension and CSRC were taken off
    head[3] = (packet.marker ? 0x80 : 0) | packet.payloadType
    view.setUint16(4, packet.sequence)
    view.setUint32(6, packet.timestamp)
    view.setUint32(10, packet.ssrc)
    this.#unit.append(head)
    this.#unit.append(packet.payload)
    this.#unit.end(packet)
  }

  lose(): void {}

  flush(): void {
    this.#unit.flush()
  }

  #write({ bytes, ticks, arrivedAt }: ClosedUnit): void {
    if (!this.#isDescribed) {
      this.#sink.describe({
        kind: 'data',
        codecId: CODEC_RTP,
        codecPrivate: Uint8Array.from(Buffer.from(toSdpLines(this.#format))),
        video: null,
        audio: null,
      })
    }
    this.#isDescribed = true
    this.#sink.write({ pts: ticks, dts: ticks, isKey: true, data: bytes.slice(), arrivedAt })
  }
}

const RTP_HEADER_BYTES = 12

/** The media's `a=rtpmap` and `a=fmtp`, as RFC 8866 writes them. */
function toSdpLines(format: PayloadFormat): string {
  const { payloadType, encoding, clockRateHz, channels, formatParameters } = format
  const shape = channels === null ? '' : `/${channels}`
  const parameters = [...formatParameters].map(([name, value]) => `${name}=${value}`).join(';')
  const rtpmap = `a=rtpmap:${payloadType} ${encoding}/${clockRateHz}${shape}\r\n`
  return parameters === '' ? rtpmap : `${rtpmap}a=fmtp:${payloadType} ${parameters}\r\n`
}
