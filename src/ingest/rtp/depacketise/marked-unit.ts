import type { DropReason, MediaPacket, UnitSink } from './depacketiser.ts'
import { UnitBuffer } from './unit-buffer.ts'

/** A coded unit whose packets share a timestamp, once no more of them can come. */
export type ClosedUnit = {
  /** A view, valid until the next packet. */
  readonly bytes: Uint8Array
  readonly ticks: number
  readonly arrivedAt: MediaPacket['arrivedAt']
  /** Packets are missing before its first one: they may have been its own. */
  readonly followsLoss: boolean
}

/**
 * Joins the parts of units that end with the marker, or where the timestamp changes. One in which
 * packets are missing, or that grows too large, is left out and counted.
 */
export class MarkedUnit {
  readonly #sink: UnitSink
  readonly #onWhole: (unit: ClosedUnit) => void
  readonly #buffer = new UnitBuffer()
  #start: { readonly ticks: number; readonly arrivedAt: MediaPacket['arrivedAt'] } | null = null
  #damage: DropReason | null = null
  #hasLost = false
  #followsLoss = false

  constructor(sink: UnitSink, onWhole: (unit: ClosedUnit) => void) {
    this.#sink = sink
    this.#onWhole = onWhole
  }

  /** Whether `packet` goes on with the unit that was begun last. */
  holds(packet: MediaPacket): boolean {
    return this.#start?.ticks === packet.ticks
  }

  /** Bytes so far of the unit that `packet` belongs to; ends the one before it. */
  begin(packet: MediaPacket): number {
    if (this.#start !== null && this.#start.ticks !== packet.ticks) this.#close()
    if (this.#start === null) {
      this.#start = { ticks: packet.ticks, arrivedAt: packet.arrivedAt }
      this.#followsLoss = this.#hasLost
    } else if (this.#hasLost) {
      this.#damage = 'packet-loss'
    }
    this.#hasLost = false
    return this.#buffer.length
  }

  /** Packets of it are missing, or may be: what cannot be read is no fault of the sender's. */
  get isCut(): boolean {
    return this.#followsLoss || this.#damage === 'packet-loss'
  }

  append(part: Uint8Array): void {
    this.#buffer.append(part)
  }

  /** The unit that was begun last cannot become whole. */
  spoil(reason: DropReason): void {
    this.#damage ??= this.#followsLoss ? 'packet-loss' : reason
  }

  /** After the last part of a packet. */
  end(packet: MediaPacket): void {
    if (packet.marker) this.#close()
  }

  lose(): void {
    this.#hasLost = true
    if (this.#start !== null) this.#damage = 'packet-loss'
  }

  flush(): void {
    this.#close()
  }

  #close(): void {
    const start = this.#start
    if (start === null) return
    const damage = this.#buffer.isOverfull ? 'sample-too-large' : this.#damage
    if (damage !== null) this.#sink.drop(damage)
    else if (this.#buffer.length > 0) {
      this.#onWhole({ bytes: this.#buffer.view(), followsLoss: this.#followsLoss, ...start })
    }
    this.#buffer.clear()
    this.#start = null
    this.#damage = null
  }
}
