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
  readonly lowLatency?: LowLatency
}

/** What players need to follow a live playlist by parts (draft-pantos-hls-rfc8216bis §6.2.5.2). */
export type LowLatency = {
  readonly partTargetMs: number
  /** The segment that grows: its parts so far; of its other facts only those that come before them. */
  readonly growing: PlaylistSegment | null
  /** The part that comes next; `null`: not known. */
  readonly nextPartUri: string | null
}

/** A part of a segment, §4.4.4.9. */
export type PlaylistPart = {
  readonly uri: string
  readonly durationMs: number
  readonly isIndependent: boolean
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
  /** Of a segment near the end of a playlist with low latency. */
  readonly parts?: readonly PlaylistPart[]
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
    `#EXT-X-VERSION:${toVersion(playlist)}`,
    `#EXT-X-TARGETDURATION:${playlist.targetDurationS}`,
    ...toServerControl(playlist),
    `#EXT-X-MEDIA-SEQUENCE:${playlist.mediaSequence}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${playlist.discontinuitySequence}`,
  ]
  if (playlist.kind === 'vod') lines.push('#EXT-X-PLAYLIST-TYPE:VOD')
  if (playlist.segments.every((segment) => segment.startsWithKey)) {
    lines.push('#EXT-X-INDEPENDENT-SEGMENTS')
  }

  const growing = playlist.lowLatency?.growing ?? null
  let initUri: string | null = null
  for (const [i, segment] of [
    ...playlist.segments,
    ...(growing === null ? [] : [growing]),
  ].entries()) {
    if (i > 0 && segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY')
    if (segment.initUri !== null && segment.initUri !== initUri) {
      lines.push(`#EXT-X-MAP:URI="${segment.initUri}"`)
      initUri = segment.initUri
    }
    if (segment.startsAt !== null) {
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(segment.startsAt).toISOString()}`)
    }
    if (segment.gap === true) lines.push('#EXT-X-GAP')
    lines.push(...(segment.parts ?? []).map(toPartTag))
    if (segment === growing) continue
    lines.push(`#EXTINF:${toSeconds(segment.durationMs)},`, segment.uri)
  }
  const nextPartUri = playlist.lowLatency?.nextPartUri ?? null
  if (nextPartUri !== null) lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${nextPartUri}"`)
  if (playlist.kind !== 'live') lines.push('#EXT-X-ENDLIST')
  return `${lines.join('\n')}\n`
}

/**
 * §4.4.3.7 and §4.4.3.8. Players keep three parts, or three segments, away from the end: what §4.4.3.8
 * recommends.
 */
function toServerControl({ lowLatency, targetDurationS }: MediaPlaylist): readonly string[] {
  if (lowLatency === undefined) return []
  const { partTargetMs } = lowLatency
  return [
    `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${toSeconds(3 * partTargetMs)},HOLD-BACK=${toSeconds(3000 * targetDurationS)}`,
    `#EXT-X-PART-INF:PART-TARGET=${toSeconds(partTargetMs)}`,
  ]
}

function toPartTag({ uri, durationMs, isIndependent }: PlaylistPart): string {
  const independent = isIndependent ? ',INDEPENDENT=YES' : ''
  return `#EXT-X-PART:DURATION=${toSeconds(durationMs)},URI="${uri}"${independent}`
}

function toSeconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}

/**
 * RFC 8216bis §8: durations with fractions 3; EXT-X-MAP 6, but players of fMP4 expect 7; gaps 8. Parts
 * need none: who does not know them skips them (§8, "EXT-X-SKIP" alone asks for 9).
 */
function toVersion({ segments }: MediaPlaylist): number {
  if (segments.some((segment) => segment.gap === true)) return 8
  return segments.some((segment) => segment.initUri !== null) ? 7 : 3
}

/** Whole seconds that no rounded segment duration exceeds (RFC 8216 §4.3.3.1); at least 1. */
export function toTargetDuration(segments: readonly { readonly durationMs: number }[]): number {
  const longestMs = segments.reduce((longest, { durationMs }) => Math.max(longest, durationMs), 0)
  return Math.max(1, Math.ceil(longestMs / 1000))
}
