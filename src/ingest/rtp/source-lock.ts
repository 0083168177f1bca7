import type { EpochMs } from '../../domain/time.ts'
import { ownPacket, type RtpPacket } from './rtp-packet.ts'

/** Packets of the one source that counts, and whether it is another than before. */
export type Admission = {
  readonly packets: readonly { readonly packet: RtpPacket; readonly arrivedAt: EpochMs }[]
  readonly isNewSource: boolean
}

/**
 * Decides whose packets these are. An old live555 writes another session's RTP on our channel, even
 * before PLAY, so the first packet proves nothing.
 *
 * 1. The SSRC that the peer announced in Transport is believed at once.
 * 2. Another one must come twice in a row, near in sequence; its packets wait until then. Not those
 *    of metadata, where the next packet may be an hour away.
 * 3. A settled source is replaced by one of which 16 packets come without any of its own between
 *    them, or 2 after 2 s of its silence: a camera that began anew. Nothing of the new one is lost.
 */
export class SourceLock {
  readonly #announced: number | null
  readonly #provingPackets: number
  #ssrc: number | null = null
  #lastAt: EpochMs | null = null
  /** By SSRC; sessions whose packets alternate must not keep each other from being proved. */
  readonly #candidates = new Map<number, Candidate>()
  #refused = 0

  constructor(announced: number | null, provingPackets = PROVING_PACKETS) {
    this.#announced = announced
    this.#provingPackets = provingPackets
  }

  /** `null` before a source is settled. */
  get ssrc(): number | null {
    return this.#ssrc
  }

  /** Packets of others that were thrown away. */
  get refused(): number {
    return this.#refused
  }

  /** Whether the packet is of the settled source: nearly all are, and need no more. */
  isOfSource(packet: RtpPacket, arrivedAt: EpochMs): boolean {
    if (packet.ssrc !== this.#ssrc) return false
    if (this.#candidates.size > 0) this.#refuseCandidates()
    this.#lastAt = arrivedAt
    return true
  }

  /** For a packet of another source. */
  admit(packet: RtpPacket, arrivedAt: EpochMs): Admission {
    if (this.#ssrc === null && packet.ssrc === this.#announced) {
      return this.#settle(packet.ssrc, [{ packet, arrivedAt }])
    }
    const candidate = this.#continueCandidate(packet)
    candidate.packets.push({ packet: ownPacket(packet), arrivedAt })
    if (candidate.packets.length < this.#needed(arrivedAt)) return NOTHING
    return this.#settle(packet.ssrc, candidate.packets)
  }

  #continueCandidate(packet: RtpPacket): Candidate {
    const known = this.#candidates.get(packet.ssrc)
    if (known !== undefined) {
      const step = (packet.sequence - known.sequence) & 0xffff
      known.sequence = packet.sequence
      if (step <= MAX_STEP || step >= 0x1_0000 - MAX_STEP) return known
      this.#refuse(packet.ssrc, known)
    }
    for (const [ssrc, oldest] of this.#candidates) {
      if (this.#candidates.size < MAX_CANDIDATES) break
      this.#refuse(ssrc, oldest)
    }
    const candidate = { sequence: packet.sequence, packets: [] }
    this.#candidates.set(packet.ssrc, candidate)
    return candidate
  }

  #refuse(ssrc: number, candidate: Candidate): void {
    this.#refused += candidate.packets.length
    this.#candidates.delete(ssrc)
  }

  #refuseCandidates(): void {
    for (const [ssrc, candidate] of this.#candidates) this.#refuse(ssrc, candidate)
  }

  #needed(now: EpochMs): number {
    const isSilent = this.#lastAt === null || Math.abs(now - this.#lastAt) > SILENCE_MS
    const hasOther = this.#ssrc !== null || this.#announced !== null
    return hasOther && !(this.#ssrc !== null && isSilent) ? REPLACING_PACKETS : this.#provingPackets
  }

  #settle(ssrc: number, packets: Admission['packets']): Admission {
    const isNewSource = this.#ssrc !== null
    this.#ssrc = ssrc
    this.#candidates.delete(ssrc)
    this.#refuseCandidates()
    this.#lastAt = packets.at(-1)!.arrivedAt
    return { packets, isNewSource }
  }
}

type Candidate = {
  sequence: number
  readonly packets: { readonly packet: RtpPacket; readonly arrivedAt: EpochMs }[]
}

const NOTHING: Admission = { packets: [], isNewSource: false }
/** RFC 3550 §A.1, MIN_SEQUENTIAL. */
export const PROVING_PACKETS = 2
const REPLACING_PACKETS = 16
const SILENCE_MS = 2_000
const MAX_STEP = 100
const MAX_CANDIDATES = 4
