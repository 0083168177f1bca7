/**
 * The two kinds of time in this system. They never mix without a conversion in this file.
 *
 * - Wall time ({@link EpochMs}): what a clock on the wall says; producer and server timestamps.
 * - Media time: a whole number of ticks on a track's own clock, together with its timescale. Camera
 *   clocks drift against wall time, so neither can be computed from the other for long.
 */

/** Milliseconds since 1970-01-01T00:00:00Z; always an integer. */
export type EpochMs = number & { readonly __brand: 'EpochMs' }

export function epochMs(value: number): EpochMs {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not an integer of milliseconds: ${value}`)
  return value as EpochMs
}

/**
 * Converts ticks between timescales, rounding toward negative infinity so that neighbouring samples
 * may touch but never overlap. Exact while |ticks| < 2^53: the product is computed in two parts.
 */
export function rescaleTicks(ticks: number, from: number, to: number): number {
  if (from === to) return ticks
  const whole = Math.floor(ticks / from)
  const rest = ticks - whole * from // 0 <= rest < from
  return whole * to + Math.floor((rest * to) / from)
}
