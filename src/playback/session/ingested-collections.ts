import type { Fragment } from '../../domain/fragment.ts'
import { endOf } from '../hls/segment-list.ts'

/** A producer that goes on after a break sends again what it has in memory: minutes at most. */
const SAME_COLLECTION_MS = 10 * 60_000
/** Sound that runs ahead of pictures is no second ingestion of the same time. */
const MIN_OVERLAP_MS = 1000

/**
 * KVS API, HLSFragmentSelector: "If some fragments are ingested within the same time range and very
 * different points in time, only the oldest ingested collection of fragments are returned." Whether
 * `fragment` is of a later one than what it overlaps.
 *
 * @param before what was chosen before it, by the producer's clock
 */
export function isIngestedAgain(fragment: Fragment, before: Fragment | null): boolean {
  if (before === null) return false
  const overlapMs = endOf(before) - fragment.producerTimestamp
  const laterMs = fragment.serverTimestamp - before.serverTimestamp
  return overlapMs > MIN_OVERLAP_MS && laterMs - overlapMs > SAME_COLLECTION_MS
}

/** A later collection may begin earlier: then what was chosen of it gives way. */
export function withoutLaterCollections(fragments: readonly Fragment[]): readonly Fragment[] {
  const chosen: Fragment[] = []
  for (const fragment of fragments) {
    while (chosen.length > 0 && gives(chosen.at(-1)!, fragment)) chosen.pop()
    if (!isIngestedAgain(fragment, chosen.at(-1) ?? null)) chosen.push(fragment)
  }
  return chosen
}

function gives(before: Fragment, fragment: Fragment): boolean {
  const overlapMs = endOf(before) - fragment.producerTimestamp
  const laterMs = before.serverTimestamp - fragment.serverTimestamp
  return overlapMs > MIN_OVERLAP_MS && laterMs > SAME_COLLECTION_MS
}
