import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Fragment, FragmentNumber } from '../../domain/fragment.ts'
import { epochMs } from '../../domain/time.ts'
import { toInitSegment } from '../../media/fmp4/init-segment.ts'
import { toMediaSegment } from '../../media/fmp4/media-segment.ts'
import { toTsSegment } from '../../media/mpegts/ts-segment.ts'
import type { Clock } from '../../platform/clock.ts'
import { storedFragments, type FragmentSource } from '../audio/index.ts'
import { toSessionManifest, type DashSessionUris } from '../dash/session-manifest.ts'
import { startOf } from '../fragment-pages.ts'
import { ChunkFormats, type ChunkFormat } from '../hls/chunk-formats.ts'
import { parseInitId } from '../hls/init-id.ts'
import { SegmentReader, type MediaSegment } from '../hls/segment-reader.ts'
import { toSegmentTracks, toShifted, toTrackSegmentParts } from '../hls/segment-parts.ts'
import {
  toSessionMaster,
  toSessionMedia,
  type HlsSessionUris,
  type SessionContainer,
  type TrackChoice,
} from '../hls/session-playlists.ts'
import type { Listing } from './listing.ts'
import { belongsTo, openSession, type SessionRequest } from './open-session.ts'
import { SessionListings } from './session-listings.ts'
import type { StreamingSession } from './streaming-session.ts'

/**
 * The streaming sessions of the Kinesis Video API. Nothing of a session is kept that could not be
 * found again from the session itself.
 */
export interface StreamingSessions {
  /** @throws ServiceError `not-found`/`NoMedia`, `invalid-argument`/`UnsupportedMedia`,
   *   `MissingCodecPrivateDataException`, `malformed-media`/`InvalidCodecPrivateDataException` */
  open(request: SessionRequest): Promise<StreamingSession>
  hlsMaster(
    session: StreamingSession,
    container: SessionContainer,
    uris: HlsSessionUris,
  ): Promise<SessionDocument>
  hlsMedia(
    session: StreamingSession,
    options: { readonly tracks: TrackChoice; readonly container: SessionContainer },
    uris: HlsSessionUris,
  ): Promise<SessionDocument>
  dashManifest(session: StreamingSession, uris: DashSessionUris): Promise<SessionDocument>
  /** @throws ServiceError `not-found`/`InitSegmentNotFound` */
  initSegment(initId: string): Uint8Array
  /** @throws ServiceError `not-found`/`FragmentNotFound` also for fragments outside the session */
  mp4Segment(
    session: StreamingSession,
    fragmentNumber: FragmentNumber,
    tracks: TrackChoice,
  ): Promise<MediaSegment>
  /** The fragment that begins at an instant by the producer's clock: what DASH asks for. */
  mp4SegmentAt(
    session: StreamingSession,
    startMs: number,
    tracks: 'video' | 'audio',
  ): Promise<MediaSegment>
  tsSegment(session: StreamingSession, fragmentNumber: FragmentNumber): Promise<MediaSegment>
}

export type SessionDocument = {
  readonly text: string
  /** Fragments that it lists. */
  readonly fragments: number
}

/** @param options.source how fragments are read; by default as they are stored */
export function createStreamingSessions(options: {
  readonly archive: Archive
  readonly source?: FragmentSource
  readonly clock: Clock
}): StreamingSessions {
  const { archive, source = storedFragments(archive), clock } = options
  const formats = new ChunkFormats(archive, source)
  const listings = new SessionListings({ archive, clock, formats })
  const segments = new SegmentReader(archive, source)

  /** What a player should expect: what is listed, else what was there last. */
  const expectedFormats = async (
    { streamId }: StreamingSession,
    { entries }: Listing,
  ): Promise<readonly ChunkFormat[]> => {
    const listed = new Set(entries.flatMap(({ format }) => format ?? []))
    if (listed.size > 0) return [...listed]
    return [...(await formats.playableOf(await archive.newest(streamId, 1))).values()]
  }

  const read = (
    session: StreamingSession,
    fragmentNumber: FragmentNumber,
    format: (tracks: ReadStored) => readonly Uint8Array[],
  ) =>
    segments.read(session.streamId, fragmentNumber, (fragment, next, stored) => {
      if (!belongsTo(session, fragment)) throw fragmentNotFound()
      const shiftMs = startOf(fragment, session.clock) - fragment.producerTimestamp
      return format({ fragment, next, stored, shiftMs })
    })

  return {
    open: (request) => openSession(request, { archive, clock, formats }),

    async hlsMaster(session, container, uris) {
      const listing = await listings.of(session)
      const known = await expectedFormats(session, listing)
      return toDocument(toSessionMaster(listing, known, container, uris), listing)
    },

    async hlsMedia(session, choice, uris) {
      const listing = await listings.of(session)
      return toDocument(toSessionMedia(session, listing, choice, uris), listing)
    },

    async dashManifest(session, uris) {
      const listing = await listings.of(session)
      return toDocument(toSessionManifest(session, listing, { nowMs: clock.now(), uris }), listing)
    },

    initSegment: (initId) => toInitSegment(parseInitId(initId)),

    mp4Segment: (session, fragmentNumber, tracks) =>
      read(session, fragmentNumber, ({ fragment, next, stored, shiftMs }) => {
        if (tracks !== 'all') {
          return toTrackSegmentParts(fragment, next, stored, { kind: tracks, shiftMs })
        }
        const all = toSegmentTracks(fragment, next, stored)
          .filter(({ samples }) => samples.length > 0)
          .map((track) => toShifted(track, shiftMs))
        return toMediaSegment({ sequence: fragment.sequence, tracks: all })
      }),

    async mp4SegmentAt(session, startMs, kind) {
      const from = epochMs(startMs)
      const found = await archive.list(session.streamId, {
        by: 'producer',
        from,
        to: epochMs(startMs + 1),
        limit: MAX_OVERLAPPING,
      })
      const fragment = found.findLast(({ producerTimestamp }) => producerTimestamp === from)
      if (fragment === undefined) throw fragmentNotFound()
      return read(session, fragment.fragmentNumber, ({ next, stored }) =>
        toTrackSegmentParts(fragment, next, stored, { kind, shiftMs: 0 }),
      )
    },

    tsSegment: (session, fragmentNumber) =>
      read(session, fragmentNumber, ({ fragment, next, stored, shiftMs }) => {
        const tracks = toSegmentTracks(fragment, next, stored)
        return [toTsSegment({ tracks: tracks.map((track) => toShifted(track, shiftMs)) })]
      }),
  }
}

/** Fragments that overlap one instant. */
const MAX_OVERLAPPING = 100

type ReadStored = {
  readonly fragment: Fragment
  readonly next: Fragment | null
  readonly stored: Parameters<typeof toSegmentTracks>[2]
  readonly shiftMs: number
}

function toDocument(text: string, { entries }: Listing): SessionDocument {
  return { text, fragments: entries.length }
}

function fragmentNotFound(): ServiceError {
  return new ServiceError('not-found', 'FragmentNotFound', 'No such fragment in this session.')
}
