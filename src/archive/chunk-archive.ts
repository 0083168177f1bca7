import { dirname, join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import { parseFragmentNumber, type Fragment, type FragmentNumber } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type {
  Archive,
  ArchiveOptions,
  ArchiveUsage,
  FragmentRange,
  FragmentWriter,
  StoredFragment,
} from './archive.ts'
import {
  Catalogue,
  type ChunkRow,
  type FinishedChunk,
  type GarbageRow,
  type OpenChunkRow,
} from './catalogue.ts'
import type { ChunkFile } from './chunk-file.ts'
import { firstCounterOf, toSidecarPath } from './chunk-layout.ts'
import { ChunkReader, fragmentNotFound } from './chunk-reader.ts'
import { timeSpanOf } from './chunk-span.ts'
import { isFileError, nodeFiles, type ArchiveFiles } from './files.ts'
import { toFragment, type FragmentRow } from './fragment-row.ts'
import { recoverChunk } from './recovery.ts'
import { counterOf, StreamState, type Numbering } from './stream-state.ts'
import { StreamWriter } from './stream-writer.ts'

export type ArchiveDeps = {
  /** Holds all chunks; created when missing. One process at a time may use it. */
  readonly directory: string
  readonly meta: MetaStore
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
  /** The file system, unless a test brings another. */
  readonly files?: ArchiveFiles
}

const EXPIRY_INTERVAL_MS = 30_000

/** Expired chunks taken from the catalogue at a time. */
const EXPIRY_BATCH = 1000

/** Chunks recovered side by side; each is a few reads and two syncs. */
const RECOVERIES_AT_ONCE = 8

/**
 * Opens the archive: ends what was open when the process ended, finishes deletions that were
 * begun, and starts expiry. Takes as long as there are open chunks, however old the archive is.
 */
export async function openArchive(
  deps: ArchiveDeps,
  options: ArchiveOptions,
): Promise<ChunkArchive> {
  const archive = new ChunkArchive(deps, options)
  await archive.start()
  return archive
}

/** The {@link Archive} on a file system and a MetaStore. */
export class ChunkArchive implements Archive {
  readonly #deps: ArchiveDeps
  readonly #files: ArchiveFiles
  readonly #options: ArchiveOptions
  readonly #log: Log
  readonly #catalogue: Catalogue
  readonly #reader: ChunkReader
  readonly #states = new Map<StreamId, Promise<StreamState>>()
  readonly #writers = new Map<StreamId, StreamWriter>()
  /** Open chunks of an earlier process that could not be ended; tried again. */
  readonly #unrecovered = new Map<StreamId, OpenChunkRow[]>()
  readonly #retiring = new Set<ChunkFile>()
  readonly #stopping = new AbortController()
  #expiry: Promise<void> = Promise.resolve()

  constructor(deps: ArchiveDeps, options: ArchiveOptions) {
    this.#deps = deps
    this.#files = deps.files ?? nodeFiles
    this.#options = options
    this.#log = deps.log.child({ component: 'archive' })
    this.#catalogue = new Catalogue(deps.meta)
    this.#reader = new ChunkReader(deps.directory, this.#files)
  }

  async start(): Promise<void> {
    await this.#files.makeDirectory(this.#deps.directory)
    await this.#collectGarbage()
    for (const streamId of await this.#catalogue.removals()) await this.remove(streamId)
    await this.#recoverAll()
    this.#expiry = this.#expireForever()
  }

  async openWriter(streamId: StreamId): Promise<FragmentWriter> {
    this.#stopping.signal.throwIfAborted()
    await this.#recoverStream(streamId)
    if (this.#unrecovered.has(streamId)) throw unrecovered()
    const state = await this.#state(streamId)
    if (state.writerOpen) {
      throw new ServiceError('conflict', 'StreamBusy', 'The stream has a writer already.')
    }
    state.writerOpen = true
    const { directory, clock, events, metrics } = this.#deps
    const writer = new StreamWriter(state, {
      ...{ directory, clock, events, metrics },
      files: this.#files,
      catalogue: this.#catalogue,
      options: this.#options,
      retire: (owner, chunk) => this.#retire(owner, chunk),
      onClosed: () => this.#writers.delete(streamId),
    })
    this.#writers.set(streamId, writer)
    return writer
  }

  async list(streamId: StreamId, range: FragmentRange): Promise<readonly Fragment[]> {
    const cutoff = this.#cutoff(streamId)
    if (cutoff === null || range.limit <= 0 || range.to <= range.from) return []
    const startOf = (row: FragmentRow) => timeSpanOf(row, range.by).from
    let found: { readonly row: FragmentRow; readonly chunkId: string }[] = []
    for await (const chunk of this.#chunksInRange(streamId, range)) {
      const last = found[range.limit - 1]
      if (last !== undefined && startOf(last.row) < chunk.from) break
      if (isExpired(chunk.row, cutoff)) continue
      for (const row of await this.#rowsOf(chunk)) {
        const { from, to } = timeSpanOf(row, range.by)
        if (from >= range.to || to <= range.from || row.serverTimestamp <= cutoff) continue
        found.push({ row, chunkId: chunk.row.chunkId })
      }
      found.sort((a, b) => startOf(a.row) - startOf(b.row) || a.row.counter - b.row.counter)
      found = found.slice(0, range.limit)
    }
    return found.map(({ row, chunkId }) => toFragment(row, streamId, chunkId))
  }

  async after(
    streamId: StreamId,
    fragmentNumber: FragmentNumber | null,
    limit: number,
  ): Promise<readonly Fragment[]> {
    const cutoff = this.#cutoff(streamId)
    if (cutoff === null || limit <= 0) return []
    const counter = fragmentNumber === null ? 0 : parseNumber(fragmentNumber)
    const state = await this.#state(streamId)
    if (state.knowsAllAfter(counter)) {
      return state.newest
        .filter((fragment) => counterOf(fragment) > counter && fragment.serverTimestamp > cutoff)
        .slice(0, limit)
    }
    const found: Fragment[] = []
    for await (const { row: chunk, rows } of this.#chunksByNumber(state, counter, cutoff)) {
      for (const row of rows) {
        if (row.counter <= counter || row.serverTimestamp <= cutoff) continue
        found.push(toFragment(row, streamId, chunk.chunkId))
        if (found.length === limit) return found
      }
    }
    return found
  }

  async newest(streamId: StreamId, count: number): Promise<readonly Fragment[]> {
    const cutoff = this.#cutoff(streamId)
    if (cutoff === null || count <= 0) return []
    const state = await this.#state(streamId)
    const visible = (fragment: Fragment) => fragment.serverTimestamp > cutoff
    if (count <= state.newest.length || state.knowsAllAfter(0)) {
      return state.newest.filter(visible).slice(-count)
    }
    return (await this.#readNewest(state, count)).filter(visible).slice(-count)
  }

  async find(streamId: StreamId, fragmentNumber: FragmentNumber): Promise<Fragment | null> {
    const cutoff = this.#cutoff(streamId)
    const parts = parseFragmentNumber(fragmentNumber)
    if (cutoff === null || parts === null || parts.counter === 0) return null
    const [fragment] = await this.#numbersFrom(streamId, parts.counter)
    if (fragment?.fragmentNumber !== fragmentNumber) return null
    return fragment.serverTimestamp > cutoff ? fragment : null
  }

  async read(fragment: Fragment): Promise<StoredFragment> {
    const { streamId, place, serverTimestamp } = fragment
    const cutoff = this.#cutoff(streamId)
    const chunk = this.#catalogue.chunk(streamId, firstCounterOf(place.chunkId))
    const hidden = cutoff === null || serverTimestamp <= cutoff
    if (hidden || chunk?.chunkId !== place.chunkId) throw fragmentNotFound(fragment)
    return this.#reader.readFragment(chunk, fragment)
  }

  async waitAfter(
    streamId: StreamId,
    fragmentNumber: FragmentNumber | null,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    this.#stopping.signal.throwIfAborted()
    const counter = fragmentNumber === null ? 0 : parseNumber(fragmentNumber)
    const state = await this.#state(streamId)
    const cutoff = this.#cutoff(streamId) ?? Infinity
    const newest = state.newest.at(-1)
    const there = newest !== undefined && counterOf(newest) > counter
    if (there && newest.serverTimestamp > cutoff) return
    await state.waitFor(Math.max(counter, state.numbering.lastCounter), signal)
  }

  async usage(streamId: StreamId): Promise<ArchiveUsage> {
    const state = await this.#state(streamId)
    const { chunks, bytes } = this.#catalogue.stream(streamId)
    const live = [...state.liveChunks]
    const [oldest] = await this.after(streamId, null, 1)
    const [newest] = await this.newest(streamId, 1)
    return {
      chunks: chunks + live.length,
      bytes: live.reduce((sum, chunk) => sum + chunk.length, bytes),
      oldest: oldest?.serverTimestamp ?? null,
      newest: newest?.serverTimestamp ?? null,
    }
  }

  async remove(streamId: StreamId): Promise<void> {
    if (this.#writers.has(streamId)) {
      throw new ServiceError('conflict', 'StreamBusy', 'The stream is still being written.')
    }
    await this.#catalogue.beginRemoval(streamId)
    const state = await this.#state(streamId)
    state.rejectWaiters(new ServiceError('not-found', 'StreamRemoved', 'The stream was removed.'))
    for (const chunk of state.liveChunks) await this.#retire(state, chunk)
    this.#unrecovered.delete(streamId)
    for await (const chunk of this.#catalogue.chunksFrom(streamId, 0)) {
      await this.#removeChunk(streamId, chunk, 'stream-removed')
    }
    this.#states.delete(streamId)
    await this.#files.removeEmptyDirectory(join(this.#deps.directory, streamId))
    await this.#catalogue.endRemoval(streamId)
  }

  /**
   * One round of expiry: unlinks chunks that are older than their stream's retention as a whole,
   * ends idle chunks that are past their age, and tries again what failed before.
   */
  async expire(): Promise<void> {
    await this.#collectGarbage()
    for (const streamId of [...this.#unrecovered.keys()]) await this.#recoverStream(streamId)
    for (const writer of this.#writers.values()) writer.finishIdleChunk()
    await this.#retireEnded()
    for (const streamId of await this.#catalogue.streams()) await this.#expireStream(streamId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const closed = new ServiceError('unavailable', 'ArchiveClosed', 'The archive is closed.')
    this.#stopping.abort(closed)
    await this.#expiry
    const writers = [...this.#writers.values()]
    await Promise.all(writers.map((writer) => writer[Symbol.asyncDispose]()))
    for (const loading of this.#states.values()) {
      await loading.then(
        (state) => state.rejectWaiters(closed),
        () => undefined, // it never was loaded
      )
    }
    await this.#retireEnded()
    await this.#reader[Symbol.asyncDispose]()
  }

  /**
   * Fragments whose server timestamp is not after this are hidden; `null`: all are, because nobody
   * knows the stream.
   */
  #cutoff(streamId: StreamId): number | null {
    const retentionMs = this.#options.retentionMsOf(streamId)
    return retentionMs === null ? null : this.#deps.clock.now() - retentionMs
  }

  #state(streamId: StreamId): Promise<StreamState> {
    let loading = this.#states.get(streamId)
    if (loading === undefined) {
      loading = this.#loadState(streamId)
      this.#states.set(streamId, loading)
      loading.catch(() => this.#states.delete(streamId)) // the next caller tries again
    }
    return loading
  }

  async #loadState(streamId: StreamId): Promise<StreamState> {
    const state = new StreamState(streamId, UNNUMBERED)
    await this.#reloadState(state)
    return state
  }

  async #reloadState(state: StreamState): Promise<void> {
    const newest = await this.#readNewest(state, StreamState.WINDOW)
    const stream = this.#catalogue.stream(state.streamId)
    const last = newest.at(-1)
    const numbering: Numbering = {
      counter: stream.nextCounter,
      sequence: stream.nextSequence,
      discontinuitySequence: stream.discontinuitySequence,
      lastCounter: last === undefined ? 0 : counterOf(last),
    }
    state.reload(numbering, newest)
  }

  /** From the chunks, the newest `count`, oldest of them first. */
  async #readNewest(state: StreamState, count: number): Promise<readonly Fragment[]> {
    const { streamId } = state
    let newest: Fragment[] = []
    const live = liveByCounter(state)
    for await (const chunk of this.#catalogue.chunksBackwards(streamId)) {
      const rows = await this.#rowsOf({ row: chunk, live: live.get(chunk.firstCounter) })
      newest = [...rows.map((row) => toFragment(row, streamId, chunk.chunkId)), ...newest]
      if (newest.length >= count) break
    }
    return newest.slice(-count)
  }

  async #numbersFrom(streamId: StreamId, counter: number): Promise<readonly Fragment[]> {
    const state = await this.#state(streamId)
    const known = state.newest.find((fragment) => counterOf(fragment) === counter)
    if (known !== undefined) return [known]
    for await (const { row: chunk, rows } of this.#chunksByNumber(state, counter, -Infinity)) {
      const row = rows.find((candidate) => candidate.counter >= counter)
      return row === undefined ? [] : [toFragment(row, streamId, chunk.chunkId)]
    }
    return []
  }

  /** Chunks that may hold counters from this one on, with their rows, in order of number. */
  async *#chunksByNumber(state: StreamState, counter: number, cutoff: number) {
    const live = liveByCounter(state)
    for await (const row of this.#catalogue.chunksFrom(state.streamId, counter)) {
      if (isExpired(row, cutoff)) continue
      yield { row, rows: await this.#rowsOf({ row, live: live.get(row.firstCounter) }) }
    }
  }

  /** Chunks that overlap the range, live ones included, in order of their beginning. */
  async *#chunksInRange(streamId: StreamId, range: FragmentRange): AsyncGenerator<RangedChunk> {
    const state = await this.#state(streamId)
    // Those that are live now, before the catalogue is asked: none is missed that moves over.
    let live = [...state.liveChunks].flatMap((chunk): RangedChunk[] => {
      const span = chunk.span?.[range.by]
      if (span === undefined || span.from >= range.to || span.to <= range.from) return []
      return [{ row: chunk.row, live: chunk, from: span.from }]
    })
    live.sort((a, b) => a.from - b.from)
    const liveCounters = new Set(live.map(({ row }) => row.firstCounter))
    for await (const { firstCounter, from } of this.#catalogue.chunksByTime(
      streamId,
      range.by,
      range,
    )) {
      yield* live.filter((chunk) => chunk.from <= from)
      live = live.filter((chunk) => chunk.from > from)
      const row = this.#catalogue.chunk(streamId, firstCounter)
      if (row !== null && !liveCounters.has(firstCounter)) yield { row, from }
    }
    yield* live
  }

  /** Persisted rows; none when the chunk went away meanwhile. */
  async #rowsOf(chunk: ChunkToRead): Promise<readonly FragmentRow[]> {
    if (chunk.live !== undefined) return this.#reader.liveRows(chunk.row, chunk.live.rowCount)
    if (chunk.row.state === 'finished') return this.#reader.finishedRows(chunk.row)
    return []
  }

  async #recoverAll(): Promise<void> {
    for (const { streamId, chunk } of await this.#catalogue.openChunks()) {
      if (chunk.state !== 'open') continue
      const chunks = this.#unrecovered.get(streamId) ?? []
      this.#unrecovered.set(streamId, [...chunks, chunk])
    }
    const streamIds = [...this.#unrecovered.keys()]
    const next = async () => {
      for (let id = streamIds.shift(); id !== undefined; id = streamIds.shift()) {
        await this.#recoverStream(id)
      }
    }
    await Promise.all(Array.from({ length: RECOVERIES_AT_ONCE }, next))
  }

  /** Ends the chunks that an earlier process left open; what fails stays for the next attempt. */
  async #recoverStream(streamId: StreamId): Promise<void> {
    for (const chunk of this.#unrecovered.get(streamId) ?? []) {
      try {
        await this.#recover(streamId, chunk)
      } catch (err) {
        this.#log.error({ err, streamId, chunkId: chunk.chunkId }, 'chunk not recovered')
        return
      }
      const rest = this.#unrecovered.get(streamId)?.filter((other) => other !== chunk) ?? []
      if (rest.length === 0) this.#unrecovered.delete(streamId)
      else this.#unrecovered.set(streamId, rest)
      const state = await this.#states.get(streamId)
      if (state !== undefined) await this.#reloadState(state)
    }
  }

  async #recover(streamId: StreamId, chunk: OpenChunkRow): Promise<void> {
    const { directory, events } = this.#deps
    const successor = await this.#sequenceAfter(streamId, chunk)
    const recovery = await recoverChunk(chunk, successor, { directory, files: this.#files })
    const { finished, found, cutBytes } = recovery
    if (finished === null) {
      if (recovery.missing) await this.#catalogue.skipNumbers(streamId)
      await this.#drop(streamId, chunk)
    } else {
      await this.#catalogue.finishChunk(streamId, finished)
    }
    const stream = this.#options.nameOf(streamId)
    events.chunkRecovered({ stream, chunkId: chunk.chunkId, fragments: found, cutBytes })
  }

  async #sequenceAfter(streamId: StreamId, chunk: OpenChunkRow): Promise<number | null> {
    for await (const other of this.#catalogue.chunksFrom(streamId, chunk.firstCounter)) {
      if (other.firstCounter > chunk.firstCounter) return other.firstSequence
    }
    return null
  }

  /** Moves a live chunk into the catalogue, or away when it holds nothing. Never rejects. */
  async #retire(state: StreamState, chunk: ChunkFile): Promise<void> {
    const { streamId } = state
    chunk.end()
    if (this.#retiring.has(chunk)) return
    this.#retiring.add(chunk)
    try {
      await chunk.seal()
      if (!state.liveChunks.has(chunk)) return // the catalogue never took it
      if (chunk.span === null) {
        await this.#drop(streamId, chunk.row)
      } else {
        const { row, span, length: bytes } = chunk
        await this.#catalogue.finishChunk(streamId, { ...row, state: 'finished', bytes, span })
      }
      state.liveChunks.delete(chunk)
    } catch (err) {
      // It stays readable, and in line for the next round of expiry or the next start.
      this.#log.error({ err, streamId, chunkId: chunk.row.chunkId }, 'chunk not finished')
    } finally {
      this.#retiring.delete(chunk)
    }
  }

  /** Tries chunks again that could not be finished. */
  async #retireEnded(): Promise<void> {
    for (const loading of this.#states.values()) {
      const state = await loading.catch(() => null) // it never was loaded
      for (const chunk of state?.liveChunks ?? []) {
        if (chunk.ended) await this.#retire(state!, chunk)
      }
    }
  }

  async #expireStream(streamId: StreamId): Promise<void> {
    // A stream that nobody knows is hidden but kept: only `remove` deletes without an age.
    const cutoff = this.#cutoff(streamId)
    if (cutoff === null) return
    let expired: readonly FinishedChunk[]
    do {
      expired = await this.#catalogue.expiredBy(streamId, cutoff, EXPIRY_BATCH)
      for (const chunk of expired) await this.#removeChunk(streamId, chunk, 'retention')
    } while (expired.length === EXPIRY_BATCH)
  }

  async #removeChunk(streamId: StreamId, chunk: ChunkRow, reason: string): Promise<void> {
    if (!(await this.#drop(streamId, chunk))) return
    const state = await this.#states.get(streamId)
    state?.forgetChunk(chunk.chunkId)
    this.#deps.events.chunkRemoved({
      ...{ stream: this.#options.nameOf(streamId), chunkId: chunk.chunkId, reason },
      sizeBytes: chunk.state === 'finished' ? chunk.bytes : 0,
    })
  }

  /** @returns whether it was there */
  async #drop(streamId: StreamId, chunk: ChunkRow): Promise<boolean> {
    const garbage = await this.#catalogue.dropChunk(streamId, chunk.firstCounter)
    if (garbage !== null) await this.#discard(garbage)
    return garbage !== null
  }

  /** Unlinks what a garbage row names; only when that is on disk does the row go. */
  async #discard(garbage: GarbageRow): Promise<void> {
    this.#reader.forget(garbage.path)
    const path = join(this.#deps.directory, garbage.path)
    const day = dirname(path)
    await this.#unlinkIfThere(toSidecarPath(path))
    await this.#unlinkIfThere(path)
    try {
      await this.#files.syncDirectory(day)
    } catch (error) {
      if (!isFileError(error, 'ENOENT')) throw error
    }
    await this.#files.removeEmptyDirectory(day)
    await this.#catalogue.forgetGarbage(garbage)
  }

  async #unlinkIfThere(path: string): Promise<void> {
    try {
      await this.#files.unlink(path)
    } catch (error) {
      if (!isFileError(error, 'ENOENT')) throw error
    }
  }

  /** Deletions that a crash or a failure interrupted. */
  async #collectGarbage(): Promise<void> {
    for (const garbage of await this.#catalogue.garbage()) await this.#discard(garbage)
  }

  async #expireForever(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#deps.clock.sleep(EXPIRY_INTERVAL_MS, signal)
        await this.expire()
      } catch (err) {
        if (!signal.aborted) this.#log.error({ err }, 'expiry failed')
      }
    }
  }
}

const UNNUMBERED: Numbering = {
  counter: 1,
  sequence: 0,
  discontinuitySequence: 0,
  lastCounter: 0,
}

type ChunkToRead = { readonly row: ChunkRow; readonly live?: ChunkFile | undefined }
type RangedChunk = ChunkToRead & { readonly from: number }

function isExpired(chunk: ChunkRow, cutoff: number): boolean {
  return chunk.state === 'finished' && chunk.span.lastServerTimestamp <= cutoff
}

function liveByCounter(state: StreamState): ReadonlyMap<number, ChunkFile> {
  return new Map([...state.liveChunks].map((chunk) => [chunk.row.firstCounter, chunk]))
}

function parseNumber(fragmentNumber: FragmentNumber): number {
  const parts = parseFragmentNumber(fragmentNumber)
  if (parts !== null) return parts.counter
  throw new ServiceError(
    'invalid-argument',
    'InvalidFragmentNumber',
    'A fragment number has 47 digits and begins where ours begin.',
  )
}

function unrecovered(): ServiceError {
  return new ServiceError(
    'unavailable',
    'ArchiveWriteFailed',
    'The last chunk of this stream could not be recovered yet.',
  )
}
