import type { EpochMs } from '../../../domain/time.ts'
import type { Track } from '../../../domain/track.ts'

/** One packet of a media in its turn. */
export type MediaPacket = {
  /** The RTP timestamp, unwrapped. */
  readonly ticks: number
  readonly marker: boolean
  /** May be a view on a buffer that is used again. */
  readonly payload: Uint8Array
  /** The rest of its header, for those who store it as it came. */
  readonly sequence: number
  readonly payloadType: number
  readonly timestamp: number
  readonly ssrc: number
  readonly arrivedAt: EpochMs
}

/** Puts the samples of one media together again. Never throws on what a peer sends. */
export interface Depacketiser {
  take(packet: MediaPacket): void
  /** Packets are missing before the next one, or the source began anew. */
  lose(): void
  /** No packet follows: gives out what is whole. */
  flush(): void
}

/** What a track is besides its number and its clock, which are the media's. */
export type TrackFormat = Omit<Track, 'number' | 'timescale'>

/** A coded unit in ticks of the media's clock. */
export type CodedUnit = {
  readonly pts: number
  readonly dts: number
  readonly isKey: boolean
  /** Owned by the unit. */
  readonly data: Uint8Array
  readonly arrivedAt: EpochMs
}

/** Where a depacketiser's results go. */
export type UnitSink = {
  describe(format: TrackFormat): void
  write(unit: CodedUnit): void
  /** Units that could not be given out. */
  drop(reason: DropReason, count?: number): void
  /** A payload, or a part of one, that cannot be read. */
  countMalformed(): void
}

export type DropReason =
  'packet-loss' | 'malformed-sample' | 'no-parameter-sets' | 'sample-too-large'

/** As large as a message of a publishing RTMP peer may be: a key frame of 8K video has room. */
export const MAX_UNIT_BYTES = 8 * 1024 * 1024
