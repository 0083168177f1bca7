import type { PullFailure } from '../pull/pull.ts'

/**
 * How long to wait before the next attempt: between half of a ceiling and the ceiling, which doubles
 * with every failure. The jitter keeps cameras that went away together (a switch, a power cut) from
 * being called together.
 *
 * @param failures attempts that failed since media last came for a while, this one included: from 1
 * @param random 0 to 1
 * @returns ms
 */
export function planRetryMs(reason: PullFailure, failures: number, random: number): number {
  const { firstMs, mostMs } = PACES[reason] ?? USUAL_PACE
  const ceilingMs = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 16))
  return Math.round((ceilingMs / 2) * (1 + random))
}

/** Media that came for so long was well: the next failure is a first one again. */
export const HEALTHY_MS = 30_000

type Pace = { readonly firstMs: number; readonly mostMs: number }

const USUAL_PACE: Pace = { firstMs: 2_000, mostMs: 60_000 }
const PACES: Partial<Record<PullFailure, Pace>> = {
  // Cameras lock an account after a few wrong passwords, some for as long as they are tried.
  unauthorised: { firstMs: 120_000, mostMs: 240_000 },
  // The camera is not called for it: only our own list of sessions is looked at.
  busy: { firstMs: 10_000, mostMs: 10_000 },
}
