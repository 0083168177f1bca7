import { epochMs, rescaleTicks } from '../domain/time.ts'
import type { Track } from '../domain/track.ts'
import type { Clock } from '../platform/clock.ts'
import { ProducerClock } from './producer-clock.ts'
import type {
  ArrivedSample,
  ClockFacts,
  ClockReading,
  PlacedSample,
  TrackClocks,
} from './sample-times.ts'

/**
 * Puts a session's media times on the wall: producer time = media time + the offset of the track's
 * clock. The rules are numbered in docs/design/ingest.md, "Time".
 */
export class MediaTimeline {
  readonly #clock: Clock
  readonly #trackClocks: TrackClocks
  readonly #tracks = new Map<number, TrackTime>()
  /** Reports of tracks that have no sample yet. */
  readonly #early = new Map<number, ClockReading>()
  /** Of the samples that waited for the start. */
  readonly #starts = new Map<number, StartDelay>()
  /** Shared clocks: the one that was anchored last, and the newest decode time on it. */
  #newest: { readonly clock: ProducerClock; dtsMs: number } | null = null
  #firstReportAt: number | null = null
  #stepDue = false
  #lastCutAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, trackClocks: TrackClocks) {
    this.#clock = clock
    this.#trackClocks = trackClocks
  }

  /** What waits to be placed first: the smallest delay of all of it anchors the session. */
  prepare(waiting: readonly ArrivedSample[]): void {
    for (const { sample, track, atMs } of waiting) {
      const dtsMs = rescaleTicks(sample.dts, track.timescale, 1000)
      const delayMs = atMs - takenAt(rescaleTicks(sample.pts, track.timescale, 1000), dtsMs)
      const start = this.#starts.get(track.number)
      if (start === undefined) {
        this.#starts.set(track.number, { firstMs: dtsMs, dtsMs, lowestMs: delayMs, jumped: false })
        continue
      }
      start.jumped ||= !isStep(dtsMs - start.dtsMs)
      if (start.jumped) continue
      start.dtsMs = dtsMs
      start.lowestMs = Math.min(start.lowestMs, delayMs)
    }
  }

  /**
   * @param atMs monotonic time of the arrival
   * @param mayStep a fragment can be cut before this sample
   */
  place({ sample, track, atMs }: Omit<ArrivedSample, 'afterLoss'>, mayStep: boolean): PlacedSample {
    const dtsMs = rescaleTicks(sample.dts, track.timescale, 1000)
    const ptsMs = rescaleTicks(sample.pts, track.timescale, 1000)
    const known = this.#tracks.get(track.number)
    const stepMs = known === undefined ? 0 : dtsMs - known.dtsMs
    let jumped = false
    let time = known
    if (time === undefined) {
      time = this.#begin(track, dtsMs, takenAt(ptsMs, dtsMs), atMs)
    } else if (!isStep(stepMs)) {
      jumped = this.#follow(time, dtsMs, takenAt(ptsMs, dtsMs), atMs)
    } else if (stepMs > 0) {
      time.durationMs = Math.min(stepMs, MAX_DURATION_MS)
    }
    time.dtsMs = dtsMs
    const { clock } = time
    if (this.#newest?.clock === clock) this.#newest.dtsMs = Math.max(this.#newest.dtsMs, dtsMs)
    if (clock.observeArrival(takenAt(ptsMs, dtsMs), atMs)) this.#steer(clock, atMs)
    if (mayStep && this.#stepDue) {
      this.#step(atMs)
      jumped = true
    }
    const offsetMs = appliedOffset(time, stepMs, atMs)
    const dts = epochMs(dtsMs + offsetMs)
    if (jumped && known !== undefined) jumped = this.#isWorthCut(dts - time.placedMs, atMs)
    time.placedMs = dts
    return {
      pts: epochMs(ptsMs + offsetMs),
      dts,
      durationMs: time.durationMs,
      stepMs,
      jumped,
    }
  }

  /** The producer's clock said `wallMs` at a media time of the track. */
  report(track: Track, reading: ClockReading, atMs: number): void {
    if (!Number.isFinite(reading.ticks) || !Number.isFinite(reading.wallMs)) return
    const time = this.#tracks.get(track.number)
    if (time === undefined) {
      this.#early.set(track.number, reading)
      return
    }
    if (!this.#note(time, track, reading)) return
    this.#firstReportAt ??= atMs
    this.#align(atMs)
  }

  facts(): ClockFacts {
    let first: TrackTime | null = null
    for (const time of this.#tracks.values()) {
      if (first === null || time.trackNumber < first.trackNumber) first = time
    }
    if (first === null) return { source: 'arrival', driftPpm: null }
    const { clock } = first
    const { driftPpm } = clock
    return {
      source: clock.reportOffsetMs !== null && this.#areReportsSane() ? 'sender-report' : 'arrival',
      driftPpm: driftPpm === null ? null : Math.round(driftPpm * 10) / 10,
    }
  }

  /** A track's first sample. */
  #begin(track: Track, dtsMs: number, takenMs: number, atMs: number): TrackTime {
    const joins = this.#joins(dtsMs)
    const clock = joins ? this.#newest!.clock : new ProducerClock()
    const time: TrackTime = {
      trackNumber: track.number,
      isData: track.kind === 'data',
      clock,
      dtsMs,
      durationMs: NOMINAL_DURATION_MS,
      offsetMs: 0,
      placedMs: 0,
      move: -1,
      isAligned: false,
    }
    this.#tracks.set(track.number, time)
    const early = this.#early.get(track.number)
    this.#early.delete(track.number)
    if (joins) return time
    this.#anchor(clock, takenMs, atMs, this.#startDelay(track.number, dtsMs))
    if (early !== undefined && this.#note(time, track, early)) {
      this.#firstReportAt ??= atMs
      clock.moveTo(this.#targetOf(clock, atMs), atMs)
      time.isAligned = true
    }
    // A late track on a clock of its own interrupts nothing.
    if (this.#trackClocks === 'shared') this.#newest ??= { clock, dtsMs }
    return time
  }

  /** After a jump of its media time. */
  #follow(time: TrackTime, dtsMs: number, takenMs: number, atMs: number): boolean {
    if (this.#joins(dtsMs)) {
      time.clock = this.#newest!.clock
      time.move = -1
      return false
    }
    time.clock = new ProducerClock()
    time.move = -1
    time.isAligned = false
    this.#anchor(time.clock, takenMs, atMs, null)
    if (this.#trackClocks === 'shared') this.#newest = { clock: time.clock, dtsMs }
    return true
  }

  /** A producer whose times jump all the time is put beside the wall, and cut once a second. */
  #isWorthCut(wallStepMs: number, atMs: number): boolean {
    if (Math.abs(wallStepMs) <= MAX_BACKWARD_MS && atMs - this.#lastCutAt < MIN_CUT_MS) return false
    this.#lastCutAt = atMs
    return true
  }

  /** Tracks of one clock that are at the same time belong together. */
  #joins(dtsMs: number): boolean {
    return this.#newest !== null && isStep(dtsMs - this.#newest.dtsMs)
  }

  /** @param lowestMs smallest delay that was seen, as arrival minus media time */
  #anchor(clock: ProducerClock, takenMs: number, atMs: number, lowestMs: number | null): void {
    const delayMs = lowestMs ?? atMs - takenMs
    clock.observeArrival(atMs - delayMs, atMs)
    clock.moveTo(Math.round(delayMs + this.#wallOffset()), atMs)
  }

  /** Smallest delay of the samples that waited for the start, over the tracks of one clock. */
  #startDelay(trackNumber: number, dtsMs: number): number | null {
    let lowestMs: number | null = null
    for (const [number, start] of this.#starts) {
      const isOne = this.#trackClocks === 'shared' && isStep(start.firstMs - dtsMs)
      if (number !== trackNumber && !isOne) continue
      lowestMs = Math.min(lowestMs ?? start.lowestMs, start.lowestMs)
    }
    this.#starts.delete(trackNumber)
    return lowestMs
  }

  /** @returns false for a reading that cannot be of this track's present media time */
  #note(time: TrackTime, track: Track, { ticks, wallMs }: ClockReading): boolean {
    const mediaMs = (ticks * 1000) / track.timescale
    if (Math.abs(mediaMs - time.dtsMs) > MAX_REPORT_DISTANCE_MS) return false
    const isSane =
      wallMs >= EARLIEST_WALL_MS && Math.abs(wallMs - this.#clock.now()) <= MAX_CLOCK_ERROR_MS
    time.clock.observeReport(wallMs - mediaMs, isSane)
    return true
  }

  /** The first reports of a track show where it really lies beside the others. */
  #align(atMs: number): void {
    const tracks = [...this.#tracks.values()].filter(({ isData }) => !isData)
    const isComplete = tracks.every(({ clock }) => clock.reportOffsetMs !== null)
    if (!isComplete && atMs - this.#firstReportAt! < MAX_REPORT_WAIT_MS) return
    const reported = tracks.filter(({ clock }) => clock.reportOffsetMs !== null)
    if (reported.every(({ isAligned }) => isAligned)) return
    const errors = reported.map(({ clock }) => this.#targetOf(clock, atMs) - clock.offsetAt(atMs))
    const spreadMs = Math.max(...errors) - Math.min(...errors)
    this.#stepDue ||= spreadMs > MAX_SPREAD_MS || Math.max(...errors.map(Math.abs)) > MAX_WALL_MS
    for (const time of reported) time.isAligned = true
    for (const { clock } of reported) this.#steer(clock, atMs)
  }

  #steer(clock: ProducerClock, atMs: number): void {
    const targetMs = this.#targetOf(clock, atMs)
    if (!clock.steer(targetMs, atMs)) return
    // Metadata are read one by one: no recording is cut for them.
    if (this.#isOfData(clock)) clock.moveTo(Math.round(targetMs), atMs)
    else this.#stepDue = true
  }

  #step(atMs: number): void {
    this.#stepDue = false
    const clocks = new Set([...this.#tracks.values()].map(({ clock }) => clock))
    for (const clock of clocks) clock.moveTo(Math.round(this.#targetOf(clock, atMs)), atMs)
  }

  /** Where a clock's offset should be. */
  #targetOf(clock: ProducerClock, atMs: number): number {
    const reportMs = clock.reportOffsetMs
    if (reportMs === null) return clock.arrivalOffset(atMs) + this.#wallOffset()
    if (this.#areReportsSane()) return reportMs
    // The reports tell how the tracks lie to each other; the earliest arrival tells where.
    let shiftMs = Number.POSITIVE_INFINITY
    for (const { clock: other } of this.#tracks.values()) {
      if (other.reportOffsetMs === null) continue
      shiftMs = Math.min(shiftMs, other.arrivalOffset(atMs) - other.reportOffsetMs)
    }
    return reportMs + shiftMs + this.#wallOffset()
  }

  #isOfData(clock: ProducerClock): boolean {
    for (const track of this.#tracks.values()) {
      if (track.clock === clock && !track.isData) return false
    }
    return true
  }

  #areReportsSane(): boolean {
    for (const { clock } of this.#tracks.values()) {
      if (clock.reportOffsetMs !== null && !clock.isReportSane) return false
    }
    return true
  }

  #wallOffset(): number {
    return this.#clock.now() - this.#clock.monotonicMs()
  }
}

type TrackTime = {
  readonly trackNumber: number
  readonly isData: boolean
  clock: ProducerClock
  /** Media time of the last sample. */
  dtsMs: number
  durationMs: number
  /** As applied to the last sample, and after which move of the clock. */
  offsetMs: number
  move: number
  /** Wall decode time of the last sample. */
  placedMs: number
  isAligned: boolean
}

type StartDelay = { readonly firstMs: number; dtsMs: number; lowestMs: number; jumped: boolean }

const MAX_BACKWARD_MS = 1_000
const MAX_FORWARD_MS = 10_000
const MIN_CUT_MS = 1_000
const MAX_REORDERED_MS = 1_000
/** Of a track's first sample; the ones after it know the step. */
const NOMINAL_DURATION_MS = 40
export const MAX_DURATION_MS = 1_000

/** A camera whose clock says less has none that was ever set. */
const EARLIEST_WALL_MS = Date.UTC(2016, 0, 1)
const MAX_CLOCK_ERROR_MS = 5_000
/** Between a report and the track's last sample. */
const MAX_REPORT_DISTANCE_MS = 60_000
/** For the reports of the other tracks. */
const MAX_REPORT_WAIT_MS = 10_000
/** Beyond these the first reports are followed at once, at the cost of a cut. */
const MAX_SPREAD_MS = 100
const MAX_WALL_MS = 1_000

/** In whole milliseconds, and never so that the track's times run backward. */
function appliedOffset(time: TrackTime, stepMs: number, atMs: number): number {
  const { clock } = time
  const wanted = Math.round(clock.offsetAt(atMs))
  const isBackward = wanted < time.offsetMs && stepMs <= time.offsetMs - wanted
  if (time.move === clock.moves && isBackward) return time.offsetMs
  time.move = clock.moves
  time.offsetMs = wanted
  return wanted
}

/**
 * What is shown at its presentation time cannot have come before it was taken. A picture may be sent
 * ahead of its turn by some frames; one that is a second ahead has a wrong time.
 */
function takenAt(ptsMs: number, dtsMs: number): number {
  return Math.min(ptsMs, dtsMs + MAX_REORDERED_MS)
}

function isStep(ms: number): boolean {
  return ms >= -MAX_BACKWARD_MS && ms <= MAX_FORWARD_MS
}
