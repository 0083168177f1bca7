import { toMpd, type Period, type Representation } from '../../media/dash/mpd.ts'
import { startOf } from '../fragment-pages.ts'
import type { ChunkFormat, TrackFormat } from '../hls/chunk-formats.ts'
import { endOf, toBandwidth } from '../hls/segment-list.ts'
import { presentationEndOf, type ListedFragment, type Listing } from '../session/listing.ts'
import type { StreamingSession } from '../session/streaming-session.ts'

/** The names behind a session's manifest, relative to it. */
export type DashSessionUris = {
  readonly init: (kind: 'video' | 'audio', initId: string) => string
  /** With `$Time$`. */
  readonly media: (kind: 'video' | 'audio') => string
}

/** KVS API, GetDASHStreamingSessionURL: players ask again once a second. */
const UPDATE_PERIOD_MS = 1000
const MIN_BUFFER_MS = 2000

/**
 * The manifest of a session: a Period for each stretch of fragments that continue each other in one
 * format. Media time is the producer's, so a segment is found by its time.
 */
export function toSessionManifest(
  session: StreamingSession,
  { entries, isEnded, targetDurationS }: Listing,
  { nowMs, uris }: { readonly nowMs: number; readonly uris: DashSessionUris },
): string {
  const isWhole = session.mode === 'ON_DEMAND'
  const playable = entries.filter(isPlayable)
  const stretches = toStretches(playable)
  const last = playable.at(-1)
  const endMs = last === undefined ? 0 : presentationEndOf(last)
  const startMs = playable[0] === undefined ? 0 : presentationStartOf(playable[0])
  return toMpd({
    kind: isWhole ? 'static' : isEnded ? 'ended' : 'dynamic',
    durationMs: isEnded ? endMs : null,
    minBufferMs: MIN_BUFFER_MS,
    maxSegmentMs: targetDurationS * 1000,
    live: isWhole
      ? null
      : {
          nowMs,
          updatePeriodMs: UPDATE_PERIOD_MS,
          windowMs: Math.max(endMs - startMs, targetDurationS * 1000),
          delayMs: Math.min(3 * targetDurationS * 1000, Math.max(endMs - startMs, 1000)),
        },
    periods:
      stretches.length === 0
        ? [waitingPeriod(session)]
        : stretches.map((stretch) => toPeriod(session, stretch, uris)),
  })
}

/** Nothing came yet: a manifest has a Period all the same, which later ones take the place of. */
function waitingPeriod({ madeAt }: StreamingSession): Period {
  const nothing = { offsetMs: 0, segments: [], representations: [] }
  return { id: 'waiting', startMs: madeAt, durationMs: null, ...nothing }
}

type Playable = ListedFragment & {
  readonly fragment: NonNullable<ListedFragment['fragment']>
  readonly format: ChunkFormat
}

function isPlayable(entry: ListedFragment): entry is Playable {
  return entry.fragment !== null && entry.format !== null
}

function toStretches(entries: readonly Playable[]): readonly (readonly Playable[])[] {
  const stretches: Playable[][] = []
  for (const entry of entries) {
    const open = stretches.at(-1)
    if (open?.[0]?.stretch === entry.stretch) open.push(entry)
    else stretches.push([entry])
  }
  return stretches
}

function presentationStartOf({ fragment, stretch }: Playable): number {
  return stretch.presentationMs + fragment.producerTimestamp - stretch.producerMs
}

function toPeriod(
  session: StreamingSession,
  entries: readonly Playable[],
  uris: DashSessionUris,
): Period {
  const { stretch, format } = entries[0]!
  const { showTimestamps, showNumbers, clock } = session
  const fragments = entries.map(({ fragment }) => fragment)
  const startsWithKey = fragments.every((fragment) => fragment.startsWithKey)
  const { peakBps } = toBandwidth(fragments)
  return {
    id: String(stretch.position),
    startMs: stretch.presentationMs,
    durationMs:
      session.mode === 'ON_DEMAND'
        ? presentationEndOf(entries.at(-1)!) - stretch.presentationMs
        : null,
    offsetMs: stretch.producerMs,
    segments: fragments.map((fragment, i) => ({
      startMs: fragment.producerTimestamp,
      durationMs:
        (fragments[i + 1]?.producerTimestamp ?? endOf(fragment)) - fragment.producerTimestamp,
      timestamp: showTimestamps ? new Date(startOf(fragment, clock)).toISOString() : null,
      fragmentNumber: showNumbers ? fragment.fragmentNumber : null,
    })),
    representations: format.tracks.map((track): Representation => ({
      ...toRepresentation(track, format),
      bandwidthBps: peakBps * track.share,
      startsWithKey: track.kind === 'audio' || startsWithKey,
      initUri: uris.init(track.kind, track.initId),
      mediaUri: uris.media(track.kind),
    })),
  }
}

function toRepresentation(track: TrackFormat, { resolution, frameRate }: ChunkFormat) {
  const { kind, codec, sampleRateHz, channels } = track
  const isVideo = kind === 'video'
  return {
    id: isVideo ? '1' : '2',
    kind,
    codec,
    widthPx: isVideo ? (resolution?.widthPx ?? null) : null,
    heightPx: isVideo ? (resolution?.heightPx ?? null) : null,
    frameRate: isVideo ? frameRate : null,
    sampleRateHz,
    channels,
  }
}
