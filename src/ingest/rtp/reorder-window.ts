import type { EpochMs } from '../../domain/time.ts'
import { ownPacket, type RtpPacket } from './rtp-packet.ts'

/** A packet in its turn, and how many are missing before it. */
export type OrderedPacket = {
  readonly packet: RtpPacket
  readonly arrivedAt: EpochMs
  readonly missing: number
}

export type ReorderLimits = {
  /** Packets that wait for one that is missing; 0 where the transport keeps the order. */
  readonly packets: number
  /** How long the first of them waits, as later arrivals tell. */
  readonly waitMs: number
}

/** What RFC 3550 leaves to the receiver: the window that other servers use, and a bound in time. */
export const UDP_REORDERING: ReorderLimits = { packets: 64, waitMs: 250 }
export const NO_REORDERING: ReorderLimits = { packets: 0, waitMs: 0 }

type Waiting = { readonly packet: RtpPacket; readonly arrivedAt: EpochMs }

/** Puts packets in the order of their extended sequence numbers, and says where some are missing. */
export class ReorderWindow {
  readonly #limits: ReorderLimits
  readonly #waiting = new Map<number, Waiting>()
  #next: number | null = null
  #highest = Number.NEGATIVE_INFINITY
  #reordered = 0
  #duplicates = 0

  constructor(limits: ReorderLimits) {
    this.#limits = limits
  }

  /** Packets that came out of order and still in time. */
  get reordered(): number {
    return this.#reordered
  }

  /** Packets that came twice, or after their turn. */
  get duplicates(): number {
    return this.#duplicates
  }

  /** Whether the packet is the next one and none waits, as nearly always: it may go on by itself. */
  passes(extended: number): boolean {
    if (extended !== this.#next || this.#waiting.size > 0) return false
    this.#next++
    this.#highest = extended
    return true
  }

  /** @param packet may be a view; what waits is copied */
  push(extended: number, packet: RtpPacket, arrivedAt: EpochMs): readonly OrderedPacket[] {
    this.#next ??= extended
    if (extended < this.#next || this.#waiting.has(extended)) {
      this.#duplicates++
      return NONE
    }
    if (extended < this.#highest) this.#reordered++
    else this.#highest = extended
    if (extended === this.#next) {
      this.#next++
      const first = { packet, arrivedAt, missing: 0 }
      return this.#waiting.size === 0 ? [first] : [first, ...this.#followers()]
    }
    if (this.#limits.packets === 0) return [this.#skipTo(extended, { packet, arrivedAt })]
    this.#waiting.set(extended, { packet: ownPacket(packet), arrivedAt })
    return this.#overdue(arrivedAt)
  }

  /** All that waits, in order. */
  flush(): readonly OrderedPacket[] {
    const ordered: OrderedPacket[] = []
    while (this.#waiting.size > 0) ordered.push(...this.#skipToFirst())
    return ordered
  }

  #overdue(now: EpochMs): readonly OrderedPacket[] {
    const ordered: OrderedPacket[] = []
    while (this.#waiting.size > this.#limits.packets || this.#hasWaitedTooLong(now)) {
      ordered.push(...this.#skipToFirst())
    }
    return ordered
  }

  /** Packets wait in the order of arrival, so the first one of the map has waited longest. */
  #hasWaitedTooLong(now: EpochMs): boolean {
    for (const { arrivedAt } of this.#waiting.values()) {
      return Math.abs(now - arrivedAt) > this.#limits.waitMs
    }
    return false
  }

  #skipToFirst(): readonly OrderedPacket[] {
    const extended = Math.min(...this.#waiting.keys())
    const waiting = this.#waiting.get(extended)!
    this.#waiting.delete(extended)
    return [this.#skipTo(extended, waiting), ...this.#followers()]
  }

  #skipTo(extended: number, { packet, arrivedAt }: Waiting): OrderedPacket {
    const missing = extended - this.#next!
    this.#next = extended + 1
    return { packet, arrivedAt, missing }
  }

  #followers(): readonly OrderedPacket[] {
    const ordered: OrderedPacket[] = []
    for (
      let waiting = this.#waiting.get(this.#next!);
      waiting !== undefined;
      waiting = this.#waiting.get(this.#next!)
    ) {
      this.#waiting.delete(this.#next!)
      this.#next!++
      ordered.push({ ...waiting, missing: 0 })
    }
    return ordered
  }
}

const NONE: readonly OrderedPacket[] = []
