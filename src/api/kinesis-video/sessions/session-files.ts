import { ServiceError } from '../../../domain/errors.ts'
import {
  parseFragmentNumber,
  type Fragment,
  type FragmentNumber,
} from '../../../domain/fragment.ts'
import type { MediaSegment, StreamingSessions, TrackChoice } from '../../../playback/index.ts'
import type { SessionGrant } from './session-grant.ts'

/** What stands behind a session's URLs, by the names that the service has for it (developer guide, metrics). */
export type SessionFile = {
  readonly operation: string
  readonly protocol: SessionGrant['protocol']
  readonly container: SessionGrant['container'] | 'any'
  readonly contentType: string
  readonly read: (request: FileRequest) => Promise<FileContent>
}

export type FileRequest = {
  readonly streaming: StreamingSessions
  readonly grant: SessionGrant
  /** As it came, for what the file names. */
  readonly token: string
  readonly query: URLSearchParams
}

export type FileContent =
  | { readonly kind: 'document'; readonly text: string; readonly fragments: number }
  | { readonly kind: 'init'; readonly bytes: Uint8Array }
  | { readonly kind: 'media'; readonly segment: MediaSegment }

const MP4 = 'video/mp4'
const PLAYLIST = 'application/vnd.apple.mpegurl' // RFC 8216 §4
/** TrackNumber: the pictures are 1, the sound is 2, whatever the producer calls them. */
const TRACK_NUMBERS = { video: '1', audio: '2' } as const

const masterPlaylist: SessionFile = {
  operation: 'GetHLSMasterPlaylist',
  protocol: 'HLS',
  container: 'any',
  contentType: PLAYLIST,
  read: async ({ streaming, grant, token }) => {
    const { session, container } = grant
    const uris = toHlsUris(token, container)
    return toDocument(await streaming.hlsMaster(session, container, uris))
  },
}

const mediaPlaylist: SessionFile = {
  operation: 'GetHLSMediaPlaylist',
  protocol: 'HLS',
  container: 'any',
  contentType: PLAYLIST,
  read: async ({ streaming, grant, token, query }) => {
    const { session, container } = grant
    const choice = { tracks: readTracks(query), container }
    return toDocument(await streaming.hlsMedia(session, choice, toHlsUris(token, container)))
  },
}

const manifest: SessionFile = {
  operation: 'GetDASHManifest',
  protocol: 'DASH',
  container: 'any',
  contentType: 'application/dash+xml', // ISO/IEC 23009-1 Annex C
  read: async ({ streaming, grant, token }) =>
    toDocument(
      await streaming.dashManifest(grant.session, {
        init: (kind, initId) => `${INIT}?${toQuery(token, { Init: initId }, kind)}`,
        // Time is a placeholder, and so not encoded.
        media: (kind) => `${FRAGMENT}?Time=$Time$&${toQuery(token, {}, kind)}`,
      }),
    ),
}

const initFragment = (protocol: SessionGrant['protocol']): SessionFile => ({
  operation: 'GetMP4InitFragment',
  protocol,
  container: 'FRAGMENTED_MP4',
  contentType: MP4,
  read: async ({ streaming, query }) => ({
    kind: 'init',
    bytes: streaming.initSegment(query.get('Init') ?? ''),
  }),
})

const hlsFragment: SessionFile = {
  operation: 'GetMP4MediaFragment',
  protocol: 'HLS',
  container: 'FRAGMENTED_MP4',
  contentType: MP4,
  read: async ({ streaming, grant, query }) => ({
    kind: 'media',
    segment: await streaming.mp4Segment(grant.session, readNumber(query), readTracks(query)),
  }),
}

const dashFragment: SessionFile = {
  operation: 'GetMP4MediaFragment',
  protocol: 'DASH',
  container: 'FRAGMENTED_MP4',
  contentType: MP4,
  read: async ({ streaming, grant, query }) => {
    const tracks = readTracks(query)
    const time = query.get('Time') ?? ''
    if (!/^\d{1,15}$/.test(time) || tracks === 'all') throw noSuchFile()
    return {
      kind: 'media',
      segment: await streaming.mp4SegmentAt(grant.session, Number(time), tracks),
    }
  },
}

const tsFragment: SessionFile = {
  operation: 'GetTSFragment',
  protocol: 'HLS',
  container: 'MPEG_TS',
  contentType: 'video/mp2t',
  read: async ({ streaming, grant, query }) => ({
    kind: 'media',
    segment: await streaming.tsSegment(grant.session, readNumber(query)),
  }),
}

const INIT = 'getMP4InitFragment.mp4'
const FRAGMENT = 'getMP4MediaFragment.mp4'
const TS_FRAGMENT = 'getTSFragment.ts'
const MEDIA_PLAYLIST = 'getHLSMediaPlaylist.m3u8'

/** By path. */
export const sessionFiles: ReadonlyMap<string, SessionFile> = new Map([
  ['/hls/v1/getHLSMasterPlaylist.m3u8', masterPlaylist],
  [`/hls/v1/${MEDIA_PLAYLIST}`, mediaPlaylist],
  [`/hls/v1/${INIT}`, initFragment('HLS')],
  [`/hls/v1/${FRAGMENT}`, hlsFragment],
  [`/hls/v1/${TS_FRAGMENT}`, tsFragment],
  ['/dash/v1/getDASHManifest.mpd', manifest],
  [`/dash/v1/${INIT}`, initFragment('DASH')],
  [`/dash/v1/${FRAGMENT}`, dashFragment],
])

function toHlsUris(token: string, container: SessionGrant['container']) {
  const segment = container === 'MPEG_TS' ? TS_FRAGMENT : FRAGMENT
  return {
    media: (tracks: TrackChoice) => `${MEDIA_PLAYLIST}?${toQuery(token, {}, tracks)}`,
    init: (tracks: TrackChoice, initId: string) =>
      `${INIT}?${toQuery(token, { Init: initId }, tracks)}`,
    segment: (tracks: TrackChoice, fragment: Fragment | null) => {
      const FragmentNumber = fragment?.fragmentNumber ?? '0'
      return `${segment}?${toQuery(token, { FragmentNumber }, tracks)}`
    },
  }
}

/** Of names, numbers and our own tokens: RFC 3986 leaves all their characters alone. */
function toQuery(
  token: string,
  values: Readonly<Record<string, string>>,
  tracks: TrackChoice,
): string {
  const own = Object.entries(values).map(([name, value]) => `${name}=${value}`)
  const track = tracks === 'all' ? [] : [`TrackNumber=${TRACK_NUMBERS[tracks]}`]
  return [...own, `SessionToken=${token}`, ...track].join('&')
}

function readTracks(query: URLSearchParams): TrackChoice {
  const number = query.get('TrackNumber')
  if (number === null) return 'all'
  if (number === TRACK_NUMBERS.video) return 'video'
  if (number === TRACK_NUMBERS.audio) return 'audio'
  throw noSuchFile()
}

function readNumber(query: URLSearchParams): FragmentNumber {
  const number = query.get('FragmentNumber') ?? ''
  if (parseFragmentNumber(number) === null) throw noSuchFile()
  return number as FragmentNumber
}

function toDocument(document: { readonly text: string; readonly fragments: number }): FileContent {
  return { kind: 'document', ...document }
}

export function noSuchFile(): ServiceError {
  return new ServiceError('not-found', 'ResourceNotFoundException', 'There is no such fragment.')
}
