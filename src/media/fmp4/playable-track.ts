import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'

/** Ticks per second of every video track that we write: a multiple of the archive's milliseconds. */
export const VIDEO_TIMESCALE = 90_000

/**
 * The tracks of a stored header that an fMP4 for browsers carries: the first H.264 or H.265 track
 * and the first AAC one, video first. Empty when there is neither.
 */
export function toPlayableTracks(tracks: readonly Track[]): readonly Track[] {
  const video = tracks.find(isPlayableVideo)
  const audio = tracks.find(isPlayableAudio)
  return [video, audio].filter((track) => track !== undefined)
}

/** Ticks per second of the track in our fMP4: for audio its sample rate, so that frames are whole. */
export function toFmp4Timescale(track: Track): number {
  return track.audio === null ? VIDEO_TIMESCALE : track.audio.sampleRateHz
}

function isPlayableVideo(track: Track): boolean {
  const coded = track.codecId === CODEC_AVC || track.codecId === CODEC_HEVC
  return coded && track.video !== null && track.codecPrivate.length > 0
}

// Matroska's older IDs append the profile, A_AAC/MPEG4/LC; all carry the same AudioSpecificConfig.
function isPlayableAudio(track: Track): boolean {
  const coded = track.codecId === CODEC_AAC || track.codecId.startsWith(`${CODEC_AAC}/`)
  const rate = track.audio?.sampleRateHz ?? 0 // a float in Matroska, a timescale here
  return coded && Number.isInteger(rate) && rate > 0 && track.codecPrivate.length >= 2
}
