import { randomBytes } from 'node:crypto'
import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import type { MediaDescription } from '../sdp/parse-sdp.ts'
import { kindOfFormat } from './depacketise/open-depacketiser.ts'
import type { MediaSink } from './media-sink.ts'
import { RtpMedia, type RtcpIdentity } from './rtp-media.ts'
import type { RtpMediaStats } from './rtp-media-stats.ts'

export type { MediaSink } from './media-sink.ts'
export type { RtpMediaStats } from './rtp-media-stats.ts'

export type RtpIntakeOptions = {
  /** Those that were set up. */
  readonly medias: readonly MediaDescription[]
  /** By media index; from Transport, a hint only. */
  readonly ssrcOf?: ReadonlyMap<number, number>
  /** Interleaved in TCP: packets come in order, so none is waited for. */
  readonly isReliable: boolean
}

/**
 * RTP and RTCP of one session's medias in, Tracks and Samples to the publisher out. Never throws on
 * what a peer sends: counts it. Tracks: the first video is 1, the first audio 2, all others follow.
 */
export class RtpIntake {
  readonly #medias = new Map<number, RtpMedia>()

  constructor(deps: { publisher: MediaSink; clock: Clock }, options: RtpIntakeOptions) {
    const { medias, ssrcOf, isReliable } = options
    const identity = newIdentity()
    const numbers = numberTracks(medias)
    for (const media of medias) {
      const announcedSsrc = ssrcOf?.get(media.index) ?? null
      const trackNumber = numbers.get(media.index)!
      const options = { media, trackNumber, announcedSsrc, isReliable, identity }
      this.#medias.set(media.index, new RtpMedia(deps, options))
    }
    // Metadata may never come; nothing waits for it.
    deps.publisher.expect(medias.map(kindOfFormat).filter((kind) => kind !== 'data'))
  }

  /** Whole key frames of video; the watchdog of a pull looks at it. */
  get keyFrames(): number {
    return this.#sum((media) => media.keyFrames)
  }

  get samples(): number {
    return this.#sum((media) => media.samples)
  }

  /** Every media has said BYE. */
  get hasEnded(): boolean {
    return this.#medias.size > 0 && [...this.#medias.values()].every((media) => media.hasEnded)
  }

  /** @param packet may be a view on a buffer that is used again */
  rtp(mediaIndex: number, packet: Uint8Array, arrivedAt: EpochMs): void {
    this.#medias.get(mediaIndex)?.rtp(packet, arrivedAt)
  }

  rtcp(mediaIndex: number, packet: Uint8Array, arrivedAt: EpochMs): void {
    this.#medias.get(mediaIndex)?.rtcp(packet, arrivedAt)
  }

  /** RR and SDES to send now (RFC 3550 §6.4.2), `null` before the first packet. */
  receiverReport(mediaIndex: number): Uint8Array | null {
    return this.#medias.get(mediaIndex)?.receiverReport() ?? null
  }

  stats(): readonly RtpMediaStats[] {
    return [...this.#medias.values()].map((media) => media.stats())
  }

  /** Gives out what waits in reordering windows; call it before `publisher.end()`. */
  flush(): void {
    for (const media of this.#medias.values()) media.flush()
  }

  #sum(of: (media: RtpMedia) => number): number {
    let sum = 0
    for (const media of this.#medias.values()) sum += of(media)
    return sum
  }
}

/** By media index. */
function numberTracks(medias: readonly MediaDescription[]): ReadonlyMap<number, number> {
  const numbers = new Map<number, number>()
  const firstOf = (kind: string) => medias.find((media) => kindOfFormat(media) === kind)
  const video = firstOf('video')
  const audio = firstOf('audio')
  let next = OTHER_TRACKS
  for (const media of medias) {
    const number = media === video ? VIDEO_TRACK : media === audio ? AUDIO_TRACK : next++
    numbers.set(media.index, number)
  }
  return numbers
}

const VIDEO_TRACK = 1
const AUDIO_TRACK = 2
const OTHER_TRACKS = 3

/** A name that says nothing about this machine (RFC 7022 §4.2) and an SSRC by chance (RFC 3550 §8.1). */
function newIdentity(): RtcpIdentity {
  const random = randomBytes(16)
  return { ssrc: random.readUInt32BE(0), cname: random.subarray(4).toString('base64') }
}
