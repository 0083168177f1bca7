import type { EpochMs } from '../../domain/time.ts'

/** A Media Playlist; RFC 8216 §4.3.3. */
export type MediaPlaylist = {
  /** Seconds; see {@link toTargetDuration}. */
  readonly targetDurationS: number
  /** Number of the first segment; never falls for one URL. */
  readonly mediaSequence: number
  /** Discontinuities of the stream up to and including the first segment. */
  readonly discontinuitySequence: number
  /** Whole and final (VOD), a window that goes on, or such a window that has reached its end. */
  readonly kind: 'vod' | 'live' | 'ended'
  readonly segments: readonly PlaylistSegment[]
}

export type PlaylistSegment = {
  readonly uri: string
  readonly durationMs: number
  /** Wall time of its earliest sample; `null`: not to be shown. */
  readonly startsAt: EpochMs | null
  readonly startsWithKey: boolean
  /** It does not continue its predecessor in this playlist; of no meaning for the first. */
  readonly discontinuity: boolean
  /** `null`: MPEG-TS, which has none; or a gap. */
  readonly initUri: string | null
  /** There is no such media, and players do not ask for it (draft-pantos-hls-rfc8216bis §4.4.4.7). */
  readonly gap?: boolean
}

/**
 * Renders a playlist.
 *
 * The first segment never carries EXT-X-DISCONTINUITY: its own is counted by
 * EXT-X-DISCONTINUITY-SEQUENCE, which so grows by one exactly when a tag leaves the window
 * (RFC 8216 §6.2.2).
 */
export function toMediaPlaylist(playlist: MediaPlaylist): string {
  const lines = [
    '#EXTM3U',
    `#EXT-X-VERSION:${toVersion(playlist.segments)}`,
    `#EXT-X-TARGETDURATION:${playlist.targetDurationS}`,
    `#EXT-X-MEDIA-SEQUENCE:${playlist.mediaSequence}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${playlist.discontinuitySequence}`,
  ]
  if (playlist.kind === 'vod') lines.push('#EXT-X-PLAYLIST-TYPE:VOD')
  if (playlist.segments.every((segment) => segment.startsWithKey)) {
    lines.push('#EXT-X-INDEPENDENT-SEGMENTS')
  }

  let initUri: string | null = null
  for (const [i, segment] of playlist.segments.entries()) {
    if (i > 0 && segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY')
    if (segment.initUri !== null && segment.initUri !== initUri) {
      lines.push(`#EXT-X-MAP:URI="${segment.initUri}"`)
      initUri = segment.initUri
    }
    if (segment.startsAt !== null) {
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.startsAt).toISOString()}`)
    }
    if (segment.gap === true) lines.push('#EXT-X-GAP')
    lines.push(`#EXTINF:${(segment.durationMs / 1000).toFixed(3)},`, segment.uri)
  }
  if (playlist.kind !== 'live') lines.push('#EXT-X-ENDLIST')
  return `${lines.join('\n')}\n`
}

/** RFC 8216bis §8: durations with fractions 3; EXT-X-MAP 6, but players of fMP4 expect 7; gaps 8. */
function toVersion(segments: readonly PlaylistSegment[]): number {
  if (segments.some((segment) => segment.gap === true)) return 8
  return segments.some((segment) => segment.initUri !== null) ? 7 : 3
}

/** Whole seconds that no rounded segment duration exceeds (RFC 8216 §4.3.3.1); at least 1. */
export function toTargetDuration(segments: readonly { readonly durationMs: number }[]): number {
  const longestMs = segments.reduce((longest, { durationMs }) => Math.max(longest, durationMs), 0)
  return Math.max(1, Math.ceil(longestMs / 1000))
}
