import type { StoredFragment } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { EpochMs } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import { toMediaSegment, type SegmentTrack } from '../../media/fmp4/media-segment.ts'
import { toFmp4Timescale, toPlayableTracks } from '../../media/fmp4/playable-track.ts'
import {
  planAudioRun,
  planVideoEnd,
  planVideoRun,
  type UntimedSample,
} from '../../media/fmp4/sample-timing.ts'
import { toSamples, type StoredSample } from '../../media/matroska/scanner.ts'
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
  stored: StoredFragment,
): readonly Uint8Array[] {
  const samples = toWallTimes(toSamples(stored.bytes, stored.tracks), fragment.producerTimestamp)
  const present = toPlayableTracks(stored.tracks)
    .map((track) => ({
      track,
      samples: samples.filter((sample) => sample.trackNumber === track.number),
    }))
    .filter((run) => run.samples.length > 0)
  if (present.length === 0) {
    throw new ServiceError('not-found', 'NoMedia', 'The fragment holds nothing that can be played.')
  }

  const ends = [endOf(fragment)]
  if (next !== null && continues(fragment, next)) ends.unshift(next.producerTimestamp)
  const besideAudio = present.some(({ track }) => track.audio !== null)
  return toMediaSegment({
    sequence: fragment.sequence,
    tracks: present.map((run) => toSegmentTrack(run, ends, besideAudio)),
  })
}

/** Timecodes may count from the producer's own start (KVS API: PutMedia, RELATIVE). */
function toWallTimes(samples: readonly StoredSample[], startsAt: EpochMs): readonly StoredSample[] {
  const earliest = samples.reduce((min, sample) => Math.min(min, sample.ptsMs), Infinity)
  if (earliest === startsAt) return samples
  return samples.map((sample) => ({ ...sample, ptsMs: sample.ptsMs - earliest + startsAt }))
}

function toSegmentTrack(
  { track, samples }: { readonly track: Track; readonly samples: readonly UntimedSample[] },
  endsMs: readonly number[],
  besideAudio: boolean,
): SegmentTrack {
  const rate = { sampleRateHz: toFmp4Timescale(track), frameTicks: AAC_FRAME_TICKS }
  const run =
    track.audio !== null
      ? planAudioRun(samples, rate)
      : planVideoRun(samples, planVideoEnd(samples, endsMs, besideAudio))
  return { track, ...run }
}
