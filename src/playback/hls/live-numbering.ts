import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'

/**
 * Keeps EXT-X-DISCONTINUITY-SEQUENCE true for windows that slide. The archive numbers the
 * discontinuities that producers declared; a playlist also marks gaps and changed parameters, and
 * must go on counting them after they left the window (RFC 8216 §6.2.2). Remembers the
 * last history of each stream; after a restart the undeclared ones are forgotten.
 */
export class LiveNumbering {
  /** Undeclared discontinuities up to each fragment of the last history, by sequence. */
  readonly #counted = new Map<StreamId, ReadonlyMap<number, number>>()

  /**
   * @param history fragments in order, not empty; longer than any playlist, so that a slow player
   *   still finds its place
   * @param marks whether each is a discontinuity to the one before it, declared or not
   * @returns the number of discontinuities up to and including each fragment
   */
  number(history: readonly Fragment[], marks: readonly boolean[]): readonly number[] {
    const { streamId } = history[0]!
    const undeclared: number[] = []
    for (const [i, fragment] of history.entries()) {
      const isNew = i > 0 && marks[i]! && !fragment.discontinuity
      undeclared.push((undeclared[i - 1] ?? 0) + (isNew ? 1 : 0))
    }

    const known = this.#counted.get(streamId) ?? new Map<number, number>()
    const at = history.findLastIndex(({ sequence }) => known.has(sequence))
    const before =
      at >= 0 ? known.get(history[at]!.sequence)! - undeclared[at]! : Math.max(0, ...known.values())
    const counts = new Map(history.map(({ sequence }, i) => [sequence, undeclared[i]! + before]))
    this.#remember(streamId, counts)
    return history.map(
      (fragment) => fragment.discontinuitySequence + counts.get(fragment.sequence)!,
    )
  }

  #remember(streamId: StreamId, counts: ReadonlyMap<number, number>): void {
    this.#counted.delete(streamId)
    this.#counted.set(streamId, counts)
    if (this.#counted.size <= MAX_STREAMS) return
    const [oldest] = this.#counted.keys()
    this.#counted.delete(oldest!)
  }
}

const MAX_STREAMS = 4096
