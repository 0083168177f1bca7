import type { Archive } from '../../archive/index.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { fragmentPages, startOf, type SelectorClock } from '../fragment-pages.ts'
import { continues } from '../hls/segment-list.ts'

/** Which fragments a clip is made of: those that begin in `from <= t <= to`. */
export type ClipRange = {
  readonly by: SelectorClock
  /** Epoch milliseconds. */
  readonly from: number
  readonly to: number
}

export type ClipLimits = {
  /** `null`: any number. */
  readonly maxFragments: number | null
  /** Of stored bytes; the first fragment always fits. */
  readonly maxBytes: number | null
}

export type ClipChoice = {
  readonly range: ClipRange
  readonly limits: ClipLimits
  /** Whether a fragment of the range is one of the clip. */
  readonly admit: (fragment: Fragment) => Promise<boolean>
}

/** A fragment at its place in a clip. */
export type ClipStep = {
  readonly fragment: Fragment
  /** The clip's next one. */
  readonly next: Fragment | null
  /** Whether it goes on where the clip's one before it stops. */
  readonly continues: boolean
  /** When it begins in the clip; milliseconds. */
  readonly startMs: number
  /** When the next one does, or the clip ends. */
  readonly endMs: number
}

/**
 * The fragments of a clip, one after the other, from 0: where one does not continue the one before
 * (a gap, an overlap, a producer that began again) it follows at once, and nothing is stretched. Reads
 * the index page by page, so it takes no more memory for a long clip.
 */
export async function* clipSteps(
  archive: Archive,
  streamId: StreamId,
  { range: { by, from, to }, limits: { maxFragments, maxBytes }, admit }: ClipChoice,
): AsyncGenerator<ClipStep, void, undefined> {
  let startMs = 0
  let bytes = 0
  let count = 0
  let held: Fragment | null = null
  let isContinued = false
  const place = (fragment: Fragment, next: Fragment | null): ClipStep => {
    const isFollowed = next !== null && continues(fragment, next)
    const lengthMs = isFollowed
      ? next.producerTimestamp - fragment.producerTimestamp
      : fragment.durationMs
    const endMs = startMs + lengthMs
    const step = { fragment, next, continues: isContinued, startMs, endMs }
    startMs = endMs
    isContinued = isFollowed
    return step
  }
  pages: for await (const page of fragmentPages(archive, streamId, { by, from, to: to + 1 })) {
    for (const fragment of page) {
      if (startOf(fragment, by) < from) continue // it only reaches into the range
      if (maxFragments !== null && count >= maxFragments) break pages
      if (maxBytes !== null && count > 0 && bytes + fragment.sizeBytes > maxBytes) break pages
      if (!(await admit(fragment))) continue
      if (held !== null) yield place(held, fragment)
      held = fragment
      count++
      bytes += fragment.sizeBytes
    }
  }
  if (held !== null) yield place(held, null)
}
