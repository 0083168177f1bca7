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
 * Gives the video samples of one fragment decode times, which Matroska does not store.
 *
 * 1. A sample is decoded no later than it or any sample behind it is presented, so no composition
 *    offset is negative. ISO/IEC 14496-12 §8.8.8 would allow it, but FFmpeg's reader then presents
 *    the whole track later, by the reordering delay, and away from its sound.
 * 2. The first is decoded when the earliest is presented, not a delay before: players align a
 *    segment with the playlist by its first decode time.
 * 3. Decode times rise. Where rule 1 leaves several samples one time, they share the time since the
 *    sample before, in steps no longer than the last sample is shown: durations stay near the frame
 *    rate's, and none reaches past the fragment's end into the next.
 *
 * @param samples in decode order, at least one
 * @param endMs where the last presented sample ends; at least one tick is given to it
 */
export function planVideoRun(samples: readonly UntimedSample[], endMs: number): TimedRun {
  const presented = samples.map(({ ptsMs }) => toVideoTicks(ptsMs))
  const end = Math.max(toVideoTicks(endMs), presented.reduce((a, b) => Math.max(a, b)) + 1)
  const decodeTimes = planDecodeTimes(presented, end)
  return {
    baseDecodeTime: decodeTimes[0]!,
    samples: samples.map(({ isKey, data }, i) => ({
      durationTicks: (decodeTimes[i + 1] ?? end) - decodeTimes[i]!,
      compositionOffset: presented[i]! - decodeTimes[i]!,
      isKey,
      data,
    })),
  }
}

/**
 * For samples presented at 0 4 2 1 3 (decode order) that end at 5: latest decode times 0 1 1 1 3,
 * decode times 0 1/3 2/3 1 3.
 */
function planDecodeTimes(presented: readonly number[], end: number): readonly number[] {
  const latest = presented.slice()
  for (let i = latest.length - 2; i >= 0; i--) latest[i] = Math.min(latest[i]!, latest[i + 1]!)
  const lastShownFor = end - presented.reduce((a, b) => Math.max(a, b))

  const times: number[] = []
  for (let start = 0; start < latest.length;) {
    let next = start + 1
    while (latest[next] === latest[start]) next++
    const count = next - start
    // Leading samples of an open GOP share the first time: they go before it, by the least there is.
    const room = start === 0 ? count : latest[start]! - times[start - 1]!
    const step = Math.max(1, Math.floor(Math.min(room / count, lastShownFor)))
    for (let i = start; i < next; i++) times.push(latest[i]! - (next - 1 - i) * step)
    start = next
  }
  return times
}

/** What is known about the end of a fragment's video. */
export type VideoBounds = {
  /** Where the next fragment begins, if it continues this one. */
  readonly nextMs: number | null
  /** Where this one ends: its video, or audio that goes on beyond it. */
  readonly endMs: number
  readonly besideAudio: boolean
}

/**
 * Where the video of a fragment ends.
 *
 * 1. Where the next fragment begins. Beside audio that may be its sound, ahead of its video: a short
 *    last sample leaves a gap that players close, a long one would cover the next key sample.
 * 2. Else where the fragment ends, if that is surely the video's end: without audio, or when the
 *    last sample then takes as long as the one before, up to rounding.
 * 3. Else after as long as the sample before took.
 */
export function planVideoEnd(samples: readonly UntimedSample[], bounds: VideoBounds): number {
  const presented = samples.map((sample) => sample.ptsMs).sort((a, b) => a - b)
  const last = presented.at(-1)!
  const usual = last - (presented.at(-2) ?? last)

  if (bounds.nextMs !== null && bounds.nextMs > last) return bounds.nextMs
  const off = Math.abs(bounds.endMs - last - usual)
  const believed = !bounds.besideAudio || usual === 0 || off <= ROUNDING_MS
  return believed && bounds.endMs > last ? bounds.endMs : last + Math.max(1, usual)
}

