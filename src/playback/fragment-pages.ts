import type { Archive } from '../archive/index.ts'
import type { Fragment, FragmentNumber } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import { epochMs } from '../domain/time.ts'

/** By which clock of a fragment a range is meant. */
export type SelectorClock = 'producer' | 'server'

/** A fragment's place in the order of a clock: its start, then its number. */
export type FragmentKey = {
  readonly startMs: number
  readonly fragmentNumber: FragmentNumber
}

export type PagedRange = {
  readonly by: SelectorClock
  /** Fragments that overlap `from <= t < to`; epoch milliseconds. */
  readonly from: number
  readonly to: number
  /** Only what comes behind it. */
  readonly after?: FragmentKey | null
  /** 1..1000, the default; a page may hold fewer. */
  readonly pageSize?: number
}

/**
 * All persisted fragments that overlap a range, in order of its clock and then of number, page by
 * page: never more of them in memory, and never one twice, whatever comes or goes meanwhile.
 */
export async function* fragmentPages(
  archive: Archive,
  streamId: StreamId,
  { by, from, to, after = null, pageSize = MAX_PAGE_SIZE }: PagedRange,
): AsyncGenerator<readonly Fragment[], void, undefined> {
  let limit = pageSize
  let last = after
  for (;;) {
    const start = Math.max(from, last?.startMs ?? from)
    const page = await archive.list(streamId, { by, from: toTime(start), to: toTime(to), limit })
    const unseen = page.filter((fragment) => isBehind(toKey(fragment, by), last))
    if (unseen.length > 0) yield unseen
    if (page.length < limit) return
    // The page begins with what overlaps the start of the last one. A page of nothing else would
    // come again for ever, so it grows.
    if (unseen.length === 0) limit *= 2
    else last = toKey(unseen.at(-1)!, by)
  }
}

const MAX_PAGE_SIZE = 1000

export function toKey(fragment: Fragment, by: SelectorClock): FragmentKey {
  return { startMs: startOf(fragment, by), fragmentNumber: fragment.fragmentNumber }
}

export function startOf(fragment: Fragment, by: SelectorClock): number {
  return by === 'producer' ? fragment.producerTimestamp : fragment.serverTimestamp
}

function isBehind(key: FragmentKey, last: FragmentKey | null): boolean {
  if (last === null || key.startMs > last.startMs) return true
  return key.startMs === last.startMs && key.fragmentNumber > last.fragmentNumber
}

/** Within what a Date can be: callers name any number. */
function toTime(ms: number) {
  return epochMs(Math.min(Math.max(ms, 0), MAX_TIME_MS))
}

const MAX_TIME_MS = 8.64e15
