import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import {
  counterOf,
  parseFragmentNumber,
  type Fragment,
  type FragmentNumber,
} from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import { epochMs } from '../domain/time.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { BytePool } from '../platform/byte-pool.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type {
  Archive,
  ArchiveOptions,
  ArchiveSpace,
  ArchiveUsage,
  Coverage,
  CoverageRange,
  DeletedRange,
  FragmentRange,
  FragmentWriter,
  Hold,
  HoldTerms,
  LiveEvent,
  StoredFragment,
} from './archive.ts'
import { Catalogue, type FinishedChunk } from './catalogue.ts'
import type { ChunkFile } from './chunk-file.ts'
import { ClockDoubt } from './clock-doubt.ts'
import { CoverageSearch } from './coverage-search.ts'
import { DamagedChunks } from './damaged-chunks.ts'
import { firstCounterOf, streamIdOf } from './chunk-layout.ts'
import { ChunkReader, fragmentNotFound } from './chunk-reader.ts'
import { ChunkRemoval } from './chunk-removal.ts'
import { ChunkSearch } from './chunk-search.ts'
import type { ClockRange } from './chunk-span.ts'
import { type ChunkStore } from './chunk-store.ts'
import { FlushRounds } from './flush-rounds.ts'
import { BackgroundCheck } from './fsck/background-check.ts'
import { nodeChunkStore } from './node-chunk-store.ts'
import { readDiskSize, type DiskSize } from './disk-space.ts'
import { checkRange, Holds } from './holds.ts'
import { deletionUnfinished, RangeDeletions, type Deletion } from './range-deletion.ts'
import { requireCatalogue } from './require-catalogue.ts'
import { forecastDiskFull, forecastStream, type StreamGrowth } from './space-forecast.ts'
import { SPACE_INTERVAL_MS, SpaceGuard } from './space-guard.ts'
import { StartupRecovery } from './startup-recovery.ts'
import { StreamState } from './stream-state.ts'
import { StreamWriter } from './stream-writer.ts'
import { isInAny, overlapsAny, Visibility, type FragmentFacts } from './visibility.ts'
import { WriteMemory } from './write-memory.ts'
import { WriteRate } from './write-rate.ts'

export type ArchiveDeps = {
  /** Holds all chunks; created when missing. One process at a time may use it. */
  readonly directory: string
  readonly meta: MetaStore
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
  /** What the system says, unless a test says otherwise. */
  readonly readDiskSize?: (directory: string) => Promise<DiskSize>
  /** The file system, unless a test brings another. */
  readonly files?: ChunkStore
}

/** Live playback looks back so far; no space is made of it. */
const LIVE_MS = 30_000

const EXPIRY_INTERVAL_MS = 30_000

/** With retention 0: KVS keeps no more for a live reader to begin with. Whichever is less. */
const LIVE_BUFFER_MS = 5 * 60_000
const LIVE_BUFFER_BYTES = 200_000_000