/** By how much steps of equal length may differ in whole milliseconds. */
const ROUNDING_MS = 2

export type AudioTiming = {
  readonly sampleRateHz: number
  /** Audio samples per frame: 1024 for AAC. */
  readonly frameTicks: number
  /** A frame to fill holes with; `null`: the sample before a hole lasts until its end. */
  readonly silence: Uint8Array | null
  /** What the run must reach back and on to; `null`: only as far as its samples go. */
  readonly fromMs: number | null
  readonly toMs: number | null
}

/**
 * Times audio by its frames, which are exact where the stored milliseconds are rounded. Anchored at
 * the first block of each fragment, so nothing accumulates; where the blocks leave the frames' grid
 * by three quarters of a frame (some were lost, or one too many came), the grid starts again.
 *
 * @param samples in decode order
 * @returns `null` when there is neither a sample nor a frame of silence to send
 */
export function planAudioRun(
  samples: readonly UntimedSample[],
  timing: AudioTiming,
): TimedRun | null {
  const { frameTicks } = timing
  const toTicks = (ms: number) => roundTicks(ms, timing.sampleRateHz)
  const starts = samples.map(({ ptsMs }) => toTicks(ptsMs))
  const anchor = starts[0] ?? (timing.fromMs === null ? 0 : toTicks(timing.fromMs))

  const run: SegmentSample[] = []
  let time = anchor
  for (const [i, { isKey, data }] of samples.entries()) {
    const hole = (starts[i + 1] ?? time + frameTicks) - (time + frameTicks)
    const onGrid = Math.abs(hole) < OFF_GRID * frameTicks
    const lost = onGrid ? [] : silentFrames(timing, hole / frameTicks + 1 - OFF_GRID)
    const durationTicks = onGrid || lost.length > 0 ? frameTicks : Math.max(1, frameTicks + hole)
    run.push({ durationTicks, compositionOffset: 0, isKey, data }, ...lost)
    time += durationTicks + lost.length * frameTicks
  }
  const whole = fillWithSilence({ baseDecodeTime: anchor, samples: run }, timing)
  return whole.samples.length === 0 ? null : whole
}

/** The run with whole frames of silence before and behind it, as far as `fromMs` and `toMs` say. */
export function fillWithSilence(run: TimedRun, timing: AudioTiming): TimedRun {
  const { frameTicks, fromMs, toMs } = timing
  const toTicks = (ms: number) => roundTicks(ms, timing.sampleRateHz)
  const end = run.samples.reduce(
    (ticks, { durationTicks }) => ticks + durationTicks,
    run.baseDecodeTime,
  )
  const before =
    fromMs === null ? [] : silentFrames(timing, (run.baseDecodeTime - toTicks(fromMs)) / frameTicks)
  const behind = toMs === null ? [] : silentFrames(timing, (toTicks(toMs) - end) / frameTicks)
  return {
    baseDecodeTime: run.baseDecodeTime - before.length * frameTicks,
    samples: [...before, ...run.samples, ...behind],
  }
}

function silentFrames(
  { frameTicks, silence }: AudioTiming,
  count: number,
): readonly SegmentSample[] {
  if (silence === null || count < 1 || count > MAX_SILENT_FRAMES) return []
  const frame = { durationTicks: frameTicks, compositionOffset: 0, isKey: true, data: silence }
  return new Array<SegmentSample>(Math.floor(count)).fill(frame)
}

/** How far, in frames, a block may lie from where the frames before it end. */
const OFF_GRID = 3 / 4

/** Of AAC at 48 kHz, a minute and a half. */
const MAX_SILENT_FRAMES = 4096

function toVideoTicks(ms: number): number {
  return ms * (VIDEO_TIMESCALE / 1000)
}

/** To the nearest tick: the doubled time, rounded down, then halved upwards. */
function roundTicks(ms: number, ticksPerSecond: number): number {
  return Math.ceil(rescaleTicks(2 * ms, 1000, ticksPerSecond) / 2)
}
