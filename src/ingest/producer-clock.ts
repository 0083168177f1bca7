import { ClockLine } from './clock-line.ts'

/**
 * One media clock against the wall: what is known of it, and the offset (wall minus media time) that
 * samples get. Known are
 *
 * - *arrivals*: the smallest delay of each window of 30 s, and the line through them, which is free of
 *   the network's jitter and has the clock's drift as its slope;
 * - *reports*: the producer's own statements, the median of the last five.
 *
 * The offset moves in two ways only: by {@link moveTo}, at an anchor, or slewed by {@link steer}.
 * Times `atMs` are monotonic; a clock has no wall of its own, so `arrivalOffset` is monotonic minus
 * media time.
 */
export class ProducerClock {
  readonly #line = new ClockLine()
  #windowEndsAt: number | null = null
  #lowest: Reading | null = null
  /** While there is no line. */
  #lowestEverMs = Number.POSITIVE_INFINITY
  #reports: readonly number[] = []
  #isReportSane = false

  #offsetMs = 0
  #slewPerMs = 0
  #slewSince = 0
  #moves = 0
  /** A large error that stays as it is. */
  #strayMs = 0
  #strayWindows = 0

  /** Rises with each {@link moveTo}. */
  get moves(): number {
    return this.#moves
  }

  /** Wall minus media time for what arrives now. */
  offsetAt(atMs: number): number {
    return this.#offsetMs + this.#slewPerMs * Math.min(atMs - this.#slewSince, WINDOW_MS)
  }

  /** @returns whether a window has ended: it is time to steer */
  observeArrival(mediaMs: number, atMs: number): boolean {
    const offsetMs = atMs - mediaMs
    if (offsetMs < this.#lowestEverMs) this.#lowestEverMs = offsetMs
    if (this.#lowest === null || offsetMs < this.#lowest.offsetMs) this.#lowest = { atMs, offsetMs }
    this.#windowEndsAt ??= atMs + WINDOW_MS
    if (atMs < this.#windowEndsAt) return false
    this.#line.add(this.#lowest.atMs, this.#lowest.offsetMs)
    this.#lowest = null
    this.#windowEndsAt = atMs + WINDOW_MS
    return true
  }

  /** @param offsetMs the producer's wall minus media time */
  observeReport(offsetMs: number, isSane: boolean): void {
    const isStep = Math.abs(offsetMs - (this.reportOffsetMs ?? offsetMs)) > STEADY_MS
    this.#reports = isStep ? [offsetMs] : [...this.#reports, offsetMs].slice(-MAX_REPORTS)
    this.#isReportSane = isSane
  }

  /** By the smallest delays, a window from now: what is steered to is reached by then. */
  arrivalOffset(atMs: number): number {
    return this.#line.valueAt(atMs + WINDOW_MS) ?? this.#lowestEverMs
  }

  /** The producer's wall minus media time; `null` when it has not reported. */
  get reportOffsetMs(): number | null {
    if (this.#reports.length === 0) return null
    const sorted = this.#reports.toSorted((a, b) => a - b)
    return sorted[Math.floor((sorted.length - 1) / 2)]!
  }

  get isReportSane(): boolean {
    return this.#isReportSane
  }

  /** Positive when the producer's clock gains on ours; `null` in the first two minutes. */
  get driftPpm(): number | null {
    return this.#line.slope === null ? null : -this.#line.slope * 1e6
  }

  /** Sets the offset at once: an anchor. */
  moveTo(offsetMs: number, atMs: number): void {
    this.#offsetMs = offsetMs
    this.#slewPerMs = 0
    this.#slewSince = atMs
    this.#strayWindows = 0
    this.#moves++
  }

  /**
   * Slews the offset toward a target for a window. What is too far to slew is left alone.
   *
   * @returns true when that has been so for five minutes, and only a step can help
   */
  steer(targetMs: number, atMs: number): boolean {
    this.#offsetMs = this.offsetAt(atMs)
    this.#slewSince = atMs
    this.#slewPerMs = 0
    const errorMs = targetMs - this.#offsetMs
    if (Math.abs(errorMs) > MAX_SLEWED_MS) return this.#strays(errorMs)
    this.#strayWindows = 0
    if (Math.abs(errorMs) > TOLERATED_MS) {
      this.#slewPerMs = Math.max(-MAX_SLEW, Math.min(MAX_SLEW, errorMs / WINDOW_MS))
    }
    return false
  }

  /** A publisher that sends faster than real time gets ahead more and more, and is let. */
  #strays(errorMs: number): boolean {
    const isSteady = Math.abs(errorMs - this.#strayMs) <= STEADY_MS
    this.#strayWindows = isSteady ? this.#strayWindows + 1 : 1
    this.#strayMs = errorMs
    return this.#strayWindows >= STRAY_WINDOWS
  }
}

type Reading = { readonly atMs: number; readonly offsetMs: number }

const WINDOW_MS = 30_000
/** 500 ppm: a frame of 40 ms is off by a fiftieth of a millisecond. */
const MAX_SLEW = 500e-6
/** A clean clock is left alone, so that its times stay as they were sent. */
const TOLERATED_MS = 10
const MAX_SLEWED_MS = 5_000
const STEADY_MS = 1_000
const STRAY_WINDOWS = 10
const MAX_REPORTS = 5
