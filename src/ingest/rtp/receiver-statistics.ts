import type { RtpPacket } from './rtp-packet.ts'

/** Where a packet stands in its source's sequence. */
export type SequencePlace =
  | { readonly type: 'next' | 'earlier'; readonly extended: number }
  /** Too far from all before to be lost or late: the sender began anew. */
  | { readonly type: 'restart'; readonly extended: number }

/** One reception report block's figures (RFC 3550 §6.4.1). */
export type ReceptionReport = {
  /** Of the packets expected since the last report, in 1/256. */
  readonly fractionLost: number
  /** Since the beginning; negative where duplicates outnumber losses. */
  readonly cumulativeLost: number
  readonly extendedHighest: number
  /** In RTP ticks. */
  readonly jitterTicks: number
}

const SEQUENCES = 65_536
/** RFC 3550 §A.1. */
const MAX_DROPOUT = 3000
const MAX_MISORDER = 100

/** Counts one source's packets as RFC 3550 §A.1, §A.3 and §A.8 do. */
export class ReceiverStatistics {
  readonly #ticksPerMs: number
  #base = 0
  /** Extended by the times it wrapped; `null` before the first packet. */
  #highest: number | null = null
  #received = 0
  #expectedBefore = 0
  #receivedBefore = 0
  /** Of expected packets before a restart. */
  #expectedEarlier = 0
  #transit: number | null = null
  #jitterTicks = 0

  constructor(clockRateHz: number) {
    this.#ticksPerMs = clockRateHz / 1000
  }

  receive(packet: RtpPacket, arrivedAtMs: number): SequencePlace {
    this.#received++
    this.#measureJitter(packet.timestamp, arrivedAtMs)
    const highest = this.#highest
    if (highest === null) return this.#begin(packet.sequence)
    // The nearer way round.
    const step = ((packet.sequence - highest + SEQUENCES * 1.5) % SEQUENCES) - SEQUENCES / 2
    const extended = highest + step
    if (step > MAX_DROPOUT || step < -MAX_MISORDER) {
      this.#expectedEarlier += highest - this.#base + 1
      return this.#begin(highest + SEQUENCES + ((packet.sequence - highest) & 0xffff))
    }
    if (step <= 0) return { type: 'earlier', extended }
    this.#highest = extended
    return { type: 'next', extended }
  }

  get expected(): number {
    const here = this.#highest === null ? 0 : this.#highest - this.#base + 1
    return this.#expectedEarlier + here
  }

  get lost(): number {
    return this.expected - this.#received
  }

  get jitterMs(): number {
    return this.#jitterTicks / this.#ticksPerMs
  }

  /** Also begins the next interval. */
  report(): ReceptionReport | null {
    if (this.#highest === null) return null
    const expected = this.expected - this.#expectedBefore
    const received = this.#received - this.#receivedBefore
    this.#expectedBefore = this.expected
    this.#receivedBefore = this.#received
    const lost = expected - received
    return {
      fractionLost:
        expected <= 0 || lost <= 0 ? 0 : Math.min(255, Math.floor((lost * 256) / expected)),
      cumulativeLost: Math.max(-0x80_0000, Math.min(0x7f_ffff, this.lost)),
      extendedHighest: this.#highest % 2 ** 32,
      jitterTicks: Math.min(0xffff_ffff, Math.round(this.#jitterTicks)),
    }
  }

  #begin(extended: number): SequencePlace {
    const type = this.#highest === null ? 'next' : 'restart'
    this.#base = extended
    this.#highest = extended
    this.#transit = null
    return { type, extended }
  }

  #measureJitter(timestamp: number, arrivedAtMs: number): void {
    const transit = arrivedAtMs * this.#ticksPerMs - timestamp
    if (this.#transit !== null) {
      const step = Math.abs(transit - this.#transit)
      // A wrap or a jump of the timestamps is no jitter.
      if (step < MAX_JITTER_MS * this.#ticksPerMs)
        this.#jitterTicks += (step - this.#jitterTicks) / 16
    }
    this.#transit = transit
  }
}

const MAX_JITTER_MS = 10_000
