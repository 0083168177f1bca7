import type { Fragment, FragmentNumber } from '../domain/fragment.ts'
import { createDeferred, type Deferred } from '../platform/deferred.ts'
import type { AppendedMedia, FragmentStart, LiveEvent } from './archive.ts'

/** Media that waits for one follower at most, and what of an open fragment is kept for late ones. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** What an event takes besides its media, roughly. */
const EVENT_BYTES = 128

/**
 * What a stream's writer does, told to whoever follows while it happens. Costs nothing while nobody
 * does; otherwise media is copied once, however many follow, because the writer's memory is used
 * again when it is written.
 */
export class LiveFeed {
  readonly #followers = new Set<LiveFollower>()
  /** Of the fragment that is being written, for who comes in its middle; `null` when not all is kept. */
  #open: LiveEvent[] | null = null
  #openBytes = 0
  #lastEnded: FragmentNumber | null = null

  /** Follows from now on until the signal aborts or the iteration is left. */
  follow(signal: AbortSignal): AsyncIterableIterator<LiveEvent> {
    signal.throwIfAborted()
    const follower = new LiveFollower(signal, () => {
      this.#followers.delete(follower)
      if (this.#followers.size === 0) this.#open = null
    })
    this.#followers.add(follower)
    for (const event of this.#open ?? []) follower.push(event)
    return follower
  }

  begin(fragment: {
    readonly number: FragmentNumber
    readonly start: FragmentStart
    readonly tags: Uint8Array
  }): void {
    if (this.#followers.size === 0) return
    const { number: fragmentNumber, start, tags } = fragment
    this.#open = []
    this.#openBytes = 0
    this.#keep({ type: 'begin', fragmentNumber, start, tags, previous: this.#lastEnded })
  }

  append(
    fragmentNumber: FragmentNumber,
    parts: readonly Uint8Array[],
    { samples, producerEnd, arrivedAt }: AppendedMedia,
  ): void {
    if (this.#followers.size === 0) return
    const bytes = Buffer.concat(parts)
    this.#keep({ type: 'media', fragmentNumber, bytes, samples, producerEnd, arrivedAt })
  }

  end(fragmentNumber: FragmentNumber, producerTags: Uint8Array | null): void {
    this.#lastEnded = fragmentNumber
    this.#open = null
    this.#tell({ type: 'end', fragmentNumber, producerTags })
  }

  /** Also after its end, when it could not be persisted. */
  abandon(fragmentNumber: FragmentNumber, reason: string): void {
    if (this.#lastEnded !== fragmentNumber) this.#open = null
    this.#tell({ type: 'abandoned', fragmentNumber, reason })
  }

  persisted(fragment: Fragment): void {
    this.#tell({ type: 'persisted', fragment })
  }

  /** Nothing follows any more. */
  fail(reason: unknown): void {
    for (const follower of this.#followers) follower.fail(reason)
  }

  #keep(event: LiveEvent): void {
    this.#openBytes += costOf(event)
    if (this.#openBytes > MAX_WAITING_BYTES) this.#open = null
    else this.#open?.push(event)
    this.#tell(event)
  }

  #tell(event: LiveEvent): void {
    for (const follower of this.#followers) follower.push(event)
  }
}

/** One who follows. When more waits than it may, it is told so and has to begin anew. */
class LiveFollower implements AsyncIterableIterator<LiveEvent> {
  readonly #signal: AbortSignal
  readonly #onLeft: () => void
  #waiting: LiveEvent[] = []
  #waitingBytes = 0
  /** Whose beginning it was told. */
  #fragment: FragmentNumber | null = null
  #isOver = false
  #failure: { readonly reason: unknown } | null = null
  #more: Deferred<void> | null = null

  constructor(signal: AbortSignal, onLeft: () => void) {
    this.#signal = signal
    this.#onLeft = onLeft
    signal.addEventListener('abort', this.#abort, { once: true })
  }

  push(event: LiveEvent): void {
    if (this.#isOver) return
    if (event.type === 'begin') this.#fragment = event.fragmentNumber
    const isOfFragment = event.type === 'media' || event.type === 'end'
    if (isOfFragment && event.fragmentNumber !== this.#fragment) return
    this.#waiting.push(event)
    this.#waitingBytes += costOf(event)
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#waiting = [{ type: 'overrun' }]
      this.#leave()
    }
    this.#more?.resolve()
  }

  fail(reason: unknown): void {
    if (this.#isOver) return
    this.#failure = { reason }
    this.#waiting = []
    this.#leave()
    this.#more?.resolve()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<LiveEvent>> {
    if (this.#waiting.length === 0 && !this.#isOver) {
      this.#more = createDeferred()
      await this.#more.promise
      this.#more = null
    }
    const value = this.#waiting.shift()
    if (value === undefined) {
      if (this.#failure !== null) throw this.#failure.reason
      return { value: undefined, done: true }
    }
    this.#waitingBytes -= costOf(value)
    return { value, done: false }
  }

  async return(): Promise<IteratorResult<LiveEvent>> {
    this.#waiting = []
    this.#leave()
    this.#more?.resolve()
    return { value: undefined, done: true }
  }

  #leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#signal.removeEventListener('abort', this.#abort)
    this.#onLeft()
  }

  readonly #abort = (): void => this.fail(this.#signal.reason)
}

function costOf(event: LiveEvent): number {
  if (event.type === 'media') return EVENT_BYTES + event.bytes.length
  return EVENT_BYTES
}
