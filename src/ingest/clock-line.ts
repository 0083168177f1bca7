/**
 * A straight line through readings of one clock by another, which outliers do not bend: its slope is
 * the median of the slopes between all pairs of readings (Theil and Sen), its height the lower
 * quartile of what is left, since a delayed reading is late and never early.
 *
 * Readings that stay away from the line are a step and not a drift: the line begins anew with them.
 */
export class ClockLine {
  #readings: Reading[] = []
  #fit: Fit | null = null
  /** Of the newest readings, how many were away from the line, and by how much the last of them. */
  #away = 0
  #awayMs = 0

  /** To be called in order of `atMs`, seldom: it costs some 100 µs. */
  add(atMs: number, offsetMs: number): void {
    this.#noteStep(this.#fit === null ? 0 : offsetMs - valueAt(this.#fit, atMs))
    this.#readings.push({ atMs, offsetMs })
    if (this.#away >= STEP_READINGS) {
      this.#readings = this.#readings.slice(-STEP_READINGS)
      this.#away = 0
    }
    if (this.#readings.length > MAX_READINGS) this.#readings.shift()
    this.#fit = this.#readings.length < MIN_READINGS ? null : fitLine(this.#readings)
  }

  /** Milliseconds per millisecond; `null` before four readings. */
  get slope(): number | null {
    return this.#fit?.slope ?? null
  }

  /** `null` before four readings. */
  valueAt(atMs: number): number | null {
    return this.#fit === null ? null : valueAt(this.#fit, atMs)
  }

  #noteStep(residualMs: number): void {
    if (Math.abs(residualMs) <= STEP_MS) this.#away = 0
    else if (this.#away > 0 && Math.abs(residualMs - this.#awayMs) <= STEP_MS) this.#away++
    else this.#away = 1
    this.#awayMs = residualMs
  }
}

type Reading = { readonly atMs: number; readonly offsetMs: number }
type Fit = { readonly slope: number; readonly offsetMs: number; readonly atMs: number }

const MIN_READINGS = 4
const MAX_READINGS = 40
const STEP_MS = 1_000
const STEP_READINGS = 4

function fitLine(readings: readonly Reading[]): Fit {
  const slopes: number[] = []
  for (const [i, a] of readings.entries()) {
    for (let k = 0; k < i; k++) {
      const b = readings[k]!
      if (a.atMs > b.atMs) slopes.push((a.offsetMs - b.offsetMs) / (a.atMs - b.atMs))
    }
  }
  const slope = slopes.length === 0 ? 0 : quantile(slopes, 0.5)
  const { atMs } = readings.at(-1)!
  const heights = readings.map((each) => each.offsetMs + slope * (atMs - each.atMs))
  return { slope, offsetMs: quantile(heights, 0.25), atMs }
}

function valueAt(fit: Fit, atMs: number): number {
  return fit.offsetMs + fit.slope * (atMs - fit.atMs)
}

function quantile(values: number[], part: number): number {
  values.sort((a, b) => a - b)
  return values[Math.floor((values.length - 1) * part)]!
}