/**
 * Opens the archive: ends what was open when the process ended, finishes removals that were begun,
 * and starts expiry.
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
  readonly #files: ChunkStore
  readonly #options: ArchiveOptions
  readonly #log: Log
  readonly #catalogue: Catalogue
  readonly #reader: ChunkReader
  readonly #search: ChunkSearch
  readonly #coverage: CoverageSearch
  readonly #removal: ChunkRemoval
  readonly #recovery: StartupRecovery
  readonly #check: BackgroundCheck
  readonly #holds: Holds
  readonly #space: SpaceGuard
  readonly #deletions: RangeDeletions
  readonly #rates = new Map<StreamId, WriteRate>()
  readonly #states = new Map<StreamId, Promise<StreamState>>()
  readonly #writers = new Map<StreamId, StreamWriter>()
  readonly #retiring = new Set<ChunkFile>()
  readonly #writeMemory = new WriteMemory()
  readonly #rounds: FlushRounds
  readonly #stopping = new AbortController()
  readonly #doubt: ClockDoubt
  #expiry: Promise<unknown> = Promise.resolve()
  #round: Promise<unknown> = Promise.resolve()

  constructor(deps: ArchiveDeps, options: ArchiveOptions) {
    const { directory, events, files = nodeChunkStore } = deps
    const { nameOf } = options
    this.#deps = deps
    this.#files = files
    this.#options = options
    this.#log = deps.log.child({ component: 'archive' })
    this.#rounds = new FlushRounds(deps.clock)
    this.#doubt = new ClockDoubt(deps.clock.now(), EXPIRY_INTERVAL_MS)
    const catalogue = new Catalogue(deps.meta)
    const damaged = new DamagedChunks({ directory, files })
    const reader = new ChunkReader({
      ...{ directory, files, damaged },
      onDamaged: ({ chunkId, path, firstCounter }, damage) => {
        const streamId = streamIdOf(path)
        if (catalogue.chunk(streamId, firstCounter)?.chunkId !== chunkId) return // it was removed
        events.archiveDamaged({ stream: nameOf(streamId), chunkId, ...damage })
      },
    })
    const removal = new ChunkRemoval({ directory, files, catalogue, reader, events, nameOf })
    this.#catalogue = catalogue
    this.#reader = reader
    this.#removal = removal
    this.#search = new ChunkSearch(catalogue, reader)
    this.#coverage = new CoverageSearch({ catalogue, search: this.#search, damaged })
    this.#holds = new Holds(deps.meta)
    this.#deletions = new RangeDeletions({
      ...{ directory, files, meta: deps.meta, catalogue, reader, removal, search: this.#search },
    })
    this.#space = new SpaceGuard({
      ...{ catalogue, removal, events, nameOf, log: this.#log },
      quotaBytesOf: (streamId) => this.#quotaBytesOf(streamId),
      minFreeBytes: options.minFreeBytes ?? null,
      readDisk: () => (deps.readDiskSize ?? readDiskSize)(directory),
      liveBytesOf: async (streamId) => liveBytes(await this.#states.get(streamId)),
      isExempt: (streamId, chunk) =>
        this.#isExempt(streamId, chunk) || this.#isLiveEdge(streamId, chunk),
      onEvicted: async (streamId, { chunkId }) =>
        (await this.#states.get(streamId))?.forgetChunk(chunkId),
    })
    this.#check = new BackgroundCheck({
      ...{ directory, files, catalogue, damaged, events, nameOf, log: this.#log },
      ...{ clock: deps.clock, metrics: deps.metrics },
      bytesPerSecond: options.checkBytesPerSecond ?? 0,
    })
    this.#recovery = new StartupRecovery({
      ...{ directory, files, catalogue, removal, events, nameOf },
      log: this.#log,
      now: () => deps.clock.now(),
    })
  }

  async start(): Promise<void> {
    const { directory, clock } = this.#deps
    await this.#files.makeDirectory(directory)
    const known = { directory, files: this.#files, catalogue: this.#catalogue }
    await requireCatalogue({ ...known, now: clock.now() })
    await this.#removal.collectGarbage()
    for (const streamId of await this.#catalogue.removals()) await this.#finishRemoval(streamId)
    await this.#holds.load()
    await this.#deletions.load()
    await this.#recovery.recoverAll()
    await this.checkSpace()
    await this.#inTurn(() => this.#finishDeletions())
    this.#expiry = Promise.all([
      this.#repeat(EXPIRY_INTERVAL_MS, () => this.#expireAsBelieved()),
      this.#repeat(SPACE_INTERVAL_MS, () => this.checkSpace()),
      this.#check.run(this.#stopping.signal),
    ])
  }

  async openWriter(streamId: StreamId): Promise<FragmentWriter> {
    this.#stopping.signal.throwIfAborted()
    if (await this.#recovery.recoverStream(streamId)) await this.#reloadState(streamId)
    if (this.#recovery.isWaiting(streamId)) throw notRecovered()
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
      memory: this.#writeMemory,
      rounds: this.#rounds,
      retire: (owner, chunk) => this.#retire(owner, chunk),
      onClosed: () => this.#writers.delete(streamId),
      admit: () => this.#space.admit(),
    })
    this.#writers.set(streamId, writer)
    return writer
  }

  async list(streamId: StreamId, range: FragmentRange): Promise<readonly Fragment[]> {
    const visibility = this.#visibility(streamId)
    if (this.#options.retentionMsOf(streamId) === 0) return [] // a live buffer is no archive
    if (visibility === null || range.limit <= 0 || range.to <= range.from) return []
    return this.#search.inRange(await this.#state(streamId), range, visibility)
  }

  async after(
    streamId: StreamId,
    fragmentNumber: FragmentNumber | null,
    limit: number,
  ): Promise<readonly Fragment[]> {
    const counter = fragmentNumber === null ? 0 : parseNumber(fragmentNumber)
    const visibility = this.#visibility(streamId)
    if (visibility === null || limit <= 0) return []
    const state = await this.#state(streamId)
    if (!state.knowsAllAfter(counter)) {
      return this.#search.fromCounter(state, counter + 1, { visibility, limit })
    }
    return state.newest
      .filter((fragment) => counterOf(fragment) > counter && visibility.showsFragment(fragment))
      .slice(0, limit)
  }

  async newest(streamId: StreamId, count: number): Promise<readonly Fragment[]> {
    const visibility = this.#visibility(streamId)
    if (visibility === null || count <= 0) return []
    const state = await this.#state(streamId)
    const shown = state.newest.filter((fragment) => visibility.showsFragment(fragment))
    // Behind hidden ones others may be seen: held, or stamped by a clock that was set back since.
    const known = shown.length >= count || state.knowsAllAfter(0)
    return known ? shown.slice(-count) : this.#search.newest(state, count, visibility)
  }

  async find(streamId: StreamId, fragmentNumber: FragmentNumber): Promise<Fragment | null> {
    const visibility = this.#visibility(streamId)
    const parts = parseFragmentNumber(fragmentNumber)
    if (visibility === null || parts === null) return null
    const state = await this.#state(streamId)
    const isIt = (fragment: Fragment) => fragment.fragmentNumber === fragmentNumber
    const known = state.newest.find(isIt)
    if (known !== undefined) return visibility.showsFragment(known) ? known : null
    const found = await this.#search.byCounter(state, parts.counter, visibility)
    return found !== null && isIt(found) ? found : null
  }

  async read(fragment: Fragment, memory?: BytePool): Promise<StoredFragment> {
    const { streamId, place } = fragment
    const isShown = () => this.#visibility(streamId)?.showsFragment(fragment) ?? false
    const catalogued = () => {
      const chunk = this.#catalogue.chunk(streamId, firstCounterOf(place.chunkId))
      return chunk?.chunkId === place.chunkId ? chunk : null
    }
    const chunk = catalogued()
    if (!isShown() || chunk === null) throw fragmentNotFound(fragment)
    try {
      const stored = await this.#reader.readFragment(chunk, fragment, memory)
      if (!isShown()) throw fragmentNotFound(fragment) // it may be half overwritten
      return stored
    } catch (error) {
      if (catalogued() === null) throw fragmentNotFound(fragment) // it was removed meanwhile
      throw error
    }
  }

  async waitAfter(
    streamId: StreamId,
    fragmentNumber: FragmentNumber | null,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    const counter = fragmentNumber === null ? 0 : parseNumber(fragmentNumber)
    const state = await this.#state(streamId)
    this.#stopping.signal.throwIfAborted()
    const newest = state.newest.at(-1)
    const newestCounter = newest === undefined ? 0 : counterOf(newest)
    const visibility = this.#visibility(streamId)
    const isShown = newest !== undefined && visibility?.showsFragment(newest) === true
    if (newestCounter > counter && isShown) return
    await state.waitFor(Math.max(counter, newestCounter), signal)
  }

  async follow(streamId: StreamId, signal: AbortSignal): Promise<AsyncIterableIterator<LiveEvent>> {
    const state = await this.#state(streamId)
    this.#stopping.signal.throwIfAborted()
    return state.live.follow(signal)
  }

  async usage(streamId: StreamId): Promise<ArchiveUsage> {
    const state = await this.#state(streamId)
    const { chunks, bytes } = this.#catalogue.stream(streamId)
    const all = chunks + state.liveChunks.size
    const oldest = all === 0 ? null : await this.#oldest(state)
    const [newest] = all === 0 ? [] : await this.newest(streamId, 1)
    return {
      chunks: all,
      bytes: bytes + liveBytes(state),
      oldest: oldest?.serverTimestamp ?? null,
      newest: newest?.serverTimestamp ?? null,
    }
  }

  async #oldest(state: StreamState): Promise<Fragment | null> {
    const { streamId } = state
    const [visibility, cutoff] = [this.#visibility(streamId), this.#cutoff(streamId)]
    if (visibility === null || cutoff === null) return null
    if (state.knowsAllAfter(0)) {
      return state.newest.find((fragment) => visibility.showsFragment(fragment)) ?? null
    }
    return state.oldest.oldest({ visibility, cutoff }, (fromCounter, limit) =>
      this.#search.fromCounter(state, fromCounter, { visibility, limit }),
    )
  }

  async space(): Promise<ArchiveSpace> {
    const { retentionMsOf } = this.#options
    const now = this.#deps.clock.now()
    const growths: (StreamGrowth & { readonly streamId: StreamId })[] = []
    for (const streamId of await this.#catalogue.streams()) {
      const { bytes, oldest } = await this.usage(streamId)
      growths.push({
        ...{ streamId, bytes, quotaBytes: this.#quotaBytesOf(streamId) },
        writeBytesPerSecond: Math.round(this.#rates.get(streamId)?.bytesPerSecond ?? 0),
        retentionMs: retentionMsOf(streamId) ?? 0,
        oldestAgeMs: oldest === null ? null : now - oldest,
      })
    }
    const { disk } = this.#space
    const fullInSeconds = disk === null ? null : forecastDiskFull(growths, disk)
    return {
      disk: disk === null ? null : { ...disk, fullInSeconds },
      streams: growths.map((growth) => {
        const { streamId, bytes, quotaBytes, writeBytesPerSecond } = growth
        return { streamId, bytes, quotaBytes, writeBytesPerSecond, ...forecastStream(growth) }
      }),
    }
  }

  async deleteRange(
    streamId: StreamId,
    range: ClockRange,
    { held = 'refuse' }: { readonly held?: 'refuse' | 'delete' } = {},
  ): Promise<DeletedRange> {
    checkRange(range)
    if (this.#recovery.isWaiting(streamId)) throw notRecovered()
    const state = await this.#state(streamId)
    const holds = held === 'delete' ? [] : this.#holds.of(streamId, this.#deps.clock.now())
    const isHeld = (row: FragmentFacts) => isInAny(row, holds)
    if (holds.length > 0 && (await this.#deletions.touches(state, range, isHeld))) {
      throw new ServiceError('conflict', 'RangeHeld', 'A hold keeps media of this range.')
    }
    const { lastCounter } = state.numbering
    const deletion = await this.#deletions.begin(streamId, range, lastCounter)
    try {
      return await this.#inTurn(() => this.#carryOut(deletion))
    } catch (error) {
      throw deletionUnfinished(error)
    }
  }

  async #carryOut(deletion: Deletion): Promise<DeletedRange> {
    const { streamId, by, from, to } = deletion
    if (this.#recovery.isWaiting(streamId)) throw notRecovered()
    const done = await this.#deletions.carryOut(deletion, await this.#state(streamId))
    const stream = this.#options.nameOf(streamId)
    this.#deps.events.rangeDeleted({ stream, by, from, to, ...done })
    return done
  }

  async hold(streamId: StreamId, range: ClockRange, terms: HoldTerms): Promise<Hold> {
    const { clock, events } = this.#deps
    const hold = await this.#holds.add(streamId, range, terms, clock.now())
    ;(await this.#states.get(streamId))?.oldest.forgetAll()
    events.holdAdded(this.#describe(hold))
    return hold
  }

  holds(): readonly Hold[] {
    return this.#holds.list()
  }

  async releaseHold(id: string): Promise<void> {
    this.#deps.events.holdReleased(this.#describe(await this.#holds.release(id)))
  }

  async coverage(streamId: StreamId, range: CoverageRange): Promise<Coverage> {
    const visibility = this.#visibility(streamId)
    const cutoff = this.#cutoff(streamId)
    if (visibility === null || cutoff === null || range.to <= range.from) {
      return { spans: [], gaps: [] }
    }
    const now = this.#deps.clock.now()
    if (this.#options.retentionMsOf(streamId) === 0) {
      const { from } = range
      const to = epochMs(Math.min(range.to, now))
      // A live buffer is no archive.
      return { spans: [], gaps: from < to ? [{ from, to, reason: 'expired' }] : [] }
    }
    const state = await this.#state(streamId)
    return this.#coverage.find(state, range, { visibility, cutoff, now })
  }

  async remove(streamId: StreamId): Promise<void> {
    if (this.#writers.has(streamId)) {
      throw new ServiceError('conflict', 'StreamBusy', 'The stream is still being written.')
    }
    if (this.#holds.of(streamId, this.#deps.clock.now()).length > 0) {
      throw new ServiceError('conflict', 'StreamHeld', 'A hold keeps media of this stream.')
    }
    await this.#catalogue.beginRemoval(streamId)
    await this.#finishRemoval(streamId)
  }

  async #finishRemoval(streamId: StreamId): Promise<void> {
    const state = await this.#state(streamId)
    state.rejectWaiters(new ServiceError('not-found', 'StreamRemoved', 'The stream was removed.'))
    await this.#retireEnded(state)
    this.#recovery.forget(streamId)
    await this.#deletions.forget(streamId)
    for await (const chunk of this.#catalogue.chunksFrom(streamId, 0)) {
      await this.#removal.remove(streamId, chunk, 'stream-removed')
    }
    this.#states.delete(streamId)
    this.#rates.delete(streamId)
    await this.#files.removeEmptyDirectory(join(this.#deps.directory, streamId))
    await this.#catalogue.endRemoval(streamId)
  }

  /**
   * One round of expiry: unlinks chunks that are older than their stream's retention as a whole,
   * ends idle chunks that are past their age, and tries again what failed before. Rounds run one
   * after the other.
   */
  expire(): Promise<void> {
    return this.#expireInTurn(0)
  }

  /** A round of the archive's own, which a clock set ahead does not make delete; see {@link ClockDoubt}. */
  #expireAsBelieved(): Promise<void> {
    const doubtMs = this.#doubt.note(this.#deps.clock.now())
    if (doubtMs > 0) this.#log.warn({ doubtMs }, 'the clock jumped: nothing expires by it yet')
    return this.#expireInTurn(doubtMs)
  }

  #expireInTurn(doubtMs: number): Promise<void> {
    return this.#inTurn(() => this.#expireOnce(doubtMs))
  }

  /** What removes media runs one after the other. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#round.then(action)
    this.#round = turn.catch(() => undefined) // its caller sees the failure
    return turn
  }

  /** One look at quotas and free disk space, in turn with {@link expire}. */
  checkSpace(): Promise<void> {
    return this.#inTurn(() => this.#checkSpaceOnce())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const closed = new ServiceError('unavailable', 'ArchiveClosed', 'The archive is closed.')
    this.#stopping.abort(closed)
    await this.#expiry
    await this.#round
    const writers = [...this.#writers.values()]
    await Promise.all(writers.map((writer) => writer[Symbol.asyncDispose]()))
    this.#rounds[Symbol.dispose]()
    for (const loading of this.#states.values()) {
      const state = await loading.catch(() => null) // it never was loaded
      if (state === null) continue
      state.rejectWaiters(closed)
      await this.#retireEnded(state)
      for (const chunk of state.liveChunks) await chunk.close()
    }
    await this.#reader[Symbol.asyncDispose]()
  }

  /**
   * Fragments whose server timestamp is not after this are hidden; `null`: all are, because nobody
   * knows the stream.
   */
  #cutoff(streamId: StreamId): number | null {
    const retentionMs = this.#options.retentionMsOf(streamId)
    if (retentionMs === null) return null
    return this.#deps.clock.now() - (retentionMs === 0 ? LIVE_BUFFER_MS : retentionMs)
  }

  #quotaBytesOf(streamId: StreamId): number | null {
    const quotaBytes = this.#options.quotaBytesOf?.(streamId) ?? null
    const isBuffer = this.#options.retentionMsOf(streamId) === 0
    return isBuffer ? Math.min(quotaBytes ?? Infinity, LIVE_BUFFER_BYTES) : quotaBytes
  }

  #visibility(streamId: StreamId): Visibility | null {
    const cutoff = this.#cutoff(streamId)
    if (cutoff === null) return null
    const held = this.#holds.of(streamId, this.#deps.clock.now())
    return new Visibility({ cutoff, held, deleting: this.#deletions.of(streamId) })
  }

  #state(streamId: StreamId): Promise<StreamState> {
    let loading = this.#states.get(streamId)
    if (loading === undefined) {
      loading = this.#load(new StreamState(streamId))
      this.#states.set(streamId, loading)
      loading.catch(() => this.#states.delete(streamId)) // the next caller tries again
    }
    return loading
  }

  /** Who holds the state sees what was recovered. */
  async #reloadState(streamId: StreamId): Promise<void> {
    const state = await this.#states.get(streamId)
    if (state !== undefined) await this.#load(state)
  }

  async #load(state: StreamState): Promise<StreamState> {
    const newest = await this.#search.newest(state, StreamState.WINDOW, null)
    const stream = this.#catalogue.stream(state.streamId)
    const last = newest.at(-1)
    const numbering = {
      counter: stream.nextCounter,
      sequence: stream.nextSequence,
      discontinuitySequence: stream.discontinuitySequence,
      lastCounter: last === undefined ? 0 : counterOf(last),
    }
    state.load(numbering, newest)
    state.gaps.load(this.#catalogue.openGap(state.streamId))
    return state
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
      const { row, span, fileBytes: bytes } = chunk
      if (span === null) await this.#removal.drop(streamId, row)
      else await this.#catalogue.finishChunk(streamId, { ...row, state: 'finished', bytes, span })
      state.liveChunks.delete(chunk)
      if (span !== null) await this.#reader.lookFor(row)
    } catch (err) {
      // It stays readable, and in line for the next round of expiry or the next start.
      this.#log.error({ err, streamId, chunkId: chunk.row.chunkId }, 'chunk not finished')
    } finally {
      this.#retiring.delete(chunk)
    }
  }

  /** Tries chunks again that could not be finished. */
  async #retireEnded(state: StreamState): Promise<void> {
    for (const chunk of state.liveChunks) if (chunk.ended) await this.#retire(state, chunk)
  }

  /** @param doubtMs what the clock is taken to be ahead */
  async #expireOnce(doubtMs: number): Promise<void> {
    const runOut = await this.#holds.releaseRunOut(epochMs(this.#deps.clock.now() - doubtMs))
    for (const hold of runOut) this.#deps.events.holdReleased(this.#describe(hold))
    await this.#removal.collectGarbage()
    for (const streamId of await this.#recovery.retry()) await this.#reloadState(streamId)
    await this.#finishDeletions()
    for (const writer of this.#writers.values()) writer.finishIdleChunk()
    for (const loading of this.#states.values()) await this.#storeGaps(await loading)
    for (const loading of this.#states.values()) await this.#retireEnded(await loading)
    for (const streamId of await this.#catalogue.streams()) {
      // A stream that nobody knows is hidden but kept: only `remove` deletes without an age.
      const hiddenUpTo = this.#cutoff(streamId)
      if (hiddenUpTo === null) continue
      const cutoff = hiddenUpTo - doubtMs
      const isExempt = (chunk: FinishedChunk) => this.#isExempt(streamId, chunk)
      for await (const { chunkId } of this.#removal.expire(streamId, cutoff, isExempt)) {
        const state = await this.#states.get(streamId)
        state?.forgetChunk(chunkId)
      }
      await this.#catalogue.expireGaps(streamId, cutoff)
    }
  }

  /** Why media is missing, so that a process that is killed does not take it along. */
  async #storeGaps({ streamId, gaps }: StreamState): Promise<void> {
    const record = gaps.toStore
    if (record === null) return
    try {
      await this.#catalogue.recordGaps(streamId, record)
      gaps.stored(record)
    } catch (err) {
      this.#log.debug({ err, streamId }, 'gaps wait for the disk') // tried again with the next round
    }
  }

  #describe({ id, streamId, name }: Hold) {
    return { stream: this.#options.nameOf(streamId), id, name }
  }

  /** Goes on with deletions that were interrupted. */
  async #finishDeletions(): Promise<void> {
    for (const deletion of this.#deletions.pending) {
      try {
        await this.#carryOut(deletion)
      } catch (err) {
        this.#log.error({ err, streamId: deletion.streamId }, 'range not deleted yet')
      }
    }
  }

  /** A disk that somebody else fills does not take what live viewers see at the moment. */
  #isLiveEdge(streamId: StreamId, { span }: FinishedChunk): boolean {
    const isNewest = span.lastCounter + 1 >= this.#catalogue.stream(streamId).nextCounter
    return isNewest && span.lastServerTimestamp > this.#deps.clock.now() - LIVE_MS
  }

  /** What nobody knows is deleted by nothing but {@link remove}. */
  #isExempt(streamId: StreamId, { span }: FinishedChunk): boolean {
    if (this.#cutoff(streamId) === null) return true
    return overlapsAny(span, this.#holds.of(streamId, this.#deps.clock.now()))
  }

  async #checkSpaceOnce(): Promise<void> {
    await this.#space.check()
    const now = this.#deps.clock.now()
    for (const [streamId, loading] of this.#states) {
      let rate = this.#rates.get(streamId)
      if (rate === undefined) this.#rates.set(streamId, (rate = new WriteRate()))
      rate.note(now, (await loading).writtenBytes)
    }
  }

  async #repeat(intervalMs: number, round: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#deps.clock.sleep(intervalMs, signal)
        await round()
      } catch (err) {
        if (!signal.aborted) this.#log.error({ err }, 'a round of removal failed')
      }
    }
  }
}

function liveBytes(state: StreamState | undefined): number {
  let bytes = 0
  for (const chunk of state?.liveChunks ?? []) bytes += chunk.length
  return bytes
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

function notRecovered(): ServiceError {
  return new ServiceError(
    'unavailable',
    'ArchiveWriteFailed',
    'The last chunk of this stream could not be recovered yet.',
  )
}
