import type { FragmentRow } from './fragment-row.ts'

/** What a chunk holds, by number and by both clocks. Intervals are half open. */
export type ChunkSpan = {
  readonly fragments: number
  readonly lastCounter: number
  readonly lastSequence: number
  readonly discontinuitySequence: number
  /** From the earliest start to the latest end; never empty. */
  readonly server: TimeSpan
  readonly producer: TimeSpan
  /** The latest server timestamp: when it is past the retention, all of the chunk is. */
  readonly lastServerTimestamp: number
  /**
   * Absent when a fragment was deleted, and in rows that were written before there was one: its
   * fragments have to be looked at.
   */
  readonly outline?: ChunkOutline
}

/** What {@link Archive.coverage} asks of a chunk, so that it need not read its fragments. */
export type ChunkOutline = {
  /** Of its fragments, without what lies between them. */
  readonly mediaBytes: number
  /**
   * By each clock, when the last fragment begins, if they begin one after the other and no two are
   * further apart than {@link JOINED_WITHIN_MS}; else `null`.
   */
  readonly lastStart: { readonly [by in ClockName]: number | null }
}

export type TimeSpan = { readonly from: number; readonly to: number }

export type ClockName = 'producer' | 'server'

/** Half open, by one of the clocks. */
export type ClockRange = TimeSpan & { readonly by: ClockName }

/**
 * Fragments that are no further apart are one stretch of media. By the producer's clock it is what
 * the service takes for continuous (KVS: HLS, ON_DISCONTINUITY). By ours a fragment ends when its
 * last sample arrives, so a whole frame at 1 frame/s and the network's delays lie between two.
 */
export const JOINED_WITHIN_MS: { readonly [by in ClockName]: number } = {
  producer: 50,
  server: 1500,
}

/** When a fragment happened by a clock. One without duration still takes its first millisecond. */
export function timeSpanOf(
  row: Pick<FragmentRow, 'producerTimestamp' | 'serverTimestamp' | 'durationMs' | 'arrivalSpanMs'>,
  by: ClockName,
): TimeSpan {
  const from = by === 'producer' ? row.producerTimestamp : row.serverTimestamp
  const lengthMs = by === 'producer' ? row.durationMs : row.arrivalSpanMs
  return { from, to: from + Math.max(lengthMs, 1) }
}

export function withFragment(span: ChunkSpan | null, row: FragmentRow): ChunkSpan {
  // No spread: this runs for every fragment.
  const extended: { -readonly [key in keyof ChunkSpan]: ChunkSpan[key] } = {
    fragments: (span?.fragments ?? 0) + 1,
    lastCounter: row.counter,
    lastSequence: row.sequence,
    discontinuitySequence: row.discontinuitySequence,
    server: union(span?.server, timeSpanOf(row, 'server')),
    producer: union(span?.producer, timeSpanOf(row, 'producer')),
    lastServerTimestamp: Math.max(span?.lastServerTimestamp ?? 0, row.serverTimestamp),
  }
  const outline = withOutlined(span, row)
  if (outline !== null) extended.outline = outline
  return extended
}

export function toChunkSpan(rows: readonly FragmentRow[]): ChunkSpan | null {
  return rows.reduce<ChunkSpan | null>(withFragment, null)
}

function withOutlined(span: ChunkSpan | null, row: FragmentRow): ChunkOutline | null {
  // Of a deleted one nothing is there: its neighbours have to be looked at.
  if (row.deleted || (span !== null && span.outline === undefined)) return null
  const lastStart = (by: ClockName): number | null => {
    const { from } = timeSpanOf(row, by)
    if (span === null) return from
    const before = span.outline!.lastStart[by]
    const follows = before !== null && from > before
    return follows && from - span[by].to <= JOINED_WITHIN_MS[by] ? from : null
  }
  return {
    mediaBytes: (span?.outline?.mediaBytes ?? 0) + row.length,
    lastStart: { server: lastStart('server'), producer: lastStart('producer') },
  }
}

function union(a: TimeSpan | undefined, b: TimeSpan): TimeSpan {
  if (a === undefined) return b
  return { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) }
}
