import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { FragmentNumber } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import type { EpochMs } from '../../domain/time.ts'
import { toInitSegment } from '../../media/fmp4/init-segment.ts'
import { toMasterPlaylist } from '../../media/hls/master-playlist.ts'
import { toMediaPlaylist, toTargetDuration } from '../../media/hls/media-playlist.ts'
import type { Clock } from '../../platform/clock.ts'
import { storedFragments, type FragmentSource } from '../audio/index.ts'
import { ChunkFormats } from './chunk-formats.ts'
import { parseInitId } from './init-id.ts'
import { LiveNumbering } from './live-numbering.ts'
import { LiveWindow, noMedia, type Playable } from './live-window.ts'
import { listRange } from './range-listing.ts'
import { describeVariant, toBandwidth, toPlaylistSegments } from './segment-list.ts'
import { toSegmentParts } from './segment-parts.ts'
import { SegmentReader, type MediaSegment } from './segment-reader.ts'

/**
 * HLS of the archive as fMP4, live and of any range: one segment per fragment, audio and video
 * together. Keeps nothing about viewers; a media URL means the same after a restart.
 *
 * Playlists name `media.m3u8`, `init-<id>.mp4` and `segment-<fragment number>.m4s`, relative to
 * themselves, each followed by the given query.
 */
export interface Hls {
  /**
   * @param range `null` for live
   * @throws as the media playlist of the same range does
   */
  master(streamId: StreamId, range: PlaybackRange | null, query: ChildQuery): Promise<string>
  /**
   * The newest fragments, the last one complete.
   *
   * @throws ServiceError `not-found`/`NoMedia` when nothing arrived in the last 30 s,
   *   `invalid-argument`/`UnsupportedMedia`
   */
  liveMedia(streamId: StreamId, options?: LiveOptions): Promise<string>
  /**
   * All fragments that overlap the range, by producer time, but those of chunks that are damaged.
   *
   * @throws ServiceError `not-found`/`NoMedia` when there is none, `invalid-argument`/`InvalidRange`
   *   when it is empty or longer than 24 h, `invalid-argument`/`UnsupportedMedia`
   */
  archiveMedia(streamId: StreamId, range: PlaybackRange, query?: ChildQuery): Promise<string>
  /** @throws ServiceError `not-found`/`InitSegmentNotFound` */
  initSegment(initId: string): Uint8Array
  /** @throws ServiceError `not-found`/`FragmentNotFound`, and what `Archive.read` throws */
  mediaSegment(streamId: StreamId, fragmentNumber: FragmentNumber): Promise<MediaSegment>
}

/** A stretch of producer time, `from <= t < to`; `to: null` is now. */
export type PlaybackRange = { readonly from: EpochMs; readonly to: EpochMs | null }

/** What child URIs carry behind them: `''`, or `?` and an encoded query. */
export type ChildQuery = string

export type LiveOptions = {
  /** 1..32, default 6. */
  readonly segments?: number
  readonly query?: ChildQuery
}

export type HlsOptions = {
  readonly archive: Archive
  /** How fragments are read; by default as they are stored, without sound that is not AAC. */
  readonly source?: FragmentSource
  readonly clock: Clock
}

const LIVE_SEGMENTS = 6
const MAX_RANGE_MS = 24 * 3600 * 1000

export function createHls({ archive, source = storedFragments(archive), clock }: HlsOptions): Hls {
  const chunkFormats = new ChunkFormats(archive, source)
  const liveWindow = new LiveWindow({ archive, clock, formats: chunkFormats })
  const liveNumbering = new LiveNumbering()
  const segmentReader = new SegmentReader(archive, source)

  const inRange = async (streamId: StreamId, range: PlaybackRange): Promise<Playable> => {
    const from = range.from
    const to = range.to ?? clock.now()
    const lengthMs = to - from
    if (lengthMs <= 0 || lengthMs > MAX_RANGE_MS) {
      throw new ServiceError(
        'invalid-argument',
        'InvalidRange',
        'A range begins before it ends and is at most 24 hours long.',
      )
    }
    const fragments = await listRange(archive, streamId, { from, to })
    if (fragments.length === 0) throw noMedia('in this range')
    const formats = await chunkFormats.of(fragments)
    return { fragments: fragments.filter(({ place }) => formats.has(place.chunkId)), formats }
  }

  const toSegments = ({ fragments, formats }: Playable, query: ChildQuery) =>
    toPlaylistSegments(fragments, ({ fragmentNumber, place }) => ({
      uri: `segment-${fragmentNumber}.m4s${query}`,
      initUri: `init-${formats.get(place.chunkId)!.initId}.mp4${query}`,
    }))

  return {
    async master(streamId, range, query) {
      const playable =
        range === null ? await liveWindow.newest(streamId) : await inRange(streamId, range)
      const { fragments } = playable
      const formats = [...playable.formats.values()]
      return toMasterPlaylist({
        uri: `media.m3u8${query}`,
        ...toBandwidth(fragments),
        ...describeVariant(formats),
      })
    },

    async liveMedia(streamId, { segments: wanted = LIVE_SEGMENTS, query = '' } = {}) {
      const playable = await liveWindow.newest(streamId)
      const { fragments: history } = playable
      const segments = toSegments(playable, query)
      const numbers = liveNumbering.number(
        history,
        segments.map(({ discontinuity }) => discontinuity),
      )
      const start = history.length - Math.min(Math.max(1, wanted), history.length)
      return toMediaPlaylist({
        kind: 'live',
        segments: segments.slice(start),
        targetDurationS: toTargetDuration(segments),
        mediaSequence: history[start]!.sequence,
        discontinuitySequence: numbers[start]!,
      })
    },

    async archiveMedia(streamId, range, query = '') {
      const playable = await inRange(streamId, range)
      const { fragments } = playable
      const segments = toSegments(playable, query)
      return toMediaPlaylist({
        kind: 'vod',
        segments,
        targetDurationS: toTargetDuration(segments),
        mediaSequence: fragments[0]!.sequence,
        discontinuitySequence: fragments[0]!.discontinuitySequence,
      })
    },

    initSegment: (initId) => toInitSegment(parseInitId(initId)),

    mediaSegment: (streamId, fragmentNumber) =>
      segmentReader.read(streamId, fragmentNumber, toSegmentParts),
  }
}
