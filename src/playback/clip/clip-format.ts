import { ServiceError } from '../../domain/errors.ts'
import type { Track } from '../../domain/track.ts'
import type { MovieTrack } from '../../media/fmp4/init-segment.ts'
import { toInitId } from '../hls/init-id.ts'
import { toParameterSets } from './parameter-sets.ts'

/** A track of a clip. */
export type ClipTrack = {
  readonly id: number
  /** As the clip's header has them. */
  readonly descriptions: readonly [Track, ...Track[]]
  /** Of `descriptions`, each by its key. */
  readonly numbers: ReadonlyMap<string, number>
}

/**
 * Collects what the headers in a clip's range declare, and makes one movie of it: a video track and,
 * where any of them has sound, an audio track, each with a description per configuration.
 */
export class ClipFormat {
  readonly #descriptions = { video: new Map<string, Track>(), audio: new Map<string, Track>() }

  /**
   * @param tracks of `requireClipTracks`
   * @throws ServiceError `invalid-argument`/`UnsupportedStreamMediaTypeException` when the codec is
   *   another one than before: a movie's track has one
   */
  add(tracks: readonly Track[], startsAt: number): void {
    for (const track of tracks) {
      const known = this.#descriptions[kindOf(track)]
      const [first] = known.values()
      if (first !== undefined && first.codecId !== track.codecId) {
        throw new ServiceError(
          'invalid-argument',
          'UnsupportedStreamMediaTypeException',
          `The codec changes from ${first.codecId} to ${track.codecId} at ` +
            `${new Date(startsAt).toISOString()}: ask for a range before or after that.`,
        )
      }
      known.set(keyOf(track), track)
    }
  }

  get isEmpty(): boolean {
    return this.#descriptions.video.size === 0
  }

  /** With IDs from 1, the video first. */
  get movieTracks(): readonly MovieTrack[] {
    const { video, audio } = this.#descriptions
    return [video, audio]
      .filter((known) => known.size > 0)
      .map((known, i) => {
        const [first, ...others] = known.values()
        return { id: i + 1, descriptions: [first!, ...others] }
      })
  }

  /** Its track in the movie; `null` when it is of none of the headers that were added. */
  placeOf(track: Track): PlacedTrack | null {
    const known = this.#descriptions[kindOf(track)]
    const number = [...known.keys()].indexOf(keyOf(track)) + 1
    if (number === 0) return null
    const [first] = known.values()
    const isVideo = kindOf(track) === 'video'
    return {
      track: { ...first!, number: isVideo ? 1 : 2 },
      description: number,
      // Players that know one description of a track only take the others from the media itself.
      parameterSets: isVideo && known.size > 1 ? toParameterSets(track) : null,
    }
  }
}

export type PlacedTrack = {
  /** With its ID in the movie as its number, and the timescale of its first description. */
  readonly track: Track
  readonly description: number
  /** To stand in every key sample; `null` when the header's are enough. */
  readonly parameterSets: Uint8Array | null
}

function kindOf(track: Track): 'video' | 'audio' {
  return track.audio === null ? 'video' : 'audio'
}

function keyOf(track: Track): string {
  return toInitId([{ ...track, number: 1 }])
}
