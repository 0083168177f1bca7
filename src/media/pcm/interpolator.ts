/**
 * Reads a sampled signal between its samples: a sinc under a Blackman window, from a table. At the
 * samples themselves, and without a change to a lower rate, it gives just them.
 */
export class Interpolator {
  /** Samples of the signal that count on each side of a position. */
  readonly reach: number
  readonly #taps: number
  readonly #table: Float32Array

  /** @param ratio of the new rate to the signal's; below 1, what the new one cannot hold is taken out */
  constructor(ratio: number) {
    const cutoff = Math.min(1, ratio)
    this.reach = Math.ceil(HALF_WIDTH / cutoff)
    this.#taps = 2 * this.reach
    this.#table = toTable(this.reach, cutoff)
  }

  /** @param position in samples of the signal, which is silent outside of itself */
  at(signal: Float32Array, position: number): number {
    const index = Math.floor(position)
    const phase = (position - index) * PHASES
    const row = Math.floor(phase)
    const weight = phase - row
    const taps = this.#taps
    const table = this.#table
    const start = index - this.reach + 1
    const from = Math.max(0, -start)
    const to = Math.min(taps, signal.length - start)
    let here = 0
    let next = 0
    for (let k = from, at = row * taps + from; k < to; k++, at++) {
      const value = signal[start + k]!
      here += table[at]! * value
      next += table[at + taps]! * value
    }
    return here + (next - here) * weight
  }
}

const HALF_WIDTH = 16
/** Positions between two samples that are in the table; others lie between two of them. */
const PHASES = 128

/** A row of taps for each phase from 0 to 1, both included; each row adds up to one. */
function toTable(reach: number, cutoff: number): Float32Array {
  const taps = 2 * reach
  const table = new Float32Array((PHASES + 1) * taps)
  for (let phase = 0; phase <= PHASES; phase++) {
    const row = table.subarray(phase * taps, (phase + 1) * taps)
    for (let k = 0; k < taps; k++) {
      const x = k - reach + 1 - phase / PHASES
      row[k] = sinc(x * cutoff) * blackman(x / reach)
    }
    const sum = row.reduce((a, b) => a + b, 0)
    for (let k = 0; k < taps; k++) row[k] = row[k]! / sum
  }
  return table
}

function sinc(x: number): number {
  // Exactly none at the other samples, whatever the rounding of pi.
  if (Number.isInteger(x)) return x === 0 ? 1 : 0
  return Math.sin(Math.PI * x) / (Math.PI * x)
}

/** Over -1..1. */
function blackman(x: number): number {
  if (Math.abs(x) >= 1) return 0
  return 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x)
}
