import { ServiceError } from '../domain/errors.ts'
import type { Fragment } from '../domain/fragment.ts'
import type { FragmentRange } from './archive.ts'
import type { Catalogue, ChunkRow } from './catalogue.ts'
import type { ChunkFile } from './chunk-file.ts'
import { streamIdOf } from './chunk-layout.ts'
import type { ChunkReader } from './chunk-reader.ts'
import {
  timeSpanOf,
  type ChunkSpan,
  type ClockName,
  type ClockRange,
  type TimeSpan,
} from './chunk-span.ts'
import { toFragment, type FragmentRow } from './fragment-row.ts'
import type { ChunkRows } from './sidecar-cache.ts'
import { SidecarRows } from './sidecar-rows.ts'
import type { StreamState } from './stream-state.ts'
import type { Visibility } from './visibility.ts'

/** How far back a look-up by producer time looks at first; see {@link ChunkSearch.inRange}. */
const USUAL_FRAGMENT_MS = 35_000

/**
 * Finds persisted fragments in chunks: finished ones through the catalogue, live ones through the
 * stream's state. Which are live is noted before the catalogue is asked, so that none is missed
 * that is finished in between.
 */
export class ChunkSearch {
  readonly #catalogue: Catalogue
  readonly #reader: ChunkReader

  constructor(catalogue: Catalogue, reader: ChunkReader) {
    this.#catalogue = catalogue
    this.#reader = reader
  }

  /**
   * Fragments in order of `range.by`, then of number. By producer time, one that begins when a later
   * one does is replaced by it, also where only the earlier one reaches into the range.
   *
   * @throws ServiceError `data-loss`/`ChunkDamaged` when fragments of the range cannot be read
   */
  async inRange(
    state: StreamState,
    range: FragmentRange,
    visibility: Visibility,
  ): Promise<readonly Fragment[]> {
    const usual = range.by === 'producer' ? range.from - USUAL_FRAGMENT_MS : range.from
    const first = await this.#lookFrom(state, { range, visibility, from: usual })
    const longer = first.earliest < usual
    const { found } = longer
      ? await this.#lookFrom(state, { range, visibility, from: first.earliest })
      : first
    return found.map(({ row, chunkId }) => toFragment(row, state.streamId, chunkId))
  }

