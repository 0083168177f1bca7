import type { StoredFragment } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Track } from '../../domain/track.ts'
import { toSamples } from '../../media/matroska/scanner.ts'
import { isLengthPrefixed } from '../../media/nal/nal-units.ts'
import { nalLengthBytesOf } from './parameter-sets.ts'

/**
 * Whether the video samples of a fragment are what its codec wants: NAL units with lengths.
 *
 * @throws ServiceError `invalid-argument`/`InvalidMediaFrameException`
 */
export function checkFrames(
  { bytes, tracks }: StoredFragment,
  { number, codecId, codecPrivate }: Track,
): void {
  const nalLengthBytes = nalLengthBytesOf(codecId, codecPrivate)
  const bad = toSamples(bytes, tracks).find(
    ({ trackNumber, data }) => trackNumber === number && !isLengthPrefixed(data, nalLengthBytes),
  )
  if (bad === undefined) return
  throw new ServiceError(
    'invalid-argument',
    'InvalidMediaFrameException',
    `A frame of track ${number} at ${bad.ptsMs} ms is not what ${codecId} wants.`,
  )
}
