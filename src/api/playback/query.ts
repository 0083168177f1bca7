import { ServiceError } from '../../domain/errors.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'
import type { ChildQuery, PlaybackRange } from '../../playback/index.ts'

/** The query of a playlist, parsed. */
export type PlaylistQuery = {
  /** `null`: live. */
  readonly range: PlaybackRange | null
  /** For the media playlist: everything that was understood, encoded again. */
  readonly playlistQuery: ChildQuery
  /** For segments: the token alone. */
  readonly segmentQuery: ChildQuery
}

/**
 * `from` and `to` are ISO 8601 times or milliseconds since 1970; without `to` the range ends now.
 *
 * @param query as parsed from the URL; a name given twice is an array
 * @throws ServiceError `invalid-argument`/`InvalidTime`
 */
export function parsePlaylistQuery(query: Readonly<Record<string, unknown>>): PlaylistQuery {
  const { from, to, token } = query
  const passedOn = { from, to, token }
  const range =
    from === undefined && to === undefined
      ? null
      : { from: parseTime('from', from), to: to === undefined ? null : parseTime('to', to) }
  return {
    range,
    playlistQuery: toQuery(passedOn),
    segmentQuery: toQuery({ token }),
  }
}

/** What `Date` can print as a year of four digits. */
const MAX_EPOCH_MS = Date.UTC(9999, 11, 31)
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/

/**
 * @param name of the parameter, for the error
 * @throws ServiceError `invalid-argument`/`InvalidTime`
 */
export function parseTime(name: string, text: unknown): EpochMs {
  const value =
    typeof text !== 'string'
      ? NaN
      : /^\d{1,15}$/.test(text)
        ? Number(text)
        : ISO_TIME.test(text)
          ? Date.parse(text)
          : NaN
  if (!(value >= 0 && value <= MAX_EPOCH_MS)) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidTime',
      `"${name}" must be an ISO 8601 time with a zone, or milliseconds since 1970.`,
    )
  }
  return epochMs(value)
}

/** Encoded, so that nothing of it can end a line or a quoted string of a playlist. */
function toQuery(values: Readonly<Record<string, unknown>>): ChildQuery {
  const given = Object.entries(values).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`
}
