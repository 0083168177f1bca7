import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type { DeletedRange } from './archive.ts'
import type { Catalogue, FinishedChunk } from './catalogue.ts'
import type { ChunkReader } from './chunk-reader.ts'
import type { ChunkRemoval } from './chunk-removal.ts'
import type { ChunkSearch, RangedChunk } from './chunk-search.ts'
import { timeSpanOf, type ClockRange, type TimeSpan } from './chunk-span.ts'
import type { ChunkStore } from './chunk-store.ts'
import type { FragmentRow } from './fragment-row.ts'
import { writeEnding } from './chunk-ending.ts'
import {
  dropEnding,
  findMediaEnd,
  overwriteFragments,
  planRedaction,
  replaceRows,
} from './redaction.ts'
import type { StreamState } from './stream-state.ts'
import { isInDeleting, type DeletingRange } from './visibility.ts'

const PREFIX = ['archive', 'deleting']

/** Behind a chunk's last fragment may lie one that was given up, not much longer than one can be. */
const LOOK_BACK_MS = 60_000

/** A range deletion that was begun; `archive deleting <streamId> <id>` in the MetaStore. */
export type Deletion = DeletingRange & { readonly id: string; readonly streamId: StreamId }

export type RangeDeletionDeps = {
  readonly directory: string
  readonly files: ChunkStore
  readonly meta: MetaStore
  readonly catalogue: Catalogue
  readonly reader: ChunkReader
  readonly removal: ChunkRemoval
  readonly search: ChunkSearch
}

/**
 * Deletes ranges for good, also inside of chunks:
 *
 *   1. the deletion is stored: from here on its fragments are hidden, whatever happens
 *   2. chunks of which nothing stays are removed; in the others fragments are overwritten: see
 *      {@link overwriteFragments}
 *   3. a gap mark says why there is nothing, and the stored deletion goes
 *
 * What stops in between goes on at the next start or round of expiry. Every step may be repeated.
 */
export class RangeDeletions {
  readonly #deps: RangeDeletionDeps
  readonly #pending = new Map<string, Deletion>()
  /** Begun by an earlier process: what looks done may not be on disk. */
  readonly #resumed = new Set<Deletion>()

  constructor(deps: RangeDeletionDeps) {
    this.#deps = deps
  }

  async load(): Promise<void> {
    for await (const { value } of this.#deps.meta.entries<Deletion>({ prefix: PREFIX })) {
      this.#pending.set(value.id, value)
      this.#resumed.add(value)
    }
  }

