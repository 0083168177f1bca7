import { epochMs, type EpochMs } from '../../../src/domain/time.ts'
import type { Sample, Track } from '../../../src/domain/track.ts'
import { RtpIntake, type MediaSink } from '../../../src/ingest/rtp/rtp-intake.ts'
import { parseSdp } from '../../../src/ingest/sdp/parse-sdp.ts'
import { ManualClock } from '../../support/manual-clock.ts'

export const NOW = epochMs(1_700_000_000_000)

/** Keeps everything that an intake gives out. */
export class RecordingSink implements MediaSink {
  expected: readonly Track['kind'][] | null = null
  readonly tracks: Track[] = []
  readonly samples: Sample[] = []
  readonly drops = new Map<string, number>()
  readonly clocks: { trackNumber: number; ticks: number; wallMs: EpochMs }[] = []
  readonly losses: number[] = []

  expect(kinds: readonly Track['kind'][]): void {
    this.expected = kinds
  }

  describe(track: Track): void {
    this.tracks.push(track)
  }

  write(sample: Sample): void {
    this.samples.push(sample)
  }

  drop(reason: string, count = 1): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + count)
  }

  observeClock(trackNumber: number, at: { ticks: number; wallMs: EpochMs }): void {
    this.clocks.push({ trackNumber, ...at })
  }

  markLoss(trackNumber: number): void {
    this.losses.push(trackNumber)
  }
}

/** An intake of all medias of an SDP, into a recording sink. */
export function openIntake(
  sdp: string,
  options: { isReliable?: boolean; ssrcOf?: ReadonlyMap<number, number> } = {},
) {
  const sink = new RecordingSink()
  const clock = new ManualClock(NOW)
  const { medias } = parseSdp(sdp)
  const intake = new RtpIntake({ publisher: sink, clock }, { isReliable: true, medias, ...options })
  return { sink, intake, medias, clock }
}

export type MadePacket = {
  readonly payload: Uint8Array
  readonly timestamp?: number
  readonly sequence?: number
  readonly marker?: boolean
  readonly payloadType?: number
  readonly ssrc?: number
}

/** An RTP packet with the smallest header. */
export function rtpPacket(packet: MadePacket): Uint8Array {
  const { payload, timestamp = 0, sequence = 0, marker = false } = packet
  const { payloadType = 96, ssrc = 0x1234_5678 } = packet
  const bytes = new Uint8Array(12 + payload.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x80
  bytes[1] = (marker ? 0x80 : 0) | payloadType
  view.setUint16(2, sequence & 0xffff)
  view.setUint32(4, timestamp)
  view.setUint32(8, ssrc)
  bytes.set(payload, 12)
  return bytes
}

/** The same packets one after the other, in sequence. */
export function* inSequence(
  packets: Iterable<MadePacket>,
  firstSequence = 100,
): Generator<Uint8Array> {
  let sequence = firstSequence
  for (const packet of packets) yield rtpPacket({ sequence: sequence++, ...packet })
}
