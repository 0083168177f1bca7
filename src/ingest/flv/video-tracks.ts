import {
  CODEC_AV1,
  CODEC_AVC,
  CODEC_HEVC,
  CODEC_VP8,
  CODEC_VP9,
  CODEC_VVC,
  type Track,
} from '../../domain/track.ts'
import { findAv1PictureSize, parseAv1Config } from '../../media/av1/av1-config.ts'
import { parseAvcConfig } from '../../media/nal/avc-config.ts'
import { parseHevcConfig } from '../../media/nal/hevc-config.ts'
import { parseVvcConfig } from '../../media/nal/vvc-config.ts'
import { parseVp8KeyFrame, type PictureSize } from '../../media/vpx/vp8-frame.ts'
import { parseVp9KeyFrame, parseVpConfig, toVp9Features } from '../../media/vpx/vp9.ts'
import { toAvcTrack, toHevcTrack, VIDEO_TRACK } from '../parameter-sets.ts'
import type { VideoCodec } from './video-body.ts'

/** What is known of a picture before its first key sample. */
export type VideoConfig = {
  readonly codec: VideoCodec
  /** Of the samples' NAL units; `null` for codecs that have none. */
  readonly nalLengthBytes: number | null
  /** `null` when only a key sample, or the metadata, can tell the size. */
  readonly track: Track | null
  readonly codecPrivate: Uint8Array
}

/** @throws MalformedMediaError */
export function readVideoConfig(
  codec: VideoCodec,
  record: Uint8Array,
  announced: PictureSize | null,
): VideoConfig {
  switch (codec) {
    case 'avc':
      return withTrack(codec, parseAvcConfig(record).nalLengthBytes, toAvcTrack(record))
    case 'hevc':
      return withTrack(codec, parseHevcConfig(record).nalLengthBytes, toHevcTrack(record))
    case 'vvc': {
      const { nalLengthBytes, picture } = parseVvcConfig(record)
      const size = picture ?? announced ?? UNKNOWN_SIZE
      return withTrack(codec, nalLengthBytes, toTrack('vvc', record, size))
    }
    case 'av1': {
      const size = findAv1PictureSize(parseAv1Config(record).obus)
      const track = size === null ? null : toTrack('av1', record, size)
      return { codec, nalLengthBytes: null, track, codecPrivate: record }
    }
    case 'vp9': {
      const codecPrivate = toVp9Features(parseVpConfig(record))
      return { codec, nalLengthBytes: null, track: null, codecPrivate }
    }
    case 'vp8': // its record says what no decoder needs
      return { codec, nalLengthBytes: null, track: null, codecPrivate: new Uint8Array(0) }
  }
}

/** The track of codecs that tell their picture's size in key samples; `null` if this one does not. */
export function toTrackOfKeySample(config: VideoConfig, data: Uint8Array): Track | null {
  const size = sizeIn(config.codec, data)
  return size === null ? null : toTrack(config.codec, config.codecPrivate, size)
}

function sizeIn(codec: VideoCodec, data: Uint8Array): PictureSize | null {
  switch (codec) {
    case 'av1':
      return findAv1PictureSize(data)
    case 'vp9':
      return parseVp9KeyFrame(data)
    case 'vp8':
      return parseVp8KeyFrame(data)
    default:
      return null
  }
}

function withTrack(codec: VideoCodec, nalLengthBytes: number, track: Track): VideoConfig {
  return { codec, nalLengthBytes, track, codecPrivate: track.codecPrivate }
}

function toTrack(codec: VideoCodec, codecPrivate: Uint8Array, video: PictureSize): Track {
  const codecId = CODEC_IDS[codec]
  const base = { number: VIDEO_TRACK, kind: 'video', timescale: 1000, audio: null } as const
  return { ...base, codecId, codecPrivate, video }
}

const CODEC_IDS: Record<VideoCodec, string> = {
  avc: CODEC_AVC,
  hevc: CODEC_HEVC,
  vvc: CODEC_VVC,
  av1: CODEC_AV1,
  vp9: CODEC_VP9,
  vp8: CODEC_VP8,
}

/** Matroska wants at least 1 x 1 (RFC 9559 §5.1.4.1.28.6). */
const UNKNOWN_SIZE: PictureSize = { widthPx: 1, heightPx: 1 }
