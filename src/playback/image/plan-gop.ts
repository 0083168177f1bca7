/** The slice of a Fragment that planning needs. */
export type PlannedFragment = {
  readonly producerTimestamp: number
  readonly serverTimestamp: number
  readonly durationMs: number
  readonly arrivalSpanMs: number
  readonly sequence: number
  readonly startsWithKey: boolean
  readonly discontinuity: boolean
}

/** A GOP longer than this many fragments is not decoded for one image. */
const MAX_FRAGMENTS = 16

export type Moment = {
  readonly by: 'producer' | 'server'
  readonly atMs: number
  /** How long after its end a fragment still shows its last frame, when none continues it. */
  readonly maxOverhangMs: number
}

/**
 * Which fragments to read for what was shown at a moment: the last that starts at or before it and,
 * where a long GOP was split, those before it up to its key sample. None where nothing was shown.
 *
 * @param fragments in order of the clock
 * @returns also the moment by the producer's clock: between arrivals, media goes on at its own pace
 */
export function planFragments<F extends PlannedFragment>(
  fragments: readonly F[],
  { by, atMs, maxOverhangMs }: Moment,
): { readonly fragments: readonly F[]; readonly producerMs: number } | null {
  const startOf = (fragment: F) =>
    by === 'producer' ? fragment.producerTimestamp : fragment.serverTimestamp
  const last = fragments.findLastIndex((fragment) => startOf(fragment) <= atMs)
  const fragment = fragments[last]
  if (fragment === undefined) return null

  const lengthMs = by === 'producer' ? fragment.durationMs : fragment.arrivalSpanMs
  const next = fragments[last + 1]
  // One frame a second, or slower: nobody knows how long the last of a fragment is shown.
  const goesOn = next?.sequence === fragment.sequence + 1 && !next.discontinuity
  if (!goesOn && atMs > startOf(fragment) + lengthMs + maxOverhangMs) return null

  let first = last
  while (!fragments[first]!.startsWithKey && !fragments[first]!.discontinuity) {
    if (first === 0 || last - first + 1 >= MAX_FRAGMENTS) break
    first--
  }
  const producerMs =
    by === 'producer' ? atMs : fragment.producerTimestamp + (atMs - fragment.serverTimestamp)
  return { fragments: fragments.slice(first, last + 1), producerMs }
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

/**
 * The part of a GOP that has to be decoded for some of its frames: a frame is made of samples up to its
 * own in decode order.
 */
export function upToFrames<S extends PlannedSample>(
  gop: readonly S[],
  frames: readonly number[],
): readonly S[] {
  const wanted = new Set(frames)
  return gop.slice(0, gop.findLastIndex(({ ptsMs }) => wanted.has(ptsMs)) + 1)
}
