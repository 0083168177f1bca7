import type { Fragment } from '../../domain/fragment.ts'
import { epochMs } from '../../domain/time.ts'
import { toMasterPlaylist } from '../../media/hls/master-playlist.ts'
import { toMediaPlaylist, type PlaylistSegment } from '../../media/hls/media-playlist.ts'
import { startOf } from '../fragment-pages.ts'
import type { ListedFragment, Listing } from '../session/listing.ts'
import type { StreamingSession } from '../session/streaming-session.ts'
import type { ChunkFormat } from './chunk-formats.ts'
import { describeVariant, toBandwidth } from './segment-list.ts'

/** Which tracks a playlist lists; `all` in one, as MPEG-TS has them. */
export type TrackChoice = 'all' | 'video' | 'audio'

export type SessionContainer = 'FRAGMENTED_MP4' | 'MPEG_TS'

/** The names behind a session's playlists, relative to them. */
export type HlsSessionUris = {
  readonly media: (tracks: TrackChoice) => string
  readonly init: (tracks: TrackChoice, initId: string) => string
  /** `null`: of a gap, which nobody asks for. */
  readonly segment: (tracks: TrackChoice, fragment: Fragment | null) => string
}

/** What a stream that has sent nothing yet may need. */
const EXPECTED_BPS = 2_000_000

/**
 * The master playlist: pictures and sound in playlists of their own, but together in MPEG-TS, and
 * where it is not known yet what will come.
 *
 * @param formats of what is listed, or of what was last there
 */
export function toSessionMaster(
  { entries }: Listing,
  formats: readonly ChunkFormat[],
  container: SessionContainer,
  uris: HlsSessionUris,
): string {
  const fragments = entries.flatMap(({ fragment }) => fragment ?? [])
  const bandwidth =
    fragments.length === 0
      ? { peakBps: EXPECTED_BPS, averageBps: EXPECTED_BPS }
      : toBandwidth(fragments)
  const kinds = new Set(formats.flatMap(({ tracks }) => tracks.map(({ kind }) => kind)))
  const isApart = container === 'FRAGMENTED_MP4' && kinds.size > 0
  return toMasterPlaylist({
    uri: uris.media(isApart ? (kinds.has('video') ? 'video' : 'audio') : 'all'),
    audioUri: isApart && kinds.size === 2 ? uris.media('audio') : null,
    ...bandwidth,
    ...describeVariant(formats),
  })
}

/** One media playlist of a session. */
export function toSessionMedia(
  session: StreamingSession,
  { entries, isEnded, targetDurationS }: Listing,
  { tracks, container }: { readonly tracks: TrackChoice; readonly container: SessionContainer },
  uris: HlsSessionUris,
): string {
  const first = entries[0]
  return toMediaPlaylist({
    kind: session.mode === 'ON_DEMAND' ? 'vod' : isEnded ? 'ended' : 'live',
    targetDurationS,
    mediaSequence: first?.position ?? 0,
    discontinuitySequence: first?.discontinuitySequence ?? 0,
    segments: entries.map((entry): PlaylistSegment => {
      const { fragment, durationMs, discontinuity } = entry
      const initId = initIdOf(entry, tracks)
      const hasInit = initId !== null && container === 'FRAGMENTED_MP4'
      return {
        uri: uris.segment(tracks, fragment),
        initUri: hasInit ? uris.init(tracks, initId) : null,
        durationMs,
        startsAt:
          session.showTimestamps && fragment !== null
            ? epochMs(startOf(fragment, session.clock))
            : null,
        startsWithKey: fragment?.startsWithKey ?? true,
        discontinuity,
        gap: initId === null,
      }
    }),
  })
}

/** `null`: the entry has nothing of these tracks. */
function initIdOf({ format }: ListedFragment, tracks: TrackChoice): string | null {
  if (format === null || tracks === 'all') return format?.initId ?? null
  return format.tracks.find(({ kind }) => kind === tracks)?.initId ?? null
}
