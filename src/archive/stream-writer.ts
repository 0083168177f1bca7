import assert from 'node:assert/strict'
import type { ServiceError } from '../domain/errors.ts'
import type { Fragment, FragmentNumber } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import type { Events } from '../observe/events.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { createDeferred } from '../platform/deferred.ts'
import type { AppendedMedia, ArchiveOptions, FragmentStart, FragmentWriter } from './archive.ts'
import type { Catalogue } from './catalogue.ts'
import { ChunkFile } from './chunk-file.ts'
import { RESERVE_BYTES, toChunkId, toChunkPath } from './chunk-layout.ts'
import type { ChunkStore } from './chunk-store.ts'
import { timeSpanOf } from './chunk-span.ts'
import type { Flushable, FlushRounds } from './flush-rounds.ts'
import type { OpenGap } from './gap-mark.ts'
import { MAX_FRAGMENT_BYTES, toFragment, type FragmentRow } from './fragment-row.ts'
import {
  openFragment,
  readClusterHead,
  type OpenChunk,
  type OpenFragment,
} from './open-fragment.ts'
import { planRotation } from './rotation.ts'
import type { StreamState } from './stream-state.ts'
import { planBatch, type Step } from './write-batch.ts'
import { GatheredBytes, type WriteMemory } from './write-memory.ts'
import {
  abandoned,
  checkHeader,
  checkTimestamps,
  fragmentTooLong,
  queueFull,
  writeFailed,
} from './writer-errors.ts'

/** Waiting bytes that are written without waiting for the interval's end. */
const FLUSH_BYTES = 1024 * 1024

export type WriterDeps = {
  readonly directory: string
  readonly files: ChunkStore
  readonly catalogue: Catalogue
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly options: ArchiveOptions
  /** Shared by the writers of all streams. */
  readonly memory: WriteMemory
  readonly rounds: FlushRounds
  /** Seals a chunk and moves it into the catalogue; never rejects. */
  readonly retire: (state: StreamState, chunk: ChunkFile) => Promise<void>
  readonly onClosed: () => void
  /** Throws when there is no space to write to. */
  readonly admit: () => void
}

/**
 * The one writer of a stream. Callers queue and never wait; one loop writes what is queued, in
 * order. The order is the contract (docs/design/archive.md, "Durability"):
 *
 *   1. chunk row on disk, then files created, then their names on disk
 *   2. elements appended as they arrive, gathered, at least every second
 *   3. fragment ended: its last elements and its closing record appended
 *   4. fdatasync
 *   5. only now visible, and `end` resolves
 *   6. rows of several fragments appended to the sidecar
 *
 * A failure at 1 to 4 loses the fragments of that chunk that had not reached 5, ends the chunk
 * behind the last that had, and the next `begin` opens another.
 */
export class StreamWriter implements FragmentWriter, Flushable {
  readonly #streamId: StreamId
  readonly #state: StreamState
  readonly #deps: WriterDeps
  readonly #queue: Step[] = []
  /** How many steps from the queue's front are to be written now. */
  #due = 0
  #draining: Promise<void> | null = null
  #queuedBytes = 0
  #chunk: OpenChunk | null = null
  #fragment: OpenFragment | null = null
  /** Why the last fragment was lost, until the next `begin`. */
  #loss: ServiceError | null = null
  #closed = false

