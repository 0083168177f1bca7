import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../domain/track.ts'
import { parseAudioSpecificConfig } from '../media/aac/audio-specific-config.ts'
import { parseAvcConfig } from '../media/nal/avc-config.ts'
import { parseHevcConfig } from '../media/nal/hevc-config.ts'

/**
 * Tracks from what encoders announce them with. Video is track 1 and audio track 2, with times in
 * milliseconds.
 *
 * @throws MalformedMediaError when the record is none
 */
export function toAvcTrack(record: Uint8Array): Track {
  const { widthPx, heightPx } = parseAvcConfig(record).picture
  return { ...VIDEO, codecId: CODEC_AVC, codecPrivate: record, video: { widthPx, heightPx } }
}

export function toHevcTrack(record: Uint8Array): Track {
  const { widthPx, heightPx } = parseHevcConfig(record).picture
  return { ...VIDEO, codecId: CODEC_HEVC, codecPrivate: record, video: { widthPx, heightPx } }
}

export function toAacTrack(record: Uint8Array): Track {
  const { sampleRateHz, channels } = parseAudioSpecificConfig(record)
  // 0 channels: a program_config_element says it. Matroska wants at least one (RFC 9559 §5.1.4.1.29.3).
  const audio = { sampleRateHz, channels: Math.max(1, channels) }
  return { ...AUDIO, codecId: CODEC_AAC, codecPrivate: record, audio }
}

export const VIDEO_TRACK = 1
export const AUDIO_TRACK = 2

const VIDEO = { number: VIDEO_TRACK, kind: 'video', timescale: 1000, audio: null } as const
const AUDIO = { number: AUDIO_TRACK, kind: 'audio', timescale: 1000, video: null } as const
