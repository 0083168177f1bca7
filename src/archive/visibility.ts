import { counterOf, type Fragment } from '../domain/fragment.ts'
import { timeSpanOf, type ChunkSpan, type ClockRange } from './chunk-span.ts'
import type { FragmentRow } from './fragment-row.ts'

/** What decides whether a persisted fragment is seen. */
export type FragmentFacts = Pick<
  FragmentRow,
  'counter' | 'serverTimestamp' | 'producerTimestamp' | 'durationMs' | 'arrivalSpanMs'
>

/** A range that is being deleted: what had come by then, up to and including a counter. */
export type DeletingRange = ClockRange & { readonly lastCounter: number }

/**
 * Which persisted fragments of a stream are seen at a moment. A fragment is, while it is younger
 * than the retention or overlaps a held range; never while it is being deleted.
 */
export class Visibility {
  readonly #cutoff: number
  readonly #held: readonly ClockRange[]
  readonly #deleting: readonly DeletingRange[]

  /** @param facts `cutoff`: server timestamps up to this are past the retention */
  constructor(facts: {
    readonly cutoff: number
    readonly held: readonly ClockRange[]
    readonly deleting: readonly DeletingRange[]
  }) {
    this.#cutoff = facts.cutoff
    this.#held = facts.held
    this.#deleting = facts.deleting
  }

  shows(row: FragmentFacts): boolean {
    if (this.#deleting.some((range) => isInDeleting(row, range))) return false
    return row.serverTimestamp > this.#cutoff || isInAny(row, this.#held)
  }

  showsFragment(fragment: Fragment): boolean {
    const isYoung = fragment.serverTimestamp > this.#cutoff
    if (isYoung && this.#deleting.length === 0) return true
    if (!isYoung && this.#held.length === 0) return false
    return this.shows(toFacts(fragment))
  }

  /** False only where none of the chunk's fragments is shown. */
  mayShow(span: ChunkSpan): boolean {
    return span.lastServerTimestamp > this.#cutoff || overlapsAny(span, this.#held)
  }

  /** Whether all of the chunk's fragments are shown, as far as its row tells. */
  showsAll(span: ChunkSpan): boolean {
    return span.server.from > this.#cutoff && !overlapsAny(span, this.#deleting)
  }
}

export function toFacts(fragment: Fragment): FragmentFacts {
  return { ...fragment, counter: counterOf(fragment) }
}

export function isInDeleting(row: FragmentFacts, range: DeletingRange): boolean {
  return row.counter <= range.lastCounter && isInAny(row, [range])
}

/** Whether a fragment overlaps one of the ranges, each by its own clock. */
export function isInAny(row: FragmentFacts, ranges: readonly ClockRange[]): boolean {
  return ranges.some((range) => {
    const { from, to } = timeSpanOf(row, range.by)
    return from < range.to && to > range.from
  })
}

export function overlapsAny(span: ChunkSpan, ranges: readonly ClockRange[]): boolean {
  return ranges.some((range) => {
    const { from, to } = span[range.by]
    return from < range.to && to > range.from
  })
}
