import type { EpochMs } from '../domain/time.ts'

const MINUTE_MS = 60_000

/** Numbers reserved with each chunk; more fragments than these begin another one. */
export const MAX_FRAGMENTS_PER_CHUNK = 65_536

/** A chunk is a twelfth of the retention, so that expiry frees space in steps of that size. */
export function maxChunkAgeMs(retentionMs: number): number {
  return Math.min(Math.max(Math.floor(retentionMs / 12), MINUTE_MS), 10 * MINUTE_MS)
}

export type RotationReason = 'header' | 'age' | 'size' | 'fragments'

/** Decides whether the next fragment needs a chunk of its own; `null`: it joins the open one. */
export function planRotation(plan: {
  readonly sameHeader: boolean
  readonly openedAt: EpochMs
  readonly serverTimestamp: EpochMs
  readonly retentionMs: number
  readonly chunkBytes: number
  readonly maxChunkBytes: number
  readonly fragments: number
}): RotationReason | null {
  if (!plan.sameHeader) return 'header'
  // A clock that was set back counts as age too: a chunk's times stay within twice its length.
  const ageMs = Math.abs(plan.serverTimestamp - plan.openedAt)
  if (ageMs >= maxChunkAgeMs(plan.retentionMs)) return 'age'
  if (plan.chunkBytes >= plan.maxChunkBytes) return 'size'
  if (plan.fragments >= MAX_FRAGMENTS_PER_CHUNK) return 'fragments'
  return null
}
