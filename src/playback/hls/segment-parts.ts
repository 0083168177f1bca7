import { ServiceError } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import { rescaleTicks } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import { toMediaSegment, type SegmentTrack } from '../../media/fmp4/media-segment.ts'
import { toFmp4Timescale, toPlayableTracks } from '../../media/fmp4/playable-track.ts'
import { toSilentFrame } from '../../media/fmp4/silent-aac.ts'
import {
  fillWithSilence,
  planAudioRun,
  planVideoEnd,
  planVideoRun,
  type AudioTiming,
  type TimedRun,
  type UntimedSample,
  type VideoBounds,
} from '../../media/fmp4/sample-timing.ts'
import { toSamples } from '../../media/matroska/scanner.ts'
import type { PlayableFragment } from '../audio/index.ts'
import { toWallTimes } from '../wall-times.ts'
import { continues, endOf } from './segment-list.ts'

const AAC_FRAME_TICKS = 1024 // ISO/IEC 14496-3 §4.5.1.1

/**
 * The fMP4 segment of one stored fragment, as parts to send in order. Its times are wall times
 * since 1970 by the producer's clock, so every segment can be built alone and any range of them
 * fits together. The media bytes are those of `stored`, not copied.
 *
 * @param next the fragment after it, or `null` when that is not known yet
 */
export function toSegmentParts(
  fragment: Fragment,
  next: Fragment | null,
  stored: PlayableFragment,
): readonly Uint8Array[] {
  const tracks = toSegmentTracks(fragment, next, stored).filter(({ samples }) => samples.length > 0)
  return toMediaSegment({ sequence: fragment.sequence, tracks })
}

/** What of a fragment a segment holds, and by which clock. */
export type SegmentChoice = {
  readonly kind: 'video' | 'audio'
  /** Added to all times: from the producer's clock to another. */
  readonly shiftMs: number
}

/**
 * The same of one track alone. A playlist of one track lists every fragment: where the track is
 * silent, the segment holds no sample.
 */
export function toTrackSegmentParts(
  fragment: Fragment,
  next: Fragment | null,
  stored: PlayableFragment,
  { kind, shiftMs }: SegmentChoice,
): readonly Uint8Array[] {
  const tracks = toSegmentTracks(fragment, next, stored)
    .filter(({ track }) => track.kind === kind)
    .map((segment) => {
      const isEmpty = segment.samples.length === 0
      return isEmpty
        ? { ...segment, baseDecodeTime: toTicks(segment, fragment.producerTimestamp + shiftMs) }
        : toShifted(segment, shiftMs)
    })
  return toMediaSegment({ sequence: fragment.sequence, tracks })
}

/** The track, each of its times so much later. */
export function toShifted(segment: SegmentTrack, shiftMs: number): SegmentTrack {
  return { ...segment, baseDecodeTime: segment.baseDecodeTime + toTicks(segment, shiftMs) }
}

function toTicks({ track }: SegmentTrack, ms: number): number {
  return rescaleTicks(ms, 1000, toFmp4Timescale(track))
}

/**
 * The playable tracks of one stored fragment with decode times, for `toMediaSegment` (without those
 * that are empty) and `toTsSegment`. Parameters as for {@link toSegmentParts}.
 *
 * @throws ServiceError `not-found`/`NoMedia` when all are empty
 */
export function toSegmentTracks(
  fragment: Fragment,
  next: Fragment | null,
  stored: PlayableFragment,
): readonly SegmentTrack[] {
  const allSamples = toWallTimes(toSamples(stored.bytes, stored.tracks), fragment.producerTimestamp)
  const bounds = toBounds(fragment, next)
  const playable = toPlayableTracks(stored.tracks).map((track) => ({
    track,
    samples: allSamples.filter((sample) => sample.trackNumber === track.number),
  }))
  const besideAudio = playable.some(
    ({ track, samples }) => track.audio !== null && samples.length > 0,
  )
  const tracks = playable.map(({ track, samples }): SegmentTrack => {
    const run =
      track.audio === null
        ? toVideoRun(samples, { ...bounds, besideAudio })
        : toAudioRun({ track, samples, sound: stored.sound }, bounds)
    return { track, ...(run ?? EMPTY_RUN) }
  })
  if (tracks.every(({ samples }) => samples.length === 0)) {
    throw new ServiceError('not-found', 'NoMedia', 'The fragment holds nothing that can be played.')
  }
  return tracks
}

const EMPTY_RUN: TimedRun = { baseDecodeTime: 0, samples: [] }

type Bounds = {
  readonly startMs: number
  /** Where its successor begins, if that continues it. */
  readonly nextMs: number | null
  readonly endMs: number
  /** Its predecessor or its successor leaves a gap, so its tracks must reach the bound alone. */
  readonly startsAfterGap: boolean
  readonly endsBeforeGap: boolean
}

function toBounds(fragment: Fragment, next: Fragment | null): Bounds {
  const continued = next !== null && continues(fragment, next)
  return {
    startMs: fragment.producerTimestamp,
    nextMs: continued ? next.producerTimestamp : null,
    endMs: endOf(fragment),
    startsAfterGap: fragment.discontinuity,
    endsBeforeGap: next !== null && !continued,
  }
}

function toVideoRun(samples: readonly UntimedSample[], bounds: VideoBounds): TimedRun | null {
  return samples.length === 0 ? null : planVideoRun(samples, planVideoEnd(samples, bounds))
}

function toAudioRun(
  audio: {
    readonly track: Track
    readonly samples: readonly UntimedSample[]
    readonly sound: SegmentTrack | undefined
  },
  bounds: Bounds,
): TimedRun | null {
  const { track, samples, sound } = audio
  if (sound === undefined)
    return planAudioRun(samples, toAudioTiming(track, samples.length === 0, bounds))
  const isSilent = sound.samples.length === 0
  const timing = toAudioTiming(track, isSilent, bounds)
  return isSilent ? planAudioRun([], timing) : fillWithSilence(sound, timing)
}

/**
 * Silence fills a fragment whose declared audio is absent, and reaches the bounds at gaps: a player
 * shows no video where the sound is missing. Elsewhere audio and video interleave across fragments.
 */
function toAudioTiming(
  track: Track,
  absent: boolean,
  { startMs, nextMs, endMs, startsAfterGap, endsBeforeGap }: Bounds,
): AudioTiming {
  return {
    sampleRateHz: toFmp4Timescale(track),
    frameTicks: AAC_FRAME_TICKS,
    silence: toSilentFrame(track),
    fromMs: absent || startsAfterGap ? startMs : null,
    toMs: absent || endsBeforeGap ? (nextMs ?? endMs) : null,
  }
}
