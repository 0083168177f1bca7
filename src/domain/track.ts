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
  readonly audio: {
    readonly sampleRateHz: number
    readonly channels: number
    /** Of linear PCM, which cannot be read without it. */
    readonly bitDepth?: number
  } | null
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

/**
 * Codec IDs as the Matroska codec registry has them (draft-ietf-cellar-codec §4), except for the last
 * three, which are ours: docs/design/ingest.md says what their samples are.
 */
export const CODEC_AVC = 'V_MPEG4/ISO/AVC'
export const CODEC_HEVC = 'V_MPEGH/ISO/HEVC'
export const CODEC_AAC = 'A_AAC'
export const CODEC_AV1 = 'V_AV1'
export const CODEC_VP8 = 'V_VP8'
export const CODEC_VP9 = 'V_VP9'
export const CODEC_MJPEG = 'V_MJPEG'
export const CODEC_OPUS = 'A_OPUS'
/** WAVEFORMATEX in the private data says which: G.711, G.722, G.726. */
export const CODEC_ACM = 'A_MS/ACM'
export const CODEC_PCM_BIG_ENDIAN = 'A_PCM/INT/BIG'
export const CODEC_PCM_LITTLE_ENDIAN = 'A_PCM/INT/LIT'
export const CODEC_VVC = 'V_MPEGI/ISO/VVC'
export const CODEC_FLAC = 'A_FLAC'
export const CODEC_AC3 = 'A_AC3'
export const CODEC_EAC3 = 'A_EAC3'
/** Layers I to III, each with its number behind it. */
export const CODEC_MPEG_AUDIO = 'A_MPEG/L'
/** ONVIF metadata: one XML document a sample. */
export const CODEC_ONVIF_METADATA = 'D_ONVIF/METADATA'
/** RTP of a format that we cannot read: whole packets, framed as RFC 4571 does. */
export const CODEC_RTP = 'D_RTP'
/** A codec of FLV that has no name in Matroska; followed by /VIDEO/ or /AUDIO/ and FLV's own name. */
export const CODEC_FLV = 'D_FLV'
