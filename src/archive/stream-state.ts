import { counterOf, type Fragment } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import { createDeferred, type Deferred } from '../platform/deferred.ts'
import type { ChunkFile } from './chunk-file.ts'
import { GapNotes } from './gap-mark.ts'
import { LiveFeed } from './live-feed.ts'
import { OldestFragments } from './oldest-fragments.ts'

/** Where a stream's numbering goes on. */
export type Numbering = {
  /** Of the next fragment that is begun. */
  readonly counter: number
  /** Of the next fragment that is persisted. */
  readonly sequence: number
  /** Discontinuities up to now. */
  readonly discontinuitySequence: number
  /** Counter of the newest persisted fragment, 0 before the first. */
  readonly lastCounter: number
}

/** What is known of one stream without asking the disk. */
export class StreamState {
  /** Persisted fragments kept in memory. */
  static readonly WINDOW = 32

  readonly streamId: StreamId
  numbering: Numbering = NEW_STREAM
  /** Chunks that the catalogue does not know as finished, oldest first. */
  readonly liveChunks = new Set<ChunkFile>()
  writerOpen = false
  /** Of media persisted since the state was loaded. */
  writtenBytes = 0
  /** Why media is missing. */
  readonly gaps = new GapNotes()
  readonly oldest = new OldestFragments()
  /** For who follows what is written. */
  readonly live = new LiveFeed()
  #newest: readonly Fragment[] = []
  #windowIsAll = true
  readonly #waiters = new Set<Waiter>()

  constructor(streamId: StreamId) {
    this.streamId = streamId
  }

  /** The newest persisted fragments, oldest first, up to {@link StreamState.WINDOW}. */
  get newest(): readonly Fragment[] {
    return this.#newest
  }

  /** Whether {@link newest} is all that there is after this counter. */
  knowsAllAfter(counter: number): boolean {
    const oldest = this.#newest[0]
    return this.#windowIsAll || (oldest !== undefined && counterOf(oldest) <= counter + 1)
  }

  /**
   * Takes over what is on disk; who waits goes on waiting.
   *
   * @param newest the newest persisted fragments, oldest first
   */
  load(numbering: Numbering, newest: readonly Fragment[]): void {
    this.numbering = numbering
    this.#newest = newest.slice(-StreamState.WINDOW)
    this.#windowIsAll = newest.length < StreamState.WINDOW
    this.oldest.forgetAll()
  }

  /** Drops fragments that are no longer on disk. */
  forgetChunk(chunkId: string): void {
    this.#drop(({ place }) => place.chunkId === chunkId)
  }

  /** Drops fragments that were deleted. */
  forget(isGone: (fragment: Fragment, counter: number) => boolean): void {
    this.#drop((fragment) => isGone(fragment, counterOf(fragment)))
  }

  #drop(isGone: (fragment: Fragment) => boolean): void {
    this.#newest = this.#newest.filter((fragment) => !isGone(fragment))
    this.oldest.forget(isGone)
  }

  /** Makes a fragment visible. */
  add(fragment: Fragment): void {
    this.writtenBytes += fragment.sizeBytes
    this.#windowIsAll &&= this.#newest.length < StreamState.WINDOW
    this.#newest = [...this.#newest.slice(1 - StreamState.WINDOW), fragment]
    for (const waiter of this.#waiters) {
      if (counterOf(fragment) > waiter.counter) waiter.deferred.resolve()
    }
    this.live.persisted(fragment)
  }

  /** Resolves when a fragment with a higher counter is added; the newest known does not count. */
  async waitFor(counter: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const waiter: Waiter = { counter, deferred: createDeferred() }
    const abort = () => waiter.deferred.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#waiters.add(waiter)
    try {
      await waiter.deferred.promise
    } finally {
      this.#waiters.delete(waiter)
      signal.removeEventListener('abort', abort)
    }
  }

  rejectWaiters(reason: unknown): void {
    for (const { deferred } of this.#waiters) deferred.reject(reason)
    this.live.fail(reason)
  }
}

const NEW_STREAM: Numbering = {
  counter: 1,
  sequence: 0,
  discontinuitySequence: 0,
  lastCounter: 0,
}

type Waiter = { readonly counter: number; readonly deferred: Deferred<void> }
