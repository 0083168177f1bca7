import type { EpochMs } from './time.ts'

/** One elementary stream inside a Fragment, as ISO/IEC 14496-12 defines a track. */
export type Track = {
  /** Matroska TrackNumber, 1..126; video is 1 wherever we number tracks ourselves. */
  readonly number: number
  readonly kind: 'video' | 'audio' | 'data'
  /** Matroska codec ID: V_MPEG4/ISO/AVC, V_MPEGH/ISO/HEVC, A_AAC, ... */
  readonly codecId: string
  /** avcC, hvcC or AudioSpecificConfig; empty when the codec has none. */
  readonly codecPrivate: Uint8Array
  /** Ticks per second of this track's samples: 1000 for RTMP and for default Matroska. */
  readonly timescale: number
  readonly video: { readonly widthPx: number; readonly heightPx: number } | null
  readonly audio: { readonly sampleRateHz: number; readonly channels: number } | null
}

/** One coded unit of a track; for video, one access unit with length-prefixed NAL units. */
export type Sample = {
  readonly trackNumber: number
  /** Presentation and decode time in whole ticks of the track's timescale. */
  readonly pts: number
  readonly dts: number
  readonly isKey: boolean
  /** Owned by the sample: never a view on a buffer that is used again. */
  readonly data: Uint8Array
  /** When its first byte reached us. */
  readonly arrivedAt: EpochMs
}

export const CODEC_AVC = 'V_MPEG4/ISO/AVC'
export const CODEC_HEVC = 'V_MPEGH/ISO/HEVC'
export const CODEC_AAC = 'A_AAC'