  constructor(state: StreamState, deps: WriterDeps) {
    this.#streamId = state.streamId
    this.#state = state
    this.#deps = deps
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  begin(start: FragmentStart): FragmentNumber {
    assert(!this.#closed, 'the writer is closed')
    assert(this.#fragment === null, 'a fragment is open')
    checkTimestamps(start)
    const numbering = this.#state.numbering
    const { counter } = numbering
    const chunk = this.#chunkFor(start, counter)
    this.#state.numbering = { ...numbering, counter: counter + 1 }
    this.#loss = null
    const fragment = openFragment(start, chunk, counter)
    this.#fragment = fragment
    const { producerTimestamp, serverTimestamp } = start
    this.#state.gaps.begun({ server: serverTimestamp, producer: producerTimestamp })
    const { tags, number } = fragment
    this.#gather('data', fragment, [tags])
    this.#state.live.begin(fragment)
    return number
  }

  append(parts: readonly Uint8Array[], info: AppendedMedia): void {
    const fragment = this.#current()
    let byteLength = 0
    for (const part of parts) byteLength += part.length
    if (this.#queuedBytes + byteLength > this.#deps.options.maxQueuedBytes) {
      throw this.#lose(fragment, queueFull(this.#queuedBytes), 'queue-full')
    }
    if (fragment.clusterLength + byteLength > MAX_FRAGMENT_BYTES) {
      throw this.#lose(fragment, fragmentTooLong(), 'too-long')
    }
    fragment.clusterHead ??= readClusterHead(parts)
    fragment.clusterLength += byteLength
    fragment.sampleCount += info.samples
    fragment.producerEnd = info.producerEnd
    fragment.lastArrival = info.arrivedAt
    this.#gather('data', fragment, parts)
    this.#state.live.append(fragment.number, parts, info)
    if (this.#queuedBytes >= FLUSH_BYTES) this.flush()
    else this.#deps.rounds.join(this)
  }

  end(producerTags: Uint8Array | null): Promise<Fragment> {
    const ending = createDeferred<Fragment>()
    ending.promise.catch(() => undefined) // lost fragments are counted; who waits still sees it
    try {
      const fragment = this.#current()
      assert(fragment.clusterHead !== null, 'the fragment has no Cluster')
      this.#fragment = null
      fragment.hasProducerTags = producerTags !== null
      fragment.ending = { deferred: ending, at: this.#deps.clock.now() }
      this.#gather('end', fragment, producerTags === null ? [] : [producerTags])
      this.#state.live.end(fragment.number, producerTags)
      this.flush()
    } catch (error) {
      ending.reject(error)
    }
    return ending.promise
  }

  abandon(reason: string): void {
    const fragment = this.#fragment
    if (fragment === null) return
    this.#lose(fragment, abandoned(reason), reason)
    this.#deps.rounds.join(this)
  }

  /** Ends a chunk that is past its age although no fragment comes; see {@link planRotation}. */
  finishIdleChunk(): void {
    const chunk = this.#chunk
    if (chunk === null || this.#fragment !== null || this.#closed) return
    const due = planRotation({
      ...this.#rotationFacts(chunk),
      sameHeader: true,
      serverTimestamp: this.#deps.clock.now(),
    })
    if (due === null) return
    this.#chunk = null
    this.#queue.push({ kind: 'finish', chunk })
    this.flush()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) {
      this.abandon('writer-closed')
      this.#closed = true
      if (this.#chunk !== null) this.#queue.push({ kind: 'finish', chunk: this.#chunk })
      this.#chunk = null
      this.flush()
    }
    while (this.#draining !== null) await this.#draining
    if (!this.#state.writerOpen) return
    await this.#noteEnd()
    this.#state.writerOpen = false
    this.#deps.onClosed()
  }

  /** From here on nobody publishes. A mark that cannot be stored waits for the next session. */
  async #noteEnd(): Promise<void> {
    const { gaps, newest } = this.#state
    const last = newest.at(-1)
    if (last !== undefined) {
      const server = timeSpanOf(last, 'server').to
      const producer = timeSpanOf(last, 'producer').to
      gaps.ended({ reason: 'no-publisher', server, producer }, this.#deps.clock.now())
    }
    const record = gaps.toStore
    if (record === null) return
    try {
      await this.#deps.catalogue.recordGaps(this.#streamId, record)
      gaps.stored(record)
    } catch {
      // The disk refuses writes, which the catalogue has said where a chunk was concerned.
    }
  }

  #current(): OpenFragment {
    if (this.#loss !== null) throw this.#loss
    assert(this.#fragment !== null, 'no fragment is open')
    return this.#fragment
  }

  /** The open chunk, or another one when that is due. */
  #chunkFor(start: FragmentStart, counter: number): OpenChunk {
    const current = this.#chunk
    if (current !== null) {
      const reason = planRotation({
        ...this.#rotationFacts(current),
        sameHeader: sameBytes(current.file.header, start.header),
        serverTimestamp: start.serverTimestamp,
      })
      if (reason === null) return current
    }
    const chunk = this.#newChunk(start, counter)
    if (current !== null) this.#queue.push({ kind: 'finish', chunk: current })
    this.#chunk = chunk
    this.#queue.push({ kind: 'open', chunk })
    this.#deps.rounds.join(this)
    return chunk
  }

  #newChunk(start: FragmentStart, counter: number): OpenChunk {
    checkHeader(start.header)
    const { directory, files, metrics } = this.#deps
    const chunkId = toChunkId(counter, start.serverTimestamp)
    const file = new ChunkFile({
      ...{ files, directory, header: start.header },
      row: {
        state: 'open',
        chunkId,
        path: toChunkPath(this.#streamId, chunkId, start.serverTimestamp),
        firstCounter: counter,
        firstSequence: 0, // known when the fragments ahead of it are written: see #open
        discontinuitiesBefore: 0,
        openedAt: start.serverTimestamp,
        headerBytes: start.header.length,
      },
      onWrite: () => metrics.archiveWrites.inc(),
    })
    return { file, queuedLength: start.header.length + RESERVE_BYTES, firstCounter: counter }
  }

  #rotationFacts(chunk: OpenChunk) {
    const { options } = this.#deps
    return {
      openedAt: chunk.file.row.openedAt,
      retentionMs: options.retentionMsOf(this.#streamId) ?? 0,
      chunkBytes: chunk.queuedLength,
      maxChunkBytes: options.maxChunkBytes,
      fragments: this.#state.numbering.counter - chunk.firstCounter,
    }
  }

  /** Queues a fragment's elements: what follows each other without an end between, in one step. */
  #gather(kind: 'data' | 'end', fragment: OpenFragment, parts: readonly Uint8Array[]): void {
    const { chunk } = fragment
    let step = this.#queue.at(-1)
    if (kind === 'end' || step?.kind !== 'data' || step.fragment !== fragment) {
      step = { kind, chunk, fragment, bytes: new GatheredBytes(this.#deps.memory) }
      this.#queue.push(step)
    }
    const lengthBefore = step.bytes.byteLength
    for (const part of parts) step.bytes.add(part)
    const byteLength = step.bytes.byteLength - lengthBefore
    this.#queuedBytes += byteLength
    chunk.queuedLength += byteLength
  }

  /** Everything queued by now is to be written. */
  flush(): void {
    this.#deps.rounds.leave(this)
    this.#due = this.#queue.length
    if (this.#due > 0) this.#draining ??= this.#drain()
  }

  /** Never rejects: what fails is lost, counted, and told to who waits for it. */
  async #drain(): Promise<void> {
    while (this.#due > 0) {
      const step = this.#queue[0]!
      try {
        if (step.kind === 'open') await this.#open(this.#take(1)[0]!.chunk)
        else if (step.kind === 'finish') await this.#finish(this.#take(1)[0]!.chunk)
        else await this.#write(step.chunk, this.#take(this.#runLength()))
      } catch (error) {
        await this.#fail(step.chunk, error)
      }
    }
    this.#draining = null // in the same turn as the look at #due: no flush falls in between
  }

  /** Steps at the queue's front that one write call can take. */
  #runLength(): number {
    let length = 1
    while (length < this.#due) {
      const { kind } = this.#queue[length]!
      if (kind === 'open' || kind === 'finish') break
      length++
    }
    return length
  }

  #take(count: number): Step[] {
    this.#due -= count
    return this.#queue.splice(0, count)
  }

  async #open(chunk: OpenChunk): Promise<void> {
    this.#deps.admit()
    const { sequence, discontinuitySequence } = this.#state.numbering
    chunk.file.numberFrom(sequence, discontinuitySequence)
    const gaps = this.#state.gaps.toStore
    await this.#deps.catalogue.openChunk(this.#streamId, chunk.file.row, gaps)
    if (gaps !== null) this.#state.gaps.stored(gaps)
    this.#state.liveChunks.add(chunk.file)
    await chunk.file.create()
  }

  async #finish(chunk: OpenChunk): Promise<void> {
    await this.#deps.retire(this.#state, chunk.file)
  }

  async #write(chunk: OpenChunk, steps: readonly Step[]): Promise<void> {
    const batch = planBatch(steps, chunk.file.length, this.#state.numbering)
    const { parts, patches, ended, byteLength } = batch
    try {
      this.#deps.admit()
      if (byteLength > 0) await chunk.file.append(parts, byteLength)
      for (const { bytes, position } of patches) await chunk.file.patch(bytes, position)
      if (ended.length > 0) await chunk.file.persist(ended.map(({ row }) => row))
    } catch (error) {
      chunk.file.fail()
      for (const { fragment } of ended) this.#loseUnwritten(fragment, error)
      throw error
    } finally {
      this.#queuedBytes -= batch.queuedBytes
      for (const step of steps) if ('bytes' in step) step.bytes.release()
    }
    for (const { fragment, row } of ended) this.#publish(fragment, row)
    if (ended.length > 0) await chunk.file.writeDueRows()
  }

  #publish(fragment: OpenFragment, row: FragmentRow): void {
    const { clock, events, options } = this.#deps
    const { counter } = this.#state.numbering
    this.#state.numbering = {
      counter,
      sequence: row.sequence + 1,
      discontinuitySequence: row.discontinuitySequence,
      lastCounter: row.counter,
    }
    const persisted = toFragment(row, this.#streamId, fragment.chunk.file.row.chunkId)
    this.#state.add(persisted)
    events.fragmentPersisted({
      stream: options.nameOf(this.#streamId),
      fragmentNumber: fragment.number,
      sizeBytes: row.length,
      latencyMs: clock.now() - fragment.ending!.at,
    })
    fragment.ending!.deferred.resolve(persisted)
  }

  /** Ends a chunk at its last persisted fragment and loses what was to follow in it. */
  async #fail(chunk: OpenChunk, error: unknown): Promise<void> {
    chunk.file.fail()
    for (const step of [...this.#queue]) {
      if (step.chunk === chunk && 'fragment' in step) this.#loseUnwritten(step.fragment, error)
    }
    if (this.#fragment?.chunk === chunk) this.#loseUnwritten(this.#fragment, error)
    this.#drop((step) => step.chunk === chunk)
    if (this.#chunk === chunk) this.#chunk = null
    await this.#deps.retire(this.#state, chunk.file)
  }

  #loseUnwritten(fragment: OpenFragment, error: unknown): void {
    this.#lose(fragment, writeFailed(error), 'write-failed', error)
  }

  /** Counts a fragment as lost, once, and takes what it has in the queue out. */
  #lose(fragment: OpenFragment, loss: ServiceError, reason: string, error?: unknown): ServiceError {
    if (fragment.lost) return loss
    fragment.lost = true
    this.#drop((step) => 'fragment' in step && step.fragment === fragment)
    if (fragment.written && !fragment.chunk.file.failed) {
      this.#queue.push({ kind: 'abandon', chunk: fragment.chunk, fragment })
    }
    if (this.#fragment === fragment) {
      this.#fragment = null
      this.#loss = loss
    }
    this.#state.gaps.lost({
      ...toGapReason(reason),
      server: fragment.start.serverTimestamp,
      producer: fragment.start.producerTimestamp,
    })
    this.#state.live.abandon(fragment.number, reason)
    const stream = this.#deps.options.nameOf(this.#streamId)
    this.#deps.events.fragmentLost({
      ...{ stream, fragmentNumber: fragment.number, reason },
      ...(error === undefined ? {} : { error }),
    })
    fragment.ending?.deferred.reject(loss)
    return loss
  }

  #drop(unwanted: (step: Step) => boolean): void {
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      const step = this.#queue[i]!
      if (!unwanted(step)) continue
      this.#queue.splice(i, 1)
      if (i < this.#due) this.#due--
      if (!('bytes' in step)) continue
      this.#queuedBytes -= step.bytes.byteLength
      step.bytes.release()
    }
  }
}

function toGapReason(reason: string): Pick<OpenGap, 'reason' | 'detail'> {
  if (reason === 'write-failed' || reason === 'queue-full') return { reason }
  return { reason: 'lost', detail: reason }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0
}
