import { dirname, join } from 'node:path'
import type { StreamId } from '../domain/stream.ts'
import type { Events } from '../observe/events.ts'
import type { Catalogue, ChunkRow, FinishedChunk, GarbageRow } from './catalogue.ts'
import { toSidecarPath } from './chunk-layout.ts'
import type { ChunkReader } from './chunk-reader.ts'
import { isFileError, type ChunkStore } from './chunk-store.ts'

/** Why media went before its time, as coverage says it. */
const EVICTED: { readonly [reason in string]?: string } = {
  quota: 'over the quota of the stream',
  'disk-space': 'for lack of disk space',
}

/** Expired chunks taken from the catalogue at a time. */
const EXPIRY_BATCH = 1000

/**
 * Takes chunks away, so that a crash anywhere leaves neither a row without bytes nor a file that
 * nobody knows:
 *
 *   1. the chunk's rows leave the catalogue and a garbage row comes, in one step
 *   2. sidecar and chunk are unlinked, the directory is synced
 *   3. the garbage row goes
 *
 * What stops between 1 and 3 is finished at the next start or round of expiry.
 */
export class ChunkRemoval {
  readonly #directory: string
  readonly #files: ChunkStore
  readonly #catalogue: Catalogue
  readonly #reader: ChunkReader
  readonly #events: Events
  readonly #nameOf: (streamId: StreamId) => string

  constructor(deps: {
    readonly directory: string
    readonly files: ChunkStore
    readonly catalogue: Catalogue
    readonly reader: ChunkReader
    readonly events: Events
    readonly nameOf: (streamId: StreamId) => string
  }) {
    this.#directory = deps.directory
    this.#files = deps.files
    this.#catalogue = deps.catalogue
    this.#reader = deps.reader
    this.#events = deps.events
    this.#nameOf = deps.nameOf
  }

  /** @returns whether it was there */
  async remove(streamId: StreamId, chunk: ChunkRow, reason: string): Promise<boolean> {
    if (!(await this.#drop(streamId, chunk, EVICTED[reason] ?? null))) return false
    this.#events.chunkRemoved({
      ...{ stream: this.#nameOf(streamId), chunkId: chunk.chunkId, reason },
      sizeBytes: chunk.state === 'finished' ? chunk.bytes : 0,
    })
    return true
  }

  /** The same for a chunk that never held a fragment, which is not worth an event. */
  drop(streamId: StreamId, chunk: ChunkRow): Promise<boolean> {
    return this.#drop(streamId, chunk, null)
  }

  async #drop(streamId: StreamId, chunk: ChunkRow, evicted: string | null): Promise<boolean> {
    const garbage = await this.#catalogue.dropChunk(streamId, chunk.firstCounter, evicted)
    if (garbage !== null) await this.#unlink(garbage)
    return garbage !== null
  }

  /** Removes what is older than `cutoff` as a whole and not exempt; answers what it removed. */
  async *expire(
    streamId: StreamId,
    cutoff: number,
    isExempt: (chunk: FinishedChunk) => boolean,
  ): AsyncGenerator<FinishedChunk> {
    let expired: readonly FinishedChunk[]
    do {
      expired = await this.#catalogue.expiredBy(streamId, cutoff, {
        limit: EXPIRY_BATCH,
        isExempt,
      })
      for (const chunk of expired) {
        if (isExempt(chunk)) continue // since a moment ago
        if (await this.remove(streamId, chunk, 'retention')) yield chunk
      }
    } while (expired.length === EXPIRY_BATCH)
  }

  /** Finishes removals that a crash or a failure interrupted. */
  async collectGarbage(): Promise<void> {
    for (const garbage of await this.#catalogue.garbage()) await this.#unlink(garbage)
  }

  async #unlink(garbage: GarbageRow): Promise<void> {
    this.#reader.forget(garbage.path)
    const path = join(this.#directory, garbage.path)
    const day = dirname(path)
    await ifThere(this.#files.unlink(toSidecarPath(path)))
    await ifThere(this.#files.unlink(path))
    await ifThere(this.#files.syncDirectory(day))
    await this.#files.removeEmptyDirectory(day)
    await this.#catalogue.forgetGarbage(garbage)
  }
}

async function ifThere(action: Promise<void>): Promise<void> {
  try {
    await action
  } catch (error) {
    if (!isFileError(error, 'ENOENT')) throw error
  }
}
