import type { Track } from '../../domain/track.ts'
import { parseAudioSpecificConfig } from '../aac/audio-specific-config.ts'

/**
 * One AAC frame of silence for the track, or `null` where we know none: more than two channels, or
 * a profile with another syntax. Players hold video back where a declared audio track is empty, so
 * holes in the sound are filled with it.
 *
 * A raw_data_block without a single scale factor band, ISO/IEC 14496-3 §4.4.2.1:
 *
 *   mono    SCE 000, tag 0000, gain 0, ics_info: max_sfb 0; no pulse, TNS, gain control; END 111
 *   stereo  CPE 001, tag 0000, common_window 1, ics_info, no M/S; twice gain and flags; END 111
 */
export function toSilentFrame(track: Track): Uint8Array | null {
  const { objectType, channels } = parseAudioSpecificConfig(track.codecPrivate)
  if (!PLAIN_SYNTAX.has(objectType)) return null
  return channels === 1 ? SILENT_MONO : channels === 2 ? SILENT_STEREO : null
}

/** AAC LC, and SBR over it: a frame without SBR data is upsampled. */
const PLAIN_SYNTAX = new Set([2, 5])
const SILENT_MONO = Uint8Array.of(0x00, 0x00, 0x00, 0x07)
const SILENT_STEREO = Uint8Array.of(0x21, 0x00, 0x00, 0x00, 0x00, 0x1c)