  /** Also tells the earliest beginning of what reaches into the range. */
  async #lookFrom(
    state: StreamState,
    options: {
      readonly range: FragmentRange
      readonly from: number
      readonly visibility: Visibility
    },
  ): Promise<{ readonly found: readonly FoundRow[]; readonly earliest: number }> {
    const { range, from, visibility } = options
    const { by, to, limit } = range
    const searched = { by, from, to }
    const kept = new Map<number, FoundRow>()
    let found: FoundRow[] = []
    let earliest: number = range.from
    /** End before the range: of interest only where they may replace what reaches into it. */
    const before: RangedChunk[] = []
    const look = async (chunk: RangedChunk) => {
      const rows = await this.#read(chunk, (read) => {
        if (!read.isComplete && mayMiss(chunk, read, range)) throw chunkDamaged(chunk.row)
        return shownIn(read, searched, visibility)
      })
      for (const row of rows) {
        keepNewest(kept, { row, chunkId: chunk.row.chunkId }, by)
        const span = timeSpanOf(row, by)
        if (span.to > range.from) earliest = Math.min(earliest, span.from)
      }
      found = inOrder(kept, range).slice(0, limit)
    }
    for await (const chunk of this.chunksInRange(state, searched)) {
      const last = found[limit - 1]
      if (last !== undefined && timeSpanOf(last.row, by).from < chunk.from) break // all begin later
      if (isHidden(chunk.row, visibility)) continue
      if (endOf(chunk, by) <= range.from) before.push(chunk)
      else await look(chunk)
    }
    for (const chunk of before) if (endOf(chunk, by) > earliest) await look(chunk)
    return { found, earliest: by === 'producer' ? earliest : from }
  }

  /**
   * Where to look from to see what replaces the fragments that reach into the range: the earliest
   * beginning of such a one.
   */
  async searchFrom(
    state: StreamState,
    { by, from }: ClockRange,
    visibility: Visibility,
  ): Promise<number> {
    if (by === 'server') return from
    let earliest = from
    const instant = { by, from, to: from + 1 }
    for await (const chunk of this.chunksInRange(state, instant)) {
      if (isHidden(chunk.row, visibility)) continue
      const rows = await this.#read(chunk, (read) => shownIn(read, instant, visibility))
      for (const row of rows) earliest = Math.min(earliest, row.producerTimestamp)
    }
    return earliest
  }

  /**
   * @throws ServiceError `data-loss`/`ChunkDamaged` when it may be among fragments that cannot be
   *   read
   */
  async byCounter(
    state: StreamState,
    counter: number,
    visibility: Visibility,
  ): Promise<Fragment | null> {
    const row = await this.#catalogue.chunkOf(state.streamId, counter)
    if (row === null || isHidden(row, visibility)) return null
    const chunk = { row, live: liveByCounter(state).get(row.firstCounter) }
    const { found, isComplete } = await this.#read(chunk, (read) => {
      const [first] = read.rows.fromCounter(counter)
      return { found: first, isComplete: read.isComplete }
    })
    if (found?.counter !== counter) {
      const mayBeLost = !isComplete && found === undefined
      const isInside = counter <= (finishedSpan(row)?.lastCounter ?? Infinity)
      if (mayBeLost && isInside) throw chunkDamaged(row)
      return null
    }
    const isShown = !found.deleted && visibility.shows(found)
    return isShown ? toFragment(found, state.streamId, row.chunkId) : null
  }

  /**
   * Fragments with this counter or a higher one, in order of number. What cannot be read is left
   * out: who follows a stream goes on behind it.
   */
  async fromCounter(
    state: StreamState,
    counter: number,
    options: { readonly visibility: Visibility; readonly limit: number },
  ): Promise<readonly Fragment[]> {
    const { visibility, limit } = options
    const live = liveByCounter(state)
    const found: Fragment[] = []
    for await (const row of this.#catalogue.chunksFrom(state.streamId, counter)) {
      if (isHidden(row, visibility)) continue
      const chunk = { row, live: live.get(row.firstCounter) }
      const isFull = await this.#read(chunk, ({ rows }) => {
        for (const fragment of rows.fromCounter(counter)) {
          if (fragment.deleted || !visibility.shows(fragment)) continue
          found.push(toFragment(fragment, state.streamId, row.chunkId))
          if (found.length === limit) return true
        }
        return false
      })
      if (isFull) return found
    }
    return found
  }

  /**
   * The newest, oldest of them first.
   *
   * @param visibility `null`: hidden or not
   */
  async newest(
    state: StreamState,
    count: number,
    visibility: Visibility | null,
  ): Promise<readonly Fragment[]> {
    const live = liveByCounter(state)
    let newest: Fragment[] = []
    for await (const row of this.#catalogue.chunksBackwards(state.streamId)) {
      if (visibility !== null && isHidden(row, visibility)) continue
      const persisted = await this.rowsOf({ row, live: live.get(row.firstCounter) })
      const rows = persisted.filter((found) => visibility?.shows(found) ?? true)
      newest = [...rows.map((found) => toFragment(found, state.streamId, row.chunkId)), ...newest]
      if (newest.length >= count) break
    }
    return newest.slice(-count)
  }

  /** Chunks that overlap the range, in order of their beginning by its clock. */
  async *chunksInRange(state: StreamState, range: ClockRange): AsyncGenerator<RangedChunk> {
    let live = [...state.liveChunks].flatMap((chunk): RangedChunk[] => {
      const span = chunk.span?.[range.by]
      if (span === undefined || span.from >= range.to || span.to <= range.from) return []
      return [{ row: chunk.row, live: chunk, from: span.from }]
    })
    live.sort((a, b) => a.from - b.from)
    const liveCounters = new Set(live.map(({ row }) => row.firstCounter))
    const { streamId } = state
    for await (const chunk of this.#catalogue.chunksByTime(streamId, range.by, range)) {
      const { firstCounter, from } = chunk
      yield* live.filter((earlier) => earlier.from <= from)
      live = live.filter((later) => later.from > from)
      const row = this.#catalogue.chunk(streamId, firstCounter)
      if (row !== null && !liveCounters.has(firstCounter)) yield { row, from }
    }
    yield* live
  }

  /** Persisted rows that are not deleted; none when the chunk went away meanwhile. */
  async rowsOf(chunk: ChunkToRead): Promise<readonly FragmentRow[]> {
    return (await this.allRowsOf(chunk)).filter(({ deleted }) => !deleted)
  }

  /** Persisted rows, deleted or not. */
  async allRowsOf(chunk: ChunkToRead): Promise<readonly FragmentRow[]> {
    return (await this.knownRowsOf(chunk)).rows
  }

  /** The same, and whether these are all that the chunk had. */
  async knownRowsOf(
    chunk: ChunkToRead,
  ): Promise<{ readonly rows: readonly FragmentRow[]; readonly isComplete: boolean }> {
    return this.#read(chunk, ({ rows, isComplete }) => ({ rows: rows.all(), isComplete }))
  }

  /** @param use the rows are lent: done with them when it returns */
  async #read<T>({ row, live }: ChunkToRead, use: (read: ChunkRows) => T): Promise<T> {
    const useIfThere = (read: ChunkRows) => use(this.#wasRemoved(row, read) ? NO_ROWS : read)
    if (live !== undefined) return this.#reader.liveRows(row, live.rows, useIfThere)
    if (row.state === 'finished') return this.#reader.finishedRows(row, useIfThere)
    return use(NO_ROWS)
  }

  /** Meanwhile: then it is not damaged. */
  #wasRemoved(row: ChunkRow, { isComplete }: ChunkRows): boolean {
    if (isComplete) return false
    return this.#catalogue.chunk(streamIdOf(row.path), row.firstCounter)?.chunkId !== row.chunkId
  }
}

