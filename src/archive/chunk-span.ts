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
}

export type TimeSpan = { readonly from: number; readonly to: number }

export type ClockName = 'producer' | 'server'

/** Half open, by one of the clocks. */
export type ClockRange = TimeSpan & { readonly by: ClockName }

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
  return {
    fragments: (span?.fragments ?? 0) + 1,
    lastCounter: row.counter,
    lastSequence: row.sequence,
    discontinuitySequence: row.discontinuitySequence,
    server: union(span?.server, timeSpanOf(row, 'server')),
    producer: union(span?.producer, timeSpanOf(row, 'producer')),
    lastServerTimestamp: Math.max(span?.lastServerTimestamp ?? 0, row.serverTimestamp),
  }
}

export function toChunkSpan(rows: readonly FragmentRow[]): ChunkSpan | null {
  return rows.reduce<ChunkSpan | null>(withFragment, null)
}

function union(a: TimeSpan | undefined, b: TimeSpan): TimeSpan {
  if (a === undefined) return b
  return { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) }
}
