import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Catalogue, FinishedChunk } from './catalogue.ts'
import type { ChunkRemoval } from './chunk-removal.ts'
import type { DiskSize } from './disk-space.ts'
import {
  defaultMinFreeBytes,
  planEviction,
  type Eviction,
  type EvictableChunk,
  type StreamSpace,
} from './eviction-plan.ts'

/** How often quotas and the disk are looked at. */
export const SPACE_INTERVAL_MS = 2_000

/** Chunks of a stream that one plan may take; then it looks again. */
const CHUNKS_AT_ONCE = 64

export type DiskState = DiskSize & {
  readonly minFreeBytes: number
  /**
   * - `ok`
   * - `low`: less than the minimum is free, and nothing may go
   * - `full`: less than half of it: what comes is given up, so that the catalogue can still be written
   */
  readonly state: 'ok' | 'low' | 'full'
}

export type SpaceGuardDeps = {
  readonly catalogue: Catalogue
  readonly removal: ChunkRemoval
  readonly events: Events
  readonly log: Log
  readonly nameOf: (streamId: StreamId) => string
  readonly quotaBytesOf: (streamId: StreamId) => number | null
  /** `null`: see {@link defaultMinFreeBytes}. */
  readonly minFreeBytes: number | null
  readonly readDisk: () => Promise<DiskSize>
  /** Of chunks that grow. */
  readonly liveBytesOf: (streamId: StreamId) => Promise<number>
  /** Held, or of a stream that nobody knows. */
  readonly isExempt: (streamId: StreamId, chunk: FinishedChunk) => boolean
  readonly onEvicted: (streamId: StreamId, chunk: FinishedChunk) => Promise<void>
}

/** Keeps streams within their quotas and some of the disk free; see {@link planEviction}. */
export class SpaceGuard {
  readonly #deps: SpaceGuardDeps
  #disk: DiskState | null = null

  constructor(deps: SpaceGuardDeps) {
    this.#deps = deps
  }

  /** As of the last round; `null` before the first, or when the system does not say. */
  get disk(): DiskState | null {
    return this.#disk
  }

  /** @throws ServiceError `unavailable`/`ArchiveDiskFull` when nothing may be written */
  admit(): void {
    if (this.#disk?.state !== 'full') return
    throw new ServiceError(
      'unavailable',
      'ArchiveDiskFull',
      'The disk is full, and there is nothing older that may go.',
      { context: { freeBytes: this.#disk.freeBytes } },
    )
  }

  /** One look, and what follows from it. */
  async check(): Promise<void> {
    for (;;) {
      const disk = await this.#readDisk()
      const isShort = disk !== null && disk.freeBytes < disk.minFreeBytes
      const plan = planEviction(await this.#streams(isShort), disk ?? UNKNOWN_DISK)
      const gone = await this.#evict(plan)
      if (gone === 0) {
        this.#report(disk)
        return
      }
    }
  }

  async #readDisk(): Promise<DiskState | null> {
    try {
      const size = await this.#deps.readDisk()
      const minFreeBytes = this.#deps.minFreeBytes ?? defaultMinFreeBytes(size.totalBytes)
      return { ...size, minFreeBytes, state: toState(size.freeBytes, minFreeBytes) }
    } catch (err) {
      this.#deps.log.error({ err }, 'free disk space is not known')
      return null
    }
  }

  /** Those of which something may have to go: all, when the disk is short. */
  async #streams(isDiskShort: boolean): Promise<readonly StreamSpace[]> {
    const { catalogue, liveBytesOf, quotaBytesOf } = this.#deps
    const streams: StreamSpace[] = []
    for (const streamId of await catalogue.streams()) {
      const quotaBytes = quotaBytesOf(streamId)
      if (quotaBytes === null && !isDiskShort) continue
      const bytes = catalogue.stream(streamId).bytes + (await liveBytesOf(streamId))
      if (!isDiskShort && bytes <= quotaBytes!) continue
      streams.push({ streamId, bytes, quotaBytes, evictable: await this.#evictable(streamId) })
    }
    return streams
  }

  async #evictable(streamId: StreamId): Promise<readonly EvictableChunk[]> {
    const chunks: EvictableChunk[] = []
    for await (const chunk of this.#deps.catalogue.chunksFrom(streamId, 0)) {
      if (chunk.state !== 'finished' || this.#deps.isExempt(streamId, chunk)) continue
      const { firstCounter, bytes, span } = chunk
      chunks.push({ firstCounter, bytes, lastServerTimestamp: span.lastServerTimestamp })
      if (chunks.length === CHUNKS_AT_ONCE) break
    }
    return chunks
  }

  /** @returns how many went */
  async #evict(plan: readonly Eviction[]): Promise<number> {
    const { catalogue, removal, events, nameOf, isExempt, onEvicted } = this.#deps
    let gone = 0
    for (const { streamId, firstCounter, reason } of plan) {
      const chunk = catalogue.chunk(streamId, firstCounter)
      if (chunk?.state !== 'finished' || isExempt(streamId, chunk)) continue // since a moment ago
      if (!(await removal.remove(streamId, chunk, reason))) continue
      await onEvicted(streamId, chunk)
      gone++
      const { bytes: sizeBytes, span } = chunk
      const upTo = span.lastServerTimestamp
      events.chunkEvicted({ stream: nameOf(streamId), reason, sizeBytes, upTo })
    }
    return gone
  }

  #report(disk: DiskState | null): void {
    const before = this.#disk?.state ?? 'ok'
    this.#disk = disk
    if (disk === null || disk.state === before) return
    this.#deps.events.archiveSpace(disk)
  }
}

const UNKNOWN_DISK = { freeBytes: 0, minFreeBytes: 0 }

function toState(freeBytes: number, minFreeBytes: number): DiskState['state'] {
  if (freeBytes >= minFreeBytes) return 'ok'
  return freeBytes >= minFreeBytes / 2 ? 'low' : 'full'
}
