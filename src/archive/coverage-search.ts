import type { EpochMs } from '../domain/time.ts'
import type { Coverage } from './archive.ts'
import type { Catalogue } from './catalogue.ts'
import { inOrder, isHidden, keepNewest, type ChunkSearch, type FoundRow } from './chunk-search.ts'
import type { RangedChunk } from './chunk-search.ts'
import { timeSpanOf, type ChunkSpan, type ClockName, type ClockRange } from './chunk-span.ts'
import { explainGap, joinPieces, type BareGap, type Explanation, type Piece } from './coverage.ts'
import type { DamagedChunks } from './damaged-chunks.ts'
import type { FragmentRow } from './fragment-row.ts'
import type { GapMark } from './gap-mark.ts'
import type { StreamState } from './stream-state.ts'
import type { Visibility } from './visibility.ts'

export type CoverageView = {
  readonly visibility: Visibility
  /** Server timestamps up to this are past the retention. */
  readonly cutoff: number
  readonly now: EpochMs
}

/** While a session is on, this much behind its newest media is on its way and no gap. */
const ON_ITS_WAY_MS = 60_000

/**
 * Answers `coverage`. A chunk whose catalogue row says that its fragments follow each other counts
 * as a whole; the fragments of the others are read: those at the range's ends, partly hidden,
 * with gaps of their own, and those that may replace one another. Of chunks that were found damaged
 * only what their files still have counts.
 */
export class CoverageSearch {
  readonly #catalogue: Catalogue
  readonly #search: ChunkSearch
  readonly #damaged: DamagedChunks

  constructor(deps: {
    readonly catalogue: Catalogue
    readonly search: ChunkSearch
    readonly damaged: DamagedChunks
  }) {
    this.#catalogue = deps.catalogue
    this.#search = deps.search
    this.#damaged = deps.damaged
  }

  async find(state: StreamState, range: ClockRange, view: CoverageView): Promise<Coverage> {
    const { pieces, unreadable } = await this.#pieces(state, range, view.visibility)
    const newest = pieces.reduce((latest, piece) => Math.max(latest, piece.to), range.from)
    const happened = Math.max(view.now, newest)
    const isOnItsWay = state.writerOpen && happened - newest <= ON_ITS_WAY_MS
    const to = Math.min(range.to, isOnItsWay ? newest : happened)
    if (to <= range.from) return { spans: [], gaps: [] }
    const { spans, gaps } = joinPieces(pieces, { ...range, to })
    const stored = await this.#catalogue.gapMarks(state.streamId, { ...range, to })
    const { closed, open } = state.gaps.record
    const notes = { closed: [...stored, ...closed, ...unreadable], open }
    const explained = []
    for (const gap of gaps) {
      const unexplained = await this.#explain(state, gap, range)
      const { cutoff } = view
      explained.push(...explainGap(gap, { by: range.by, notes, cutoff, unexplained }))
    }
    return { spans, gaps: explained }
  }

