import type { Fragment } from '../domain/fragment.ts'
import type { FragmentRange } from './archive.ts'
import type { Catalogue, ChunkRow } from './catalogue.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { ChunkReader } from './chunk-reader.ts'
import { timeSpanOf, type ClockRange } from './chunk-span.ts'
import { toFragment, type FragmentRow } from './fragment-row.ts'
import type { StreamState } from './stream-state.ts'
import type { Visibility } from './visibility.ts'

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

  /** Fragments in order of `range.by`, then of number. */
  async inRange(
    state: StreamState,
    range: FragmentRange,
    visibility: Visibility,
  ): Promise<readonly Fragment[]> {
    const startOf = (row: FragmentRow) => timeSpanOf(row, range.by).from
    let found: FoundRow[] = []
    for await (const chunk of this.chunksInRange(state, range)) {
      const last = found[range.limit - 1]
      if (last !== undefined && startOf(last.row) < chunk.from) break // the rest begins later
      if (isHidden(chunk.row, visibility)) continue
      for (const row of await this.#rowsOf(chunk)) {
        const { from, to } = timeSpanOf(row, range.by)
        if (from >= range.to || to <= range.from || !visibility.shows(row)) continue
        found.push({ row, chunkId: chunk.row.chunkId })
      }
      found.sort((a, b) => startOf(a.row) - startOf(b.row) || a.row.counter - b.row.counter)
      found = found.slice(0, range.limit)
    }
    return found.map(({ row, chunkId }) => toFragment(row, state.streamId, chunkId))
  }

  /** Fragments with this counter or a higher one, in order of number. */
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
      for (const fragment of await this.#rowsOf({ row, live: live.get(row.firstCounter) })) {
        if (fragment.counter < counter || !visibility.shows(fragment)) continue
        found.push(toFragment(fragment, state.streamId, row.chunkId))
        if (found.length === limit) return found
      }
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
      const persisted = await this.#rowsOf({ row, live: live.get(row.firstCounter) })
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
  async #rowsOf(chunk: ChunkToRead): Promise<readonly FragmentRow[]> {
    return (await this.allRowsOf(chunk)).filter(({ deleted }) => !deleted)
  }

  /** Persisted rows, deleted or not. */
  async allRowsOf({ row, live }: ChunkToRead): Promise<readonly FragmentRow[]> {
    if (live !== undefined) return this.#reader.liveRows(row, live.rowCount)
    return row.state === 'finished' ? this.#reader.finishedRows(row) : []
  }
}

type FoundRow = { readonly row: FragmentRow; readonly chunkId: string }
export type ChunkToRead = { readonly row: ChunkRow; readonly live?: ChunkFile | undefined }
export type RangedChunk = ChunkToRead & { readonly from: number }

function isHidden(chunk: ChunkRow, visibility: Visibility): boolean {
  return chunk.state === 'finished' && !visibility.mayShow(chunk.span)
}

function liveByCounter(state: StreamState): ReadonlyMap<number, ChunkFile> {
  return new Map([...state.liveChunks].map((chunk) => [chunk.row.firstCounter, chunk]))
}
