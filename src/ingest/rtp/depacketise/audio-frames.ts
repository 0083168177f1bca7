import type { Depacketiser, MediaPacket, TrackFormat, UnitSink } from './depacketiser.ts'

/**
 * Formats of which every packet is whole by itself: G.711, G.722, G.726, linear PCM (RFC 3551) and
 * Opus (RFC 7587). A lost packet takes nothing else with it.
 */
export class AudioFrames implements Depacketiser {
  readonly #sink: UnitSink
  readonly #format: TrackFormat
  readonly #toSample: (payload: Uint8Array) => Uint8Array
  #isDescribed = false

  /** @param toSample makes bytes of the sample's own */
  constructor(
    sink: UnitSink,
    format: TrackFormat,
    toSample: (payload: Uint8Array) => Uint8Array = (payload) => payload.slice(),
  ) {
    this.#sink = sink
    this.#format = format
    this.#toSample = toSample
  }

  take({ payload, ticks, arrivedAt }: MediaPacket): void {
    if (payload.length === 0) return
    if (!this.#isDescribed) this.#sink.describe(this.#format)
    this.#isDescribed = true
    const data = this.#toSample(payload)
    this.#sink.write({ pts: ticks, dts: ticks, isKey: true, data, arrivedAt })
  }

  lose(): void {}

  flush(): void {}
}