export type FoundRow = { readonly row: FragmentRow; readonly chunkId: string }
export type ChunkToRead = { readonly row: ChunkRow; readonly live?: ChunkFile | undefined }
export type RangedChunk = ChunkToRead & { readonly from: number }

const NO_ROWS: ChunkRows = { rows: SidecarRows.of([]), isComplete: true }

function shownIn(
  { rows }: ChunkRows,
  range: ClockRange,
  visibility: Visibility,
): readonly FragmentRow[] {
  return rows.overlapping(range).filter((row) => !row.deleted && visibility.shows(row))
}

/** Whether the fragments that cannot be read may reach into the range. */
function mayMiss({ row, live }: ChunkToRead, { rows }: ChunkRows, range: ClockRange): boolean {
  const span = live === undefined ? finishedSpan(row) : live.span
  if (span !== null && !overlaps(span[range.by], range)) return false
  const inOrder = span?.outline !== undefined && span.outline.lastStart[range.by] !== null
  const last = rows.last
  // In order, they come after those that can be read.
  return !inOrder || last === null || range.to > timeSpanOf(last, range.by).to
}

function endOf({ row, live }: RangedChunk, by: ClockName): number {
  const span = live === undefined ? finishedSpan(row) : live.span
  return span === null ? Infinity : span[by].to
}

function finishedSpan(row: ChunkRow): ChunkSpan | null {
  return row.state === 'finished' ? row.span : null
}

function chunkDamaged({ chunkId, path }: ChunkRow): ServiceError {
  return new ServiceError(
    'data-loss',
    'ChunkDamaged',
    `Fragments of chunk ${chunkId} can neither be read nor listed: its files are damaged or gone.`,
    { context: { path } },
  )
}

function overlaps(a: TimeSpan, b: TimeSpan): boolean {
  return a.from < b.to && a.to > b.from
}

/** KVS: HLS, PRODUCER_TIMESTAMP: of fragments with the same start only the largest number counts. */
export function keepNewest(kept: Map<number, FoundRow>, found: FoundRow, by: ClockName): void {
  const key = by === 'producer' ? found.row.producerTimestamp : found.row.counter
  const rival = kept.get(key)
  if (rival === undefined || rival.row.counter < found.row.counter) kept.set(key, found)
}

/** Those that overlap the range, by its clock, then by number. */
export function inOrder(kept: ReadonlyMap<number, FoundRow>, range: ClockRange): FoundRow[] {
  const startOf = ({ row }: FoundRow) => timeSpanOf(row, range.by).from
  return [...kept.values()]
    .filter(({ row }) => overlaps(timeSpanOf(row, range.by), range))
    .sort((a, b) => startOf(a) - startOf(b) || a.row.counter - b.row.counter)
}

export function isHidden(chunk: ChunkRow, visibility: Visibility): boolean {
  return chunk.state === 'finished' && !visibility.mayShow(chunk.span)
}

function liveByCounter(state: StreamState): ReadonlyMap<number, ChunkFile> {
  return new Map([...state.liveChunks].map((chunk) => [chunk.row.firstCounter, chunk]))
}
