/** The slice of a Fragment that planning needs. */
export type PlannedFragment = {
  readonly producerTimestamp: number
  readonly startsWithKey: boolean
  readonly discontinuity: boolean
}

/** A GOP longer than this many fragments is not decoded for one image. */
const MAX_FRAGMENTS = 16

/**
 * Which fragments to read for the frame at `atMs`: the last that starts at or before it and, where
 * a long GOP was split, those before it up to its key sample.
 *
 * @param fragments in order of the producer's clock
 */
export function planFragments<F extends PlannedFragment>(
  fragments: readonly F[],
  atMs: number,
): readonly F[] {
  const last = fragments.findLastIndex(({ producerTimestamp }) => producerTimestamp <= atMs)
  if (last < 0) return []
  let first = last
  while (!fragments[first]!.startsWithKey && !fragments[first]!.discontinuity) {
    if (first === 0 || last - first + 1 >= MAX_FRAGMENTS) break
    first--
  }
  return fragments.slice(first, last + 1)
}

export type PlannedSample = { readonly ptsMs: number; readonly isKey: boolean }

/**
 * Which samples to decode for the frame at `atMs`, and that frame's time: from the last key sample
 * presented at or before it up to the next key sample. `null` when no frame is that old.
 *
 * @param samples of one video track in decode order
 */
export function planGop<S extends PlannedSample>(
  samples: readonly S[],
  atMs: number,
): { readonly samples: readonly S[]; readonly frameMs: number } | null {
  const start = samples.findLastIndex(({ isKey, ptsMs }) => isKey && ptsMs <= atMs)
  if (start < 0) return null
  const next = samples.findIndex(({ isKey }, i) => isKey && i > start)
  const gop = samples.slice(start, next < 0 ? samples.length : next)
  const frameMs = gop.reduce(
    (latest, { ptsMs }) => (ptsMs <= atMs ? Math.max(latest, ptsMs) : latest),
    gop[0]!.ptsMs,
  )
  return { samples: gop, frameMs }
}
