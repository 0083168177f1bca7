import type { Fragment } from '../../domain/fragment.ts'
import { startOf } from '../fragment-pages.ts'
import type { ChunkFormat } from '../hls/chunk-formats.ts'
import { continues, endOf, GAP_MS } from '../hls/segment-list.ts'
import type { StreamingSession } from './streaming-session.ts'

/** One place of a session: a fragment, or a gap. */
export type ListedFragment = {
  /** `null`: nothing came yet. */
  readonly fragment: Fragment | null
  /** `null`: not readable, or nothing in it can be played. */
  readonly format: ChunkFormat | null
  /** 0 for the first of the session. */
  readonly position: number
  /** It does not continue the one before it. */
  readonly discontinuity: boolean
  /** Discontinuities of the session up to and including it. */
  readonly discontinuitySequence: number
  /** How much longer the session is with it than without. */
  readonly durationMs: number
  readonly stretch: Stretch
}

/**
 * Fragments that continue each other by the producer's clock: a Period of DASH. The presentation's
 * time is wall time by our clock in live sessions, and counts from 0 on demand.
 */
export type Stretch = {
  /** The position of its first fragment. */
  readonly position: number
  readonly producerMs: number
  readonly presentationMs: number
}

/** The part of a session that a playlist shows. */
export type Listing = {
  readonly entries: readonly ListedFragment[]
  /** Nothing will follow. */
  readonly isEnded: boolean
  readonly targetDurationS: number
}

/**
 * Puts fragments one behind the other: positions, durations and discontinuities. Depends only on the
 * fragments and their order, so that it comes out the same however often it is asked.
 *
 * A fragment's duration is counted from the end of the one before when it continues that, so that
 * the sum is exact though sound runs ahead of pictures over the fragments' bounds, and so that the
 * newest one's never changes.
 */
export class Sequence {
  readonly #session: StreamingSession
  #last: ListedFragment | null = null
  #lastInitId: string | null = null

  constructor(session: StreamingSession) {
    this.#session = session
  }

  get last(): ListedFragment | null {
    return this.#last
  }

  addGap(durationMs: number): ListedFragment {
    const { madeAt } = this.#session
    return this.#keep({
      fragment: null,
      format: null,
      position: 0,
      discontinuity: false,
      discontinuitySequence: 0,
      durationMs,
      stretch: { position: 0, producerMs: madeAt, presentationMs: madeAt },
    })
  }

  /** @param firstPosition of the first fragment, if this is it */
  add(
    fragment: Fragment,
    format: ChunkFormat | null,
    { firstPosition, presentationMs }: Place,
  ): ListedFragment {
    const last = this.#last
    const previous = last?.fragment ?? null
    const sameInit = format === null || (this.#lastInitId ?? format.initId) === format.initId
    const isNew = last !== null && this.#isDiscontinuity(previous, fragment, sameInit)
    const position = last === null ? firstPosition : last.position + 1
    const counted =
      last?.discontinuitySequence ?? (this.#session.discontinuities === 'ALWAYS' ? position : 0)
    const joins = previous !== null && continues(previous, fragment)
    const ended = previous === null ? 0 : this.#endOf(previous)
    const sinceMs = joins ? this.#endOf(fragment) - ended : 0
    const stretch =
      last !== null && joins && sameInit
        ? last.stretch
        : { position, producerMs: fragment.producerTimestamp, presentationMs }
    if (format !== null) this.#lastInitId = format.initId
    return this.#keep({
      fragment,
      format,
      position,
      discontinuity: isNew,
      discontinuitySequence: counted + (isNew ? 1 : 0),
      durationMs: sinceMs > 0 ? sinceMs : fragment.durationMs,
      stretch,
    })
  }

  #keep(entry: ListedFragment): ListedFragment {
    this.#last = entry
    return entry
  }

  #isDiscontinuity(previous: Fragment | null, next: Fragment, sameInit: boolean): boolean {
    const mode = this.#session.discontinuities
    if (mode === 'ALWAYS' || !sameInit) return true
    if (mode === 'NEVER' || previous === null) return false
    if (!continues(previous, next)) return true
    // By the server's clock what arrived late leaves a gap, too.
    const { clock } = this.#session
    const step = startOf(next, clock) - startOf(previous, clock)
    return Math.abs(step - (next.producerTimestamp - previous.producerTimestamp)) > GAP_MS
  }

  #endOf(fragment: Fragment): number {
    return startOf(fragment, this.#session.clock) + fragment.durationMs
  }
}

export type Place = { readonly firstPosition: number; readonly presentationMs: number }

/** When the presentation of an entry ends, in its stretch's time. */
export function presentationEndOf({ fragment, stretch, durationMs }: ListedFragment): number {
  const { presentationMs, producerMs } = stretch
  return fragment === null
    ? presentationMs + durationMs
    : presentationMs + endOf(fragment) - producerMs
}

/** The newest entries that a playlist lists. */
export function newestOf(
  entries: readonly ListedFragment[],
  { window }: StreamingSession,
  targetDurationS: number,
): readonly ListedFragment[] {
  let start = Math.max(0, entries.length - window.fragments)
  if (window.bound === 'asked') return entries.slice(start)
  let listedMs = entries.slice(start).reduce((sum, { durationMs }) => sum + durationMs, 0)
  while (start > 0 && listedMs < 3 * targetDurationS * 1000)
    listedMs += entries[--start]!.durationMs
  return entries.slice(start)
}

/**
 * RFC 8216 §4.3.3.1: no duration, rounded, is longer; §6.2.1: it does not change, and so grows only
 * where the other rule leaves no choice.
 */
export function targetDurationOf(
  { start }: StreamingSession,
  entries: readonly ListedFragment[],
): number {
  const longestMs = entries.reduce((longest, { durationMs }) => Math.max(longest, durationMs), 0)
  return Math.max(start.targetDurationS, Math.round(longestMs / 1000))
}
