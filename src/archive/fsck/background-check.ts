import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { StreamId } from '../../domain/stream.ts'
import type { Events } from '../../observe/events.ts'
import type { Log } from '../../observe/log.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Catalogue, FinishedChunk } from '../catalogue.ts'
import { isFileError, type ChunkStore } from '../chunk-store.ts'
import type { DamagedChunks } from '../damaged-chunks.ts'
import { checkChunkBytes, type ChunkCheck, type ReadPace } from './check-chunk.ts'
import { findOrphans } from './orphans.ts'

export type BackgroundCheckDeps = {
  readonly directory: string
  readonly files: ChunkStore
  readonly catalogue: Catalogue
  readonly damaged: DamagedChunks
  readonly nameOf: (streamId: StreamId) => string
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
  /** Most that is read of media; 0: none is. */
  readonly bytesPerSecond: number
}

/** When there is no finished chunk, or the last look failed. */
const IDLE_MS = 60_000

/** Between two chunks: where chunks are small or gone it would go round and round. */
const CHUNK_MS = 1000

const ORPHANS_TOLD = 10

/** Damaged chunks that were told; then all are told again. */
const MAX_TOLD = 1000

/**
 * Looks for damage while the service runs: once for files that no row names, then for ever at the
 * bytes of one finished chunk after another, the streams taking turns. It waits after each read, so
 * that it never takes more than its rate. It changes nothing.
 */
export class BackgroundCheck {
  readonly #deps: BackgroundCheckDeps
  /** Counter of the chunk of each stream that was looked at last. */
  readonly #places = new Map<StreamId, number>()
  /** Chunks that were told, with what was said of them: each is told once. */
  readonly #told = new Map<string, string>()

  constructor(deps: BackgroundCheckDeps) {
    this.#deps = deps
  }

  /** Never rejects; resolves when aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, bytesPerSecond } = this.#deps
    await this.#untilAborted(signal, () => this.#lookForOrphans(signal))
    while (bytesPerSecond > 0 && !signal.aborted) {
      await this.#untilAborted(signal, async () => {
        const checked = await this.checkRound(signal)
        if (checked === 0) await clock.sleep(IDLE_MS, signal)
      })
    }
    log.debug('background check ended')
  }

  /** One chunk of every stream. Answers how many there were. */
  async checkRound(signal: AbortSignal): Promise<number> {
    const { catalogue } = this.#deps
    let checked = 0
    for (const streamId of await catalogue.streams()) {
      const chunk = await this.#nextChunk(streamId)
      if (chunk === null) continue
      this.#places.set(streamId, chunk.firstCounter)
      await this.#checkChunk(streamId, chunk, signal)
      await this.#deps.clock.sleep(CHUNK_MS, signal)
      checked++
    }
    return checked
  }

  async #untilAborted(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { clock, log } = this.#deps
    if (signal.aborted) return
    try {
      await work()
    } catch (err) {
      if (signal.aborted) return
      log.error({ err }, 'background check failed')
      await clock.sleep(IDLE_MS, signal).catch(() => undefined) // aborted, which run sees
    }
  }

  async #lookForOrphans(signal: AbortSignal): Promise<void> {
    const { directory, files, catalogue, events } = this.#deps
    const examples: string[] = []
    let count = 0
    for await (const path of findOrphans(directory, files, catalogue)) {
      signal.throwIfAborted()
      count++
      if (examples.length < ORPHANS_TOLD) examples.push(path)
    }
    events.orphanFiles({ count, examples })
  }

  /** The finished chunk behind the last; at first any, so that restarts do not favour the oldest. */
  async #nextChunk(streamId: StreamId): Promise<FinishedChunk | null> {
    const { catalogue } = this.#deps
    const last = this.#places.get(streamId)
    const from = last === undefined ? randomInt(catalogue.stream(streamId).nextCounter) : last + 1
    let same: FinishedChunk | null = null
    for (const start of [from, 0]) {
      for await (const chunk of catalogue.chunksFrom(streamId, start)) {
        if (chunk.state !== 'finished') continue
        if (chunk.firstCounter !== last) return chunk
        same = chunk
      }
    }
    return same
  }

  async #checkChunk(streamId: StreamId, chunk: FinishedChunk, signal: AbortSignal): Promise<void> {
    const { catalogue, damaged, events, nameOf } = this.#deps
    const isUnchanged = () =>
      isDeepStrictEqual(catalogue.chunk(streamId, chunk.firstCounter), chunk)
    let findings = await this.#readChunk(chunk, signal)
    // A range may have been deleted in it meanwhile: only what is found again is damage.
    if (findings.length > 0 && isUnchanged()) findings = await this.#readChunk(chunk, signal)
    if (!isUnchanged()) return
    if (findings.length > 0) damaged.note(chunk.path)
    if (!this.#isNews(chunk, findings)) return
    for (const { code, detail } of findings) {
      events.archiveDamaged({ stream: nameOf(streamId), chunkId: chunk.chunkId, code, detail })
    }
  }

  #isNews({ path }: FinishedChunk, findings: ChunkCheck['findings']): boolean {
    const told = JSON.stringify(findings)
    if (findings.length === 0) this.#told.delete(path)
    if (findings.length === 0 || this.#told.get(path) === told) return false
    if (this.#told.size >= MAX_TOLD) this.#told.clear()
    this.#told.set(path, told)
    return true
  }

  async #readChunk(chunk: FinishedChunk, signal: AbortSignal): Promise<ChunkCheck['findings']> {
    const { clock, metrics, bytesPerSecond, directory, files } = this.#deps
    const pace: ReadPace = async (bytes) => {
      metrics.archiveCheckBytes.inc(bytes)
      await clock.sleep(Math.ceil((bytes * 1000) / bytesPerSecond), signal)
    }
    try {
      const media = await files.open(join(directory, chunk.path), 'r')
      try {
        return (await checkChunkBytes(media, pace)).findings
      } finally {
        await media.close()
      }
    } catch (error) {
      signal.throwIfAborted()
      const code = isFileError(error, 'ENOENT') ? 'chunk-missing' : 'unreadable'
      return [{ code, detail: error instanceof Error ? error.message : String(error) }]
    }
  }
}
