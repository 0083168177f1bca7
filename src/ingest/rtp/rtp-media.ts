import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import type { MediaDescription } from '../sdp/parse-sdp.ts'
import type { PayloadFormat } from '../sdp/payload-format.ts'
import { WrappingTimestamp } from '../wrapping-timestamp.ts'
import type { CodedUnit, Depacketiser, TrackFormat, UnitSink } from './depacketise/depacketiser.ts'
import { kindOfFormat, openDepacketiser } from './depacketise/open-depacketiser.ts'
import type { MediaSink } from './media-sink.ts'
import { toLastSenderReport, toReceiverReport, type LastSenderReport } from './receiver-report.ts'
import { ReceiverStatistics } from './receiver-statistics.ts'
import {
  NO_REORDERING,
  ReorderWindow,
  UDP_REORDERING,
  type OrderedPacket,
} from './reorder-window.ts'
import type { RtpMediaStats } from './rtp-media-stats.ts'
import { parseRtcp, toWallMs, type RtcpPacket } from './rtcp-packet.ts'
import { parseRtpPacket, type RtpPacket } from './rtp-packet.ts'
import { PROVING_PACKETS, SourceLock } from './source-lock.ts'

/** How we are named in what we send (RFC 3550 §6.5.1). */
export type RtcpIdentity = { readonly ssrc: number; readonly cname: string }

export type RtpMediaOptions = {
  readonly media: MediaDescription
  readonly trackNumber: number
  readonly announcedSsrc: number | null
  readonly isReliable: boolean
  readonly identity: RtcpIdentity
}

type SenderReport = Extract<RtcpPacket, { type: 'sender-report' }>

/**
 * One media: packets into one source's packets in order, those into units, units into samples of one
 * track. Times are the RTP timestamps, unwrapped; a source that replaces another begins a minute later
 * on the same line, so that the publisher sees the jump that it is.
 */
export class RtpMedia {
  readonly #publisher: MediaSink
  readonly #clock: Clock
  readonly #options: RtpMediaOptions
  readonly #source: SourceLock
  #format: PayloadFormat | null = null
  #depacketiser: Depacketiser | null = null
  #statistics: ReceiverStatistics
  #window: ReorderWindow
  #time = new WrappingTimestamp()
  /** Added to the unwrapped timestamps of the present source; `null` before its first packet. */
  #shiftTicks: number | null = 0
  #newestTicks: number | null = null
  #isDescribed = false
  #senderReport: SenderReport | null = null
  #senderReportAt: EpochMs | null = null
  /** One that came before the track's first sample. */
  #isReportPending = false
  #hasEnded = false
  #tally = { packets: 0, bytes: 0, refused: 0, lost: 0, malformed: 0, keyFrames: 0, samples: 0 }
  /** Of windows that were left behind. */
  #before = { reordered: 0, duplicates: 0, expected: 0 }

  constructor(deps: { publisher: MediaSink; clock: Clock }, options: RtpMediaOptions) {
    this.#publisher = deps.publisher
    this.#clock = deps.clock
    this.#options = options
    const isSparse = kindOfFormat(options.media) === 'data'
    this.#source = new SourceLock(options.announcedSsrc, isSparse ? 1 : PROVING_PACKETS)
    this.#statistics = new ReceiverStatistics(options.media.clockRateHz)
    this.#window = this.#openWindow()
  }

  get keyFrames(): number {
    return this.#tally.keyFrames
  }

  get samples(): number {
    return this.#tally.samples
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  rtp(bytes: Uint8Array, arrivedAt: EpochMs): void {
    // RFC 5761 §4: RTCP on the same port or channel.
    if (bytes[1]! >= 200 && bytes[1]! <= 207) {
      this.rtcp(bytes, arrivedAt)
      return
    }
    const packet = parseRtpPacket(bytes)
    if (packet === null) {
      this.#tally.malformed++
      return
    }
    if (!this.#isOfOurs(packet)) {
      this.#tally.refused++
      return
    }
    if (this.#source.isOfSource(packet, arrivedAt)) {
      this.#receive(packet, arrivedAt)
      return
    }
    const { packets, isNewSource } = this.#source.admit(packet, arrivedAt)
    if (isNewSource) this.#beginSource()
    for (const each of packets) this.#receive(each.packet, each.arrivedAt)
  }

  rtcp(bytes: Uint8Array, arrivedAt: EpochMs): void {
    const packets = parseRtcp(bytes)
    if (packets === null) this.#tally.malformed++
    for (const packet of packets ?? []) {
      if (packet.type === 'sender-report') this.#takeSenderReport(packet, arrivedAt)
      if (packet.type === 'bye' && packet.sources.includes(this.#source.ssrc ?? -1)) {
        this.flush()
        this.#hasEnded = true
      }
    }
  }

  receiverReport(): Uint8Array | null {
    const source = this.#source.ssrc
    const reception = source === null ? null : this.#statistics.report()
    if (source === null || reception === null) return null
    return toReceiverReport({
      ...this.#options.identity,
      source,
      reception,
      lastSenderReport: this.#lastSenderReport(source),
    })
  }

  stats(): RtpMediaStats {
    const { packets, bytes, lost, malformed, refused } = this.#tally
    const expected = this.#before.expected + this.#statistics.expected
    return {
      mediaIndex: this.#options.media.index,
      ssrc: this.#source.ssrc,
      packets,
      bytes,
      refused: refused + this.#source.refused,
      lost,
      lossFraction: expected > 0 ? Math.min(1, lost / expected) : 0,
      reordered: this.#before.reordered + this.#window.reordered,
      duplicates: this.#before.duplicates + this.#window.duplicates,
      jitterMs: this.#statistics.jitterMs,
      lastSenderReportAt: this.#senderReportAt,
      malformed,
    }
  }

  flush(): void {
    for (const each of this.#window.flush()) this.#take(each)
    this.#depacketiser?.flush()
  }

  /** The payload type that the source settled on, or any of the media's before. */
  #isOfOurs({ payloadType }: RtpPacket): boolean {
    if (this.#format !== null) return payloadType === this.#format.payloadType
    return this.#options.media.formats.some((format) => format.payloadType === payloadType)
  }

  #receive(packet: RtpPacket, arrivedAt: EpochMs): void {
    this.#tally.packets++
    this.#tally.bytes += RTP_HEADER_BYTES + packet.payload.length
    this.#hasEnded = false
    const place = this.#statistics.receive(packet, arrivedAt)
    if (place.type === 'restart') this.#beginWindow()
    if (this.#window.passes(place.extended)) this.#give(packet, arrivedAt)
    else {
      for (const each of this.#window.push(place.extended, packet, arrivedAt)) this.#take(each)
    }
  }

  #take({ packet, arrivedAt, missing }: OrderedPacket): void {
    if (missing > 0) {
      this.#tally.lost += missing
      this.#lose()
    }
    this.#give(packet, arrivedAt)
  }

  #give(packet: RtpPacket, arrivedAt: EpochMs): void {
    this.#shiftTicks ??= this.#shiftOf(packet)
    const ticks = this.#time.unwrap(packet.timestamp) + this.#shiftTicks
    this.#newestTicks = Math.max(ticks, this.#newestTicks ?? ticks)
    this.#depacketiser ??= this.#openDepacketiser(packet)
    // One literal and no spread: this runs for every packet.
    this.#depacketiser.take({
      ticks,
      marker: packet.marker,
      payload: packet.payload,
      sequence: packet.sequence,
      payloadType: packet.payloadType,
      timestamp: packet.timestamp,
      ssrc: packet.ssrc,
      arrivedAt,
    })
  }

