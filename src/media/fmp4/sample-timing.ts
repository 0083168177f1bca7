import { rescaleTicks } from '../../domain/time.ts'
import { VIDEO_TIMESCALE } from './playable-track.ts'
import type { SegmentSample } from './media-segment.ts'

/** A stored sample: what Matroska keeps, in decode order. */
export type UntimedSample = {
  /** Wall time of its presentation. */
  readonly ptsMs: number
  readonly isKey: boolean
  readonly data: Uint8Array
}

export type TimedRun = {
  readonly baseDecodeTime: number
  readonly samples: readonly SegmentSample[]
}

/**
 * Gives the video samples of one fragment decode times, which Matroska does not store: the i-th
 * sample in decode order is decoded at the i-th smallest presentation time. Decode times then never
 * fall, neighbouring fragments never overlap, and the offset of a sample shown before its turn is
 * negative (ISO/IEC 14496-12 §8.8.8, version 1), so nothing is delayed.
 *
 * @param samples in decode order, at least one
 * @param endMs where the last presented sample ends; at least one tick is given to it
 */
export function planVideoRun(samples: readonly UntimedSample[], endMs: number): TimedRun {
  const decodeTimes = presentationOrder(samples).map(toVideoTicks)
  const end = toVideoTicks(endMs)
  return {
    baseDecodeTime: decodeTimes[0]!,
    samples: samples.map(({ ptsMs, isKey, data }, i) => ({
      durationTicks:
        i + 1 < samples.length
          ? decodeTimes[i + 1]! - decodeTimes[i]!
          : Math.max(1, end - decodeTimes[i]!),
      compositionOffset: toVideoTicks(ptsMs) - decodeTimes[i]!,
      isKey,
      data,
    })),
  }
}

/**
 * Where the video of a fragment ends.
 *
 * 1. Alone, it ends at the first candidate behind its last sample's start.
 * 2. Beside audio, a candidate may be the audio's end: it counts only when the last sample would
 *    then take as long as the one before, within a half.
 * 3. Otherwise the last sample takes as long as the one before it.
 *
 * @param candidatesMs what is known about the fragment's end, the best first
 */
export function planVideoEnd(
  samples: readonly UntimedSample[],
  candidatesMs: readonly number[],
  besideAudio: boolean,
): number {
  const presented = presentationOrder(samples)
  const last = presented.at(-1)!
  const usual = last - (presented.at(-2) ?? last)
  const plausible = (end: number) =>
    end > last && (!besideAudio || usual === 0 || Math.abs(end - last - usual) <= usual / 2)
  return candidatesMs.find(plausible) ?? last + Math.max(1, usual)
}

/**
 * Times audio by its frames, which are exact where the stored milliseconds are rounded. Anchored at
 * the first block of each fragment, so nothing accumulates; where the blocks leave the frames'
 * grid by three quarters of a frame (one was lost, or one too many came), the grid starts again.
 *
 * @param samples in decode order, at least one
 * @param frameTicks audio samples per frame: 1024 for AAC
 */
export function planAudioRun(
  samples: readonly UntimedSample[],
  rate: { readonly sampleRateHz: number; readonly frameTicks: number },
): TimedRun {
  const toTicks = (ms: number) => roundTicks(ms, rate.sampleRateHz)
  const tolerance = (rate.frameTicks * 3) / 4
  const baseDecodeTime = toTicks(samples[0]!.ptsMs)
  let time = baseDecodeTime
  return {
    baseDecodeTime,
    samples: samples.map(({ isKey, data }, i) => {
      const next = samples[i + 1]
      const onGrid = time + rate.frameTicks
      const wanted = next === undefined ? onGrid : toTicks(next.ptsMs)
      const end = Math.abs(wanted - onGrid) < tolerance ? onGrid : Math.max(time + 1, wanted)
      const durationTicks = end - time
      time = end
      return { durationTicks, compositionOffset: 0, isKey, data }
    }),
  }
}

function presentationOrder(samples: readonly UntimedSample[]): readonly number[] {
  return samples.map((sample) => sample.ptsMs).sort((a, b) => a - b)
}

function toVideoTicks(ms: number): number {
  return ms * (VIDEO_TIMESCALE / 1000)
}

/** To the nearest tick: the doubled time, rounded down, then halved upwards. */
function roundTicks(ms: number, ticksPerSecond: number): number {
  return Math.ceil(rescaleTicks(2 * ms, 1000, ticksPerSecond) / 2)
}