  async #pieces(
    state: StreamState,
    range: ClockRange,
    visibility: Visibility,
  ): Promise<{ readonly pieces: readonly FoundPiece[]; readonly unreadable: readonly GapMark[] }> {
    const { by, to } = range
    const searched = { by, from: await this.#search.searchFrom(state, range, visibility), to }
    const whole: WholeChunk[] = []
    const kept = new Map<number, FoundRow>()
    const lost = new Set<FragmentRow>()
    const unreadable: GapMark[] = []
    const read = async (chunk: RangedChunk) => {
      const known = await this.#knownOf(chunk)
      if (known.mark !== null) unreadable.push(known.mark)
      for (const row of known.rows) {
        const { from, to: end } = timeSpanOf(row, by)
        if (from >= to || end <= searched.from || row.deleted || !visibility.shows(row)) continue
        if (row.offset + row.length > known.bytes) lost.add(row) // it still replaces others
        keepNewest(kept, { row, chunkId: chunk.row.chunkId }, by)
      }
    }
    for await (const chunk of this.#search.chunksInRange(state, searched)) {
      if (isHidden(chunk.row, visibility)) continue
      const isDamaged = this.#damaged.has(chunk.row.path)
      const candidate = isDamaged ? null : toWhole(chunk, range, visibility)
      if (candidate === null) await read(chunk)
      else whole.push(candidate)
    }
    const pieces: FoundPiece[] = []
    const mayReplace = by === 'producer' ? findRivals(whole, kept) : new Set<WholeChunk>()
    for (const candidate of whole) {
      if (mayReplace.has(candidate)) await read(candidate.chunk)
      else pieces.push(candidate)
    }
    for (const { row } of inOrder(kept, range)) {
      if (lost.has(row)) continue
      pieces.push({ ...timeSpanOf(row, by), fragments: 1, bytes: row.length, row, chunk: null })
    }
    return { pieces, unreadable }
  }

  /** Rows of a chunk, how far its file can be read, and what says so when that is not far enough. */
  async #knownOf(chunk: RangedChunk): Promise<{
    readonly rows: readonly FragmentRow[]
    readonly bytes: number
    readonly mark: GapMark | null
  }> {
    const { path } = chunk.row
    const { rows, isComplete } = await this.#search.knownRowsOf(chunk)
    if (!this.#damaged.has(path)) return { rows, bytes: Infinity, mark: null }
    const bytes = await this.#damaged.bytesOf(path)
    const isWhole = rows.every(({ offset, length }) => offset + length <= (bytes ?? 0))
    if (isComplete && isWhole) {
      this.#damaged.forget(path)
      return { rows, bytes: Infinity, mark: null }
    }
    const span = spanOf(chunk)
    const detail = bytes === null ? 'a file is missing or cannot be opened' : 'a file is damaged'
    const mark = span && { reason: 'unreadable' as const, detail, ...spansOf(span) }
    return { rows, bytes: bytes ?? 0, mark }
  }

  /** What the fragments beside a gap say about it. */
  async #explain(state: StreamState, gap: BareGap, { by }: ClockRange): Promise<Explanation> {
    const before = await this.#edgeOf(gap.before as FoundPiece | null, 'last')
    const after = await this.#edgeOf(gap.after as FoundPiece | null, 'first')
    const isEmpty = state.numbering.counter === 1 && state.newest.length === 0
    if (isEmpty || (before === null && after?.counter === 1)) {
      return { reason: 'no-publisher', detail: 'before the first fragment' }
    }
    if (before?.recovered === true) return { reason: 'crash', detail: 'the fragment was cut off' }
    if (after === null) return { reason: 'unknown' }
    const lost = before === null ? 0 : after.counter - before.counter - 1
    if (lost > 0) return this.#explainMissing(state, before!, after)
    // A session's first fragment has a chunk of its own; a jump within one begins no chunk.
    const beginsChunk = this.#catalogue.chunk(state.streamId, after.counter) !== null
    if (by === 'producer' && (!beginsChunk || !after.discontinuity) && before !== null) {
      return { reason: 'media-time-jump' }
    }
    return { reason: 'unknown' }
  }

  /** Why numbers were given out between two fragments that are not there, as far as chunks tell. */
  async #explainMissing(
    { streamId, liveChunks }: StreamState,
    before: FragmentRow,
    after: FragmentRow,
  ): Promise<Explanation> {
    const missing = after.counter - before.counter - 1
    const chunk = await this.#catalogue.chunkOf(streamId, after.counter)
    if (chunk === null || chunk.firstCounter > before.counter) {
      return { reason: 'unknown', detail: 'fragments between are not there' }
    }
    const live = [...liveChunks].find(({ row }) => row.firstCounter === chunk.firstCounter)
    const rows = await this.#search.allRowsOf({ row: chunk, live })
    const deleted = rows.some(
      (row) => row.deleted && row.counter > before.counter && row.counter < after.counter,
    )
    if (deleted) return { reason: 'redacted' }
    return { reason: 'lost', detail: `${missing} given up; why was not recorded` }
  }

  async #edgeOf(piece: FoundPiece | null, end: 'first' | 'last'): Promise<FragmentRow | null> {
    if (piece === null) return null
    if (piece.row !== null) return piece.row
    const rows = await this.#search.rowsOf(piece.chunk)
    return rows.at(end === 'first' ? 0 : -1) ?? null
  }
}

type WholeChunk = Piece & {
  readonly row: null
  readonly chunk: RangedChunk
  readonly lastStart: number
}
type FoundPiece = Piece &
  ({ readonly row: FragmentRow; readonly chunk: null } | Pick<WholeChunk, 'row' | 'chunk'>)

/** `null` when the fragments themselves have to be looked at. */
function toWhole(chunk: RangedChunk, range: ClockRange, visibility: Visibility): WholeChunk | null {
  const span = spanOf(chunk)
  const lastStart = span?.outline?.lastStart[range.by] ?? null
  if (span === null || lastStart === null || !visibility.showsAll(span)) return null
  const { from, to } = span[range.by]
  if (from < range.from || to > range.to) return null
  const { fragments } = span
  return {
    ...{ from, to, fragments, lastStart, chunk, row: null },
    bytes: span.outline!.mediaBytes,
  }
}

function spansOf({ server, producer }: ChunkSpan): Pick<GapMark, ClockName> {
  return { server, producer }
}

function spanOf({ row, live }: RangedChunk): ChunkSpan | null {
  if (live !== undefined) return live.span
  return row.state === 'finished' ? row.span : null
}

/** Chunks of which a fragment may begin when another one does: then only one of the two counts. */
function findRivals(
  chunks: readonly WholeChunk[],
  kept: ReadonlyMap<number, FoundRow>,
): ReadonlySet<WholeChunk> {
  const starts = [...kept.keys()].sort((a, b) => a - b)
  const rivals = new Set<WholeChunk>()
  let reach: WholeChunk | null = null
  let next = 0
  for (const chunk of chunks) {
    if (reach !== null && reach.lastStart >= chunk.from) rivals.add(reach).add(chunk)
    if (reach === null || chunk.lastStart > reach.lastStart) reach = chunk
    while (next < starts.length && starts[next]! < chunk.from) next++
    if (next < starts.length && starts[next]! <= chunk.lastStart) rivals.add(chunk)
  }
  return rivals
}
