import type { StreamId } from '../domain/stream.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Catalogue, OpenChunkRow } from './catalogue.ts'
import type { ChunkRemoval } from './chunk-removal.ts'
import type { ChunkStore } from './chunk-store.ts'
import type { ChunkSpan } from './chunk-span.ts'
import { toMark, type OpenGap } from './gap-mark.ts'
import { recoverChunk } from './recovery.ts'

/** Chunks recovered side by side; each is a few reads and two syncs. */
const RECOVERIES_AT_ONCE = 8

/**
 * Ends the chunks that an earlier process left open, and only these: it takes as long as there are
 * open chunks, however old the archive is. What fails is kept in line and tried again.
 */
export class StartupRecovery {
  readonly #deps: RecoveryDeps
  readonly #waiting = new Map<StreamId, readonly OpenChunkRow[]>()

  constructor(deps: RecoveryDeps) {
    this.#deps = deps
  }

  /** While true, the stream's numbering is not known and nothing may be added to it. */
  isWaiting(streamId: StreamId): boolean {
    return this.#waiting.has(streamId)
  }

  async recoverAll(): Promise<void> {
    for (const { streamId, chunk } of await this.#deps.catalogue.openChunks()) {
      if (chunk.state !== 'open') continue
      this.#waiting.set(streamId, [...(this.#waiting.get(streamId) ?? []), chunk])
    }
    const streamIds = [...this.#waiting.keys()]
    const next = async () => {
      for (let id = streamIds.shift(); id !== undefined; id = streamIds.shift()) {
        await this.recoverStream(id)
      }
    }
    await Promise.all(Array.from({ length: RECOVERIES_AT_ONCE }, next))
    for (const streamId of await this.#deps.catalogue.streams()) await this.#noteSilence(streamId)
  }

  /** A session was on and had no chunk open, or the mark of its end did not get to the disk. */
  async #noteSilence(streamId: StreamId): Promise<void> {
    const { catalogue, log } = this.#deps
    if (this.#waiting.has(streamId) || catalogue.openGap(streamId) !== null) return
    try {
      for await (const chunk of catalogue.chunksBackwards(streamId)) {
        if (chunk.state === 'finished') await this.#noteCrash(streamId, chunk.span)
        return
      }
    } catch (err) {
      log.warn({ err, streamId }, 'the end of a session was not noted') // a full disk
    }
  }

  /** Streams of which something was recovered this time. */
  async retry(): Promise<readonly StreamId[]> {
    const recovered: StreamId[] = []
    for (const streamId of [...this.#waiting.keys()]) {
      if (await this.recoverStream(streamId)) recovered.push(streamId)
    }
    return recovered
  }

  /** Never rejects. Answers whether all of the stream's chunks are ended now and were not before. */
  async recoverStream(streamId: StreamId): Promise<boolean> {
    const chunks = this.#waiting.get(streamId)
    if (chunks === undefined) return false
    for (const [i, chunk] of chunks.entries()) {
      try {
        await this.#recover(streamId, chunk)
        this.#waiting.set(streamId, chunks.slice(i + 1))
      } catch (err) {
        this.#deps.log.error({ err, streamId, chunkId: chunk.chunkId }, 'chunk not recovered')
        return false
      }
    }
    this.#waiting.delete(streamId)
    return true
  }

  forget(streamId: StreamId): void {
    this.#waiting.delete(streamId)
  }

  async #recover(streamId: StreamId, chunk: OpenChunkRow): Promise<void> {
    const { catalogue, removal, directory, files, events, nameOf } = this.#deps
    const successor = await this.#sequenceAfter(streamId, chunk)
    const recovery = await recoverChunk(chunk, successor, { directory, files })
    const { finished, found, cutBytes } = recovery
    if (finished === null) {
      if (recovery.missing) await catalogue.skipNumbers(streamId)
      await removal.drop(streamId, chunk)
    } else {
      await this.#noteCrash(streamId, finished.span)
      await catalogue.finishChunk(streamId, finished)
    }
    const stream = nameOf(streamId)
    events.chunkRecovered({ stream, chunkId: chunk.chunkId, fragments: found, cutBytes })
  }

  /** The media ended with the process, unless the session had ended before and said so. */
  async #noteCrash(streamId: StreamId, { server, producer }: ChunkSpan): Promise<void> {
    const { catalogue, now } = this.#deps
    const open = catalogue.openGap(streamId)
    if (open?.reason === 'no-publisher' || open?.reason === 'unknown') return
    const last = { server: server.to, producer: producer.to }
    const isOver = open !== null && open.server < last.server // media came after what was lost
    const crash: OpenGap =
      open === null || isOver
        ? { reason: 'crash', ...last }
        : { ...open, reason: 'crash', detail: `it began as ${open.reason}` }
    const lengthMs = Math.max(now() - crash.server, 0)
    const end = { server: crash.server + lengthMs, producer: crash.producer + lengthMs }
    const ended = isOver ? [toMark(open, last), toMark(crash, end)] : [toMark(crash, end)]
    await catalogue.recordGaps(streamId, {
      closed: ended.filter((mark) => mark !== null),
      open: { reason: 'no-publisher', ...end },
    })
  }

  async #sequenceAfter(streamId: StreamId, chunk: OpenChunkRow): Promise<number | null> {
    for await (const other of this.#deps.catalogue.chunksFrom(streamId, chunk.firstCounter)) {
      if (other.firstCounter > chunk.firstCounter) return other.firstSequence
    }
    return null
  }
}

type RecoveryDeps = {
  readonly directory: string
  readonly files: ChunkStore
  readonly catalogue: Catalogue
  readonly removal: ChunkRemoval
  readonly events: Events
  readonly log: Log
  readonly nameOf: (streamId: StreamId) => string
  readonly now: () => number
}
