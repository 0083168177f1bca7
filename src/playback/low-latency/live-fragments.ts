import type { Fragment } from '../../domain/fragment.ts'
import type { PlaylistPart } from '../../media/hls/media-playlist.ts'
import type { ChildQuery } from '../hls/hls.ts'
import type { GrowingFragment } from './growing-fragment.ts'

/** What is persisted, and behind it the fragment that grows as it is so far, for playlists. */
export function toLiveFragments(
  history: readonly Fragment[],
  growing: GrowingFragment,
): readonly Fragment[] {
  const newest = history.at(-1)!
  const { start, sequence, fragmentNumber, durationMs } = growing
  return [
    ...history,
    {
      ...newest,
      fragmentNumber,
      sequence,
      durationMs,
      producerTimestamp: start.producerTimestamp,
      serverTimestamp: start.serverTimestamp,
      discontinuity: start.discontinuity,
      discontinuitySequence: newest.discontinuitySequence + (start.discontinuity ? 1 : 0),
      startsWithKey: start.startsWithKey,
    },
  ]
}

export function toPartList(
  { sequence, parts }: GrowingFragment,
  query: ChildQuery,
): readonly PlaylistPart[] {
  return parts.map(({ durationMs, isIndependent }, i) => ({
    uri: toPartUri({ sequence, part: i }, query),
    durationMs,
    isIndependent,
  }))
}

export function toPartUri(
  { sequence, part }: { readonly sequence: number; readonly part: number },
  query: ChildQuery,
): string {
  return `part-${sequence}-${part}.m4s${query}`
}
