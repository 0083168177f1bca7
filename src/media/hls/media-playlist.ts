import type { EpochMs } from '../../domain/time.ts'

/** A Media Playlist; RFC 8216 §4.3.3. */
export type MediaPlaylist = {
  /** Seconds; see {@link toTargetDuration}. */
  readonly targetDurationS: number
  /** Number of the first segment; never falls for one URL. */
  readonly mediaSequence: number
  /** Discontinuities of the stream up to and including the first segment. */
  readonly discontinuitySequence: number
  /** Whole and final (VOD), or a window that goes on. */
  readonly kind: 'vod' | 'live'
  readonly segments: readonly PlaylistSegment[]
}

export type PlaylistSegment = {
  readonly uri: string
  readonly durationMs: number
  /** Wall time of its earliest sample. */
  readonly startsAt: EpochMs
  readonly startsWithKey: boolean
  /** It does not continue its predecessor in this playlist; of no meaning for the first. */
  readonly discontinuity: boolean
  readonly initUri: string
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
    '#EXT-X-VERSION:7', // EXT-X-MAP without I-frames only needs 6; fMP4 players expect 7
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
    if (segment.initUri !== initUri) lines.push(`#EXT-X-MAP:URI="${segment.initUri}"`)
    initUri = segment.initUri
    lines.push(
      `#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.startsAt).toISOString()}`,
      `#EXTINF:${(segment.durationMs / 1000).toFixed(3)},`,
      segment.uri,
    )
  }
  if (playlist.kind === 'vod') lines.push('#EXT-X-ENDLIST')
  return `${lines.join('\n')}\n`
}

/** Whole seconds that no rounded segment duration exceeds (RFC 8216 §4.3.3.1); at least 1. */
export function toTargetDuration(segments: readonly { readonly durationMs: number }[]): number {
  const longestMs = segments.reduce((longest, { durationMs }) => Math.max(longest, durationMs), 0)
  return Math.max(1, Math.ceil(longestMs / 1000))
}
