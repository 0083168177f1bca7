import type { EpochMs } from '../../domain/time.ts'
import type { Sample, Track } from '../../domain/track.ts'
import type { Clock } from '../../platform/clock.ts'
import type { MediaDescription } from '../sdp/parse-sdp.ts'
import { parseRtpPacket } from './rtp-packet.ts'

/** What the intake needs of the publisher (IngestPublisher fulfils it). */
export type MediaSink = {
  expect(kinds: readonly Track['kind'][]): void
  describe(track: Track): void
  write(sample: Sample): void
  drop(reason: string, count?: number): void
  /** The track's tick `ticks` was at `wallMs` by the sender's own clock. */
  observeClock(trackNumber: number, at: { readonly ticks: number; readonly wallMs: EpochMs }): void
  /** Something of this track is missing before its next sample. */
  markLoss(trackNumber: number): void
}

export type RtpIntakeOptions = {
  /** Those that were set up. */
  readonly medias: readonly MediaDescription[]
  /** By media index; from Transport, a hint only. */
  readonly ssrcOf?: ReadonlyMap<number, number>
  /** Interleaved in TCP: packets come in order, so none is waited for. */
  readonly isReliable: boolean
}

export type RtpMediaStats = {
  readonly mediaIndex: number
  /** `null` before the source is settled. */
  readonly ssrc: number | null
  readonly packets: number
  /** Of RTP payload and header. */
  readonly bytes: number
  readonly lost: number
  /** Of what was expected, 0..1. */
  readonly lossFraction: number
  readonly reordered: number
  readonly duplicates: number
  readonly jitterMs: number
  readonly lastSenderReportAt: EpochMs | null
  /** Packets and payloads that could not be read. */
  readonly malformed: number
}

/**
 * RTP and RTCP of one session's medias in, Tracks and Samples to the publisher out. Never throws on
 * what a peer sends: counts it.
 */
export class RtpIntake {
  readonly #options: RtpIntakeOptions
  readonly #packets = new Map<number, { packets: number; bytes: number; malformed: number }>()

  constructor(_deps: { publisher: MediaSink; clock: Clock }, options: RtpIntakeOptions) {
    this.#options = options
    for (const { index } of options.medias) {
      this.#packets.set(index, { packets: 0, bytes: 0, malformed: 0 })
    }
  }

  /** Complete key frames seen; the watchdog of a pull looks at it. */
  get keyFrames(): number {
    return 0
  }

  get samples(): number {
    return 0
  }

  /** Every media has said BYE. */
  get hasEnded(): boolean {
    return false
  }

  /** @param packet may be a view on a buffer that is used again */
  rtp(mediaIndex: number, packet: Uint8Array, _arrivedAt: EpochMs): void {
    const counts = this.#packets.get(mediaIndex)
    if (counts === undefined) return
    counts.packets++
    counts.bytes += packet.length
    if (parseRtpPacket(packet) === null) counts.malformed++
  }

  rtcp(_mediaIndex: number, _packet: Uint8Array, _arrivedAt: EpochMs): void {}

  /** RR and SDES to send now (RFC 3550 §6.4.2), `null` before the first packet. */
  receiverReport(_mediaIndex: number): Uint8Array | null {
    return null
  }

  stats(): readonly RtpMediaStats[] {
    return this.#options.medias.map(({ index }) => ({
      mediaIndex: index,
      ssrc: null,
      lost: 0,
      lossFraction: 0,
      reordered: 0,
      duplicates: 0,
      jitterMs: 0,
      lastSenderReportAt: null,
      ...this.#packets.get(index)!,
    }))
  }

  /** Gives out what waits in reordering windows; call it before `publisher.end()`. */
  flush(): void {}
}