  #openDepacketiser({ payloadType }: RtpPacket): Depacketiser {
    const { media } = this.#options
    this.#format = media.formats.find((format) => format.payloadType === payloadType) ?? media
    const sink: UnitSink = {
      describe: (format) => this.#describe(format),
      write: (unit) => this.#write(unit),
      drop: (reason, count) => this.#publisher.drop(reason, count),
      countMalformed: () => void this.#tally.malformed++,
    }
    return openDepacketiser(sink, this.#format, media)
  }

  #describe(format: TrackFormat): void {
    const { clockRateHz } = this.#format!
    this.#publisher.describe({
      ...format,
      number: this.#options.trackNumber,
      timescale: clockRateHz,
    })
    this.#isDescribed = true
  }

  #write(unit: CodedUnit): void {
    this.#tally.samples++
    if (unit.isKey && this.#options.trackNumber === VIDEO_TRACK) this.#tally.keyFrames++
    this.#publisher.write({ ...unit, trackNumber: this.#options.trackNumber })
    if (this.#isReportPending) this.#observeClock()
  }

  #lose(): void {
    this.#depacketiser?.lose()
    if (this.#isDescribed) this.#publisher.markLoss(this.#options.trackNumber)
  }

  /** Another sender: its sequence and its timestamps have nothing to do with those before. */
  #beginSource(): void {
    this.#beginWindow()
    this.#before.expected += this.#statistics.expected
    this.#statistics = new ReceiverStatistics(this.#options.media.clockRateHz)
    this.#time = new WrappingTimestamp()
    this.#senderReport = null
    this.#isReportPending = false
    this.#shiftTicks = null
  }

  #shiftOf(first: RtpPacket): number {
    const gapTicks = NEW_SOURCE_GAP_S * this.#options.media.clockRateHz
    return (this.#newestTicks ?? 0) + gapTicks - first.timestamp
  }

  #beginWindow(): void {
    this.flush()
    this.#before.reordered += this.#window.reordered
    this.#before.duplicates += this.#window.duplicates
    this.#window = this.#openWindow()
    this.#lose()
  }

  #openWindow(): ReorderWindow {
    return new ReorderWindow(this.#options.isReliable ? NO_REORDERING : UDP_REORDERING)
  }

  /** Tapo cameras report on sources that they do not send. */
  #takeSenderReport(report: SenderReport, arrivedAt: EpochMs): void {
    if (this.#source.ssrc !== null && report.ssrc !== this.#source.ssrc) return
    this.#senderReport = report
    this.#senderReportAt = arrivedAt
    this.#isReportPending = true
    if (this.#tally.samples > 0) this.#observeClock()
  }

  #observeClock(): void {
    this.#isReportPending = false
    const report = this.#senderReport
    if (report === null || report.ssrc !== this.#source.ssrc) return
    const wallMs = toWallMs(report.ntpSeconds, report.ntpFraction)
    if (wallMs === null) return
    const ticks = this.#time.nearest(report.rtpTimestamp) + (this.#shiftTicks ?? 0)
    this.#publisher.observeClock(this.#options.trackNumber, { ticks, wallMs })
  }

  #lastSenderReport(source: number): LastSenderReport | null {
    const report = this.#senderReport
    if (report === null || this.#senderReportAt === null || report.ssrc !== source) return null
    return toLastSenderReport(report, this.#clock.now() - this.#senderReportAt)
  }
}

const RTP_HEADER_BYTES = 12
const VIDEO_TRACK = 1
const NEW_SOURCE_GAP_S = 60