  get pending(): readonly Deletion[] {
    return [...this.#pending.values()]
  }

  of(streamId: StreamId): readonly Deletion[] {
    if (this.#pending.size === 0) return []
    return this.pending.filter((deletion) => deletion.streamId === streamId)
  }

  /** Hides what is persisted of the range, at once and for good. */
  async begin(streamId: StreamId, range: ClockRange, lastCounter: number): Promise<Deletion> {
    const { by, from, to } = range
    const deletion: Deletion = { id: randomUUID(), streamId, by, from, to, lastCounter }
    this.#pending.set(deletion.id, deletion)
    try {
      await this.#deps.meta.commit({ puts: [{ key: keyOf(deletion), value: deletion }] })
    } catch (error) {
      this.#pending.delete(deletion.id)
      throw error
    }
    return deletion
  }

  /** Whether a persisted fragment of the range is one that `isKept` wants. */
  async touches(
    state: StreamState,
    range: ClockRange,
    isKept: (row: FragmentRow) => boolean,
  ): Promise<boolean> {
    const all = { ...range, lastCounter: state.numbering.lastCounter }
    for await (const chunk of this.#deps.search.chunksInRange(state, range)) {
      const rows = await this.#deps.search.allRowsOf(chunk)
      if (rows.some((row) => !row.deleted && isInDeleting(row, all) && isKept(row))) return true
    }
    return false
  }

  /** Steps 2 and 3. */
  async carryOut(deletion: Deletion, state: StreamState): Promise<DeletedRange> {
    const { catalogue, meta, search } = this.#deps
    const done = { fragments: 0, chunks: 0, bytes: 0 }
    const gone: FragmentRow[] = []
    const chunks: RangedChunk[] = []
    const from = deletion.from - LOOK_BACK_MS
    for await (const chunk of search.chunksInRange(state, { ...deletion, from })) chunks.push(chunk)
    for (const chunk of chunks) {
      const rows = await search.allRowsOf(chunk)
      const targets = rows.filter((row) => isInDeleting(row, deletion))
      const fresh = targets.filter(({ deleted }) => !deleted)
      const toOverwrite = this.#resumed.has(deletion) ? targets : fresh
      const isAll = rows.every((row) => row.deleted || fresh.includes(row))
      if (isAll && fresh.length > 0 && chunk.row.state === 'finished') {
        await this.#deps.removal.remove(state.streamId, chunk.row, 'deleted')
        state.forgetChunk(chunk.row.chunkId)
        done.chunks++
      } else {
        await this.#redact(state, chunk, { rows, toOverwrite, range: deletion })
      }
      done.fragments += fresh.length
      done.bytes += fresh.reduce((sum, { length }) => sum + length, 0)
      gone.push(...targets.map((row) => ({ ...row, deleted: true })))
    }
    state.forget((fragment, counter) => isInDeleting({ ...fragment, counter }, deletion))
    if (gone.length > 0) {
      const mark = { reason: 'redacted' as const, ...spansOf(gone) }
      const { open } = state.gaps.record
      await catalogue.recordGaps(state.streamId, { closed: [mark], open })
    }
    await meta.commit({ deletes: [keyOf(deletion)] })
    this.#pending.delete(deletion.id)
    this.#resumed.delete(deletion)
    return done
  }

  async forget(streamId: StreamId): Promise<void> {
    const mine = this.of(streamId)
    if (mine.length === 0) return
    await this.#deps.meta.commit({ deletes: mine.map(keyOf) })
    for (const { id } of mine) this.#pending.delete(id)
  }

  async #redact(
    state: StreamState,
    chunk: RangedChunk,
    plan: {
      readonly rows: readonly FragmentRow[]
      readonly toOverwrite: readonly FragmentRow[]
      readonly range: ClockRange
    },
  ): Promise<void> {
    const { directory, files, catalogue, reader } = this.#deps
    const { path, firstCounter } = chunk.row
    const media = await files.open(join(directory, path), 'r+')
    try {
      const finished = chunk.row.state === 'finished' ? chunk.row : null
      const known = finished === null ? null : await findMediaEnd(media, finished)
      const redaction = planRedaction({ ...plan, mediaEnd: known })
      if (redaction.regions.length === 0) return
      await overwriteFragments(media, redaction)
      reader.forget(path)
      const written = await (chunk.live?.replaceRows(redaction.deleted) ?? redaction.deleted)
      await replaceRows(files, join(directory, path), written)
      reader.forget(path)
      chunk.live?.forgetOutline()
      const row = catalogue.chunk(state.streamId, firstCounter)
      if (row?.state !== 'finished') return // it has no ending yet
      const kept = plan.rows.filter(({ deleted, counter }) => {
        return !deleted && !redaction.deleted.some((gone) => gone.row.counter === counter)
      })
      const ending = await dropEnding(media, row)
      const renewed: FinishedChunk = { ...row, bytes: ending.mediaEnd, span: bare(row) }
      await catalogue.replaceChunk(state.streamId, renewed) // says where an ending may be torn
      const bytes = await writeEnding(media, { ...ending, rows: kept })
      await catalogue.replaceChunk(state.streamId, { ...renewed, bytes })
    } finally {
      await media.close()
    }
  }
}

/** Says that a deletion is stored and hidden, and not carried out yet. */
export function deletionUnfinished(cause: unknown): ServiceError {
  return new ServiceError(
    'unavailable',
    'DeletionUnfinished',
    'The range is hidden for good; its bytes are overwritten as soon as the disk allows it.',
    { cause },
  )
}

/** Its fragments have to be looked at from now on. */
function bare({ span: { outline: _, ...span } }: FinishedChunk): FinishedChunk['span'] {
  return span
}

function spansOf(rows: readonly FragmentRow[]): { server: TimeSpan; producer: TimeSpan } {
  const unionBy = (by: 'server' | 'producer'): TimeSpan => {
    const spans = rows.map((row) => timeSpanOf(row, by))
    return {
      from: spans.reduce((least, { from }) => Math.min(least, from), Infinity),
      to: spans.reduce((most, { to }) => Math.max(most, to), -Infinity),
    }
  }
  return { server: unionBy('server'), producer: unionBy('producer') }
}

function keyOf({ streamId, id }: Deletion) {
  return [...PREFIX, streamId, id]
}
