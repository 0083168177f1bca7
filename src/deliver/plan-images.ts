/** The last image that was delivered of a stream. */
export type LastImage = {
  readonly fragmentNumber: string
  /** By the clock that images are apart by. */
  readonly atMs: number
}

/** A fragment's span by that clock. */
export type Span = {
  readonly fragmentNumber: string
  readonly startMs: number
  readonly durationMs: number
}

/** More in one fragment is a fragment that goes on for ever. */
const MAX_PER_FRAGMENT = 1_000

/**
 * When images of a fragment are due: an interval after the last one, or at the fragment's start where
 * that is longer ago, or where time went back.
 */
export function planImages(
  { fragmentNumber, startMs, durationMs }: Span,
  last: LastImage | null,
  intervalMs: number,
): readonly number[] {
  if (last !== null && fragmentNumber <= last.fragmentNumber) return [] // delivered before a crash
  const goesOn = last !== null && startMs >= last.atMs && startMs <= last.atMs + intervalMs
  const instants: number[] = []
  // A fragment of one frame may have no length and is seen all the same.
  const endMs = startMs + Math.max(durationMs, 1)
  for (let atMs = goesOn ? last.atMs + intervalMs : startMs; atMs < endMs; atMs += intervalMs) {
    instants.push(atMs)
    if (instants.length === MAX_PER_FRAGMENT) break
  }
  return instants
}
