import type { EpochMs } from '../domain/time.ts'
import type { StoredSample } from '../media/matroska/scanner.ts'

/**
 * A fragment's samples at wall times. Timecodes may count from the producer's own start (KVS API:
 * PutMedia, RELATIVE) and are then far from the fragment's wall time; sound a moment before the first
 * picture is not.
 */
export function toWallTimes(
  samples: readonly StoredSample[],
  startsAt: EpochMs,
): readonly StoredSample[] {
  const earliest = samples.reduce((min, { ptsMs }) => Math.min(min, ptsMs), Infinity)
  const offset = startsAt - earliest
  if (Math.abs(offset) < MAX_SKEW_MS || samples.length === 0) return samples
  return samples.map((sample) => ({ ...sample, ptsMs: sample.ptsMs + offset }))
}

const MAX_SKEW_MS = 60_000
