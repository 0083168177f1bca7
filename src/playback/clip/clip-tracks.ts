import { ServiceError } from '../../domain/errors.ts'
import { CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'
import { toPlayableTracks } from '../../media/fmp4/playable-track.ts'
import { parseAvcConfig } from '../../media/nal/avc-config.ts'
import { parseHevcConfig } from '../../media/nal/hevc-config.ts'

/**
 * The tracks of a stored header that a clip carries, the video first.
 *
 * @throws ServiceError what GetClip declares: `invalid-argument`/`UnsupportedStreamMediaTypeException`
 *   without H.264 or H.265, `MissingCodecPrivateDataException`, `InvalidCodecPrivateDataException`
 */
export function requireClipTracks(tracks: readonly Track[]): readonly Track[] {
  const video = tracks.find(({ kind }) => kind === 'video')
  if (video === undefined || (video.codecId !== CODEC_AVC && video.codecId !== CODEC_HEVC)) {
    const held = tracks.map(({ codecId }) => codecId.slice(0, 64)).join(', ') || 'nothing'
    throw new ServiceError(
      'invalid-argument',
      'UnsupportedStreamMediaTypeException',
      `A clip carries H.264 or H.265 video with AAC audio; the stream holds ${held}.`,
    )
  }
  if (video.codecPrivate.length === 0) {
    throw new ServiceError(
      'invalid-argument',
      'MissingCodecPrivateDataException',
      `Track ${video.number} has no codec private data.`,
    )
  }
  try {
    if (video.codecId === CODEC_AVC) parseAvcConfig(video.codecPrivate)
    else parseHevcConfig(video.codecPrivate)
  } catch (error) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidCodecPrivateDataException',
      `The codec private data of track ${video.number} is not valid.`,
      { cause: error },
    )
  }
  return toPlayableTracks(tracks)
}
