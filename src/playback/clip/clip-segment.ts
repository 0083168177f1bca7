import type { StoredFragment } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import { rescaleTicks } from '../../domain/time.ts'
import {
  toMediaSegment,
  type SegmentSample,
  type SegmentTrack,
} from '../../media/fmp4/media-segment.ts'
import { toReferenceTime } from '../../media/fmp4/movie-index.ts'
import { toFmp4Timescale } from '../../media/fmp4/playable-track.ts'
import { toSegmentTracks } from '../hls/segment-parts.ts'
import type { ClipFormat, PlacedTrack } from './clip-format.ts'
import type { ClipStep } from './clip-timeline.ts'
import { withParameterSets } from './parameter-sets.ts'

/** One fragment's `prft`, `moof` and `mdat`. */
export type ClipSegment = {
  /** To be sent in order; but for the first, views on the stored bytes. */
  readonly parts: readonly Uint8Array[]
  /** Where a player may begin; `null`: not here. */
  readonly entry: { readonly time: number; readonly moofAt: number } | null
}

/**
 * @param sequence from 1
 * @throws ServiceError `not-found`/`NoMedia` when the fragment holds nothing for the clip
 */
export function toClipSegment(
  step: ClipStep,
  stored: StoredFragment,
  { format, sequence }: { readonly format: ClipFormat; readonly sequence: number },
): ClipSegment {
  const { fragment, next } = step
  const earlierMs = fragment.producerTimestamp - step.startMs
  const tracks = toSegmentTracks(fragment, next, stored).flatMap((track): SegmentTrack[] => {
    const placed = format.placeOf(track.track)
    if (placed === null || track.samples.length === 0) return []
    const cut = step.continues ? track : withoutEarlySound(track, fragment.producerTimestamp)
    return cut.samples.length === 0 ? [] : [toClipTrack(cut, placed, earlierMs)]
  })
  const [first] = tracks
  if (first === undefined) {
    throw new ServiceError('not-found', 'NoMedia', 'The fragment holds nothing for the clip.')
  }
  const time = first.baseDecodeTime
  const wallMs = earlierMs + (time * 1000) / toFmp4Timescale(first.track)
  const reference = toReferenceTime(first.track.number, Math.max(0, wallMs), time)
  const isEntry = first.track.audio === null && first.samples[0]!.isKey
  return {
    parts: [reference, ...toMediaSegment({ sequence, tracks })],
    entry: isEntry ? { time, moofAt: reference.length } : null,
  }
}

/** In the clip's time and its track's timescale, under the clip's numbers. */
function toClipTrack(
  { track, baseDecodeTime, samples }: SegmentTrack,
  { track: target, description, parameterSets }: PlacedTrack,
  earlierMs: number,
): SegmentTrack {
  const [from, to] = [toFmp4Timescale(track), toFmp4Timescale(target)]
  const start = baseDecodeTime - rescaleTicks(earlierMs, 1000, from)
  // A leading sample of an open GOP may lie a tick before the first one that is shown.
  const base = Math.max(0, rescaleTicks(start, from, to))
  const timed = from === to ? samples : rescaleSamples(samples, from, to)
  return {
    track: target,
    baseDecodeTime: base,
    description,
    samples:
      parameterSets === null
        ? timed
        : timed.map((sample) =>
            sample.isKey
              ? { ...sample, data: withParameterSets(sample.data, track, parameterSets) }
              : sample,
          ),
  }
}

/** Transcoded sound begins in the fragment before, which is none of the clip. */
function withoutEarlySound(track: SegmentTrack, startsAtMs: number): SegmentTrack {
  if (track.track.audio === null) return track
  const start = rescaleTicks(startsAtMs, 1000, toFmp4Timescale(track.track))
  let { baseDecodeTime } = track
  let early = 0
  for (const { durationTicks } of track.samples) {
    if (baseDecodeTime >= start) break
    baseDecodeTime += durationTicks
    early++
  }
  return { ...track, baseDecodeTime, samples: track.samples.slice(early) }
}

/** Each ends where its end was, rounded, so that nothing accumulates. */
function rescaleSamples(
  samples: readonly SegmentSample[],
  from: number,
  to: number,
): readonly SegmentSample[] {
  let ticks = 0
  return samples.map((sample) => {
    const start = rescaleTicks(ticks, from, to)
    ticks += sample.durationTicks
    return {
      ...sample,
      durationTicks: rescaleTicks(ticks, from, to) - start,
      compositionOffset: rescaleTicks(sample.compositionOffset, from, to),
    }
  })
}
