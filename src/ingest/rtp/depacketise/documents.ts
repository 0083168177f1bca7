import { CODEC_ONVIF_METADATA } from '../../../domain/track.ts'
import type { Depacketiser, MediaPacket, UnitSink } from './depacketiser.ts'
import { MarkedUnit, type ClosedUnit } from './marked-unit.ts'

/**
 * ONVIF metadata (ONVIF Streaming Specification, "Metadata streaming"): an XML document in one or more
 * packets of one timestamp, the last of which has the marker. One document is one sample.
 */
export class DocumentDepacketiser implements Depacketiser {
  readonly #sink: UnitSink
  readonly #mediaType: string
  readonly #unit: MarkedUnit
  #isDescribed = false

  /** @param encoding the SDP's, e.g. `VND.ONVIF.METADATA.GZIP`; kept in the track's private data */
  constructor(sink: UnitSink, encoding: string) {
    this.#sink = sink
    this.#mediaType = `application/${encoding.toLowerCase()}`
    this.#unit = new MarkedUnit(sink, (unit) => this.#write(unit))
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

  #write({ bytes, ticks, arrivedAt, followsLoss }: ClosedUnit): void {
    // Behind a gap only plain XML shows that it is there from its beginning.
    if (followsLoss && !/^\s*<[^/]/.test(Buffer.from(bytes.subarray(0, 16)).toString('latin1'))) {
      this.#sink.drop('packet-loss')
      return
    }
    if (!this.#isDescribed) {
      this.#sink.describe({
        kind: 'data',
        codecId: CODEC_ONVIF_METADATA,
        codecPrivate: Uint8Array.from(Buffer.from(this.#mediaType)),
        video: null,
        audio: null,
      })
    }
    this.#isDescribed = true
    this.#sink.write({ pts: ticks, dts: ticks, isKey: true, data: bytes.slice(), arrivedAt })
  }
}
