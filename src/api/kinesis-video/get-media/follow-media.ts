import type { Archive, LiveEvent } from '../../../archive/index.ts'
import { ServiceError } from '../../../domain/errors.ts'
import { predecessorOf, type Fragment, type FragmentNumber } from '../../../domain/fragment.ts'
import type { StreamId } from '../../../domain/stream.ts'
import type { EpochMs } from '../../../domain/time.ts'
import type { BytePool } from '../../../platform/byte-pool.ts'
import type { Clock } from '../../../platform/clock.ts'
import { WaitLimit } from '../wait-limit.ts'
import { errorDocument, toDocumentHeader, trailingTags } from './fragment-document.ts'
import { orderOf } from './start-selector.ts'

export type MediaToFollow = {
  readonly archive: Pick<Archive, 'after' | 'read' | 'follow' | 'waitAfter'>
  readonly streamId: StreamId
  /** The last fragment that the reader has; `null`: none. */
  readonly after: FragmentNumber | null
  /** Ends it. */
  readonly signal: AbortSignal
  /** So long without media ends it too. */
  readonly idleMs: number
  readonly clock: Clock
  /** For what is read; its taker gives it back. */
  readonly memory: BytePool
  /** Told of every fragment that was delivered whole. */
  readonly onFragment: (delivered: DeliveredFragment) => void
  /** Told of a fragment that cannot be read, and of whatever else ends it. */
  readonly onFailure: (error: unknown) => void
}

export type DeliveredFragment = {
  readonly bytes: number
  readonly samples: number
  readonly millisBehindNow: number
}

export type FollowEnd = 'idle' | 'left' | 'removed' | 'failed'

/**
 * A stream's fragments from a place on, without a hole or a duplicate: what is persisted at the pace of
 * the taker, then what is being written while it grows. A taker that falls behind goes on in the archive,
 * so that nothing waits for it in memory but what the archive's feed holds.
 *
 * A live fragment that is given up breaks off without its trailing tags.
 */
export class MediaFollower {
  readonly #media: MediaToFollow
  readonly #silence: WaitLimit
  /** The last one that was begun. */
  #last: FragmentNumber | null
  #live: LiveFragment | null = null
  /** The feed left this reader behind in the middle of it: it goes on where it was. */
  #broken: LiveFragment | null = null
  #hasDelivered = false

  constructor(media: MediaToFollow) {
    this.#media = media
    this.#last = media.after
    const { clock, signal, idleMs } = media
    this.#silence = new WaitLimit({ clock, signal, limitMs: idleMs })
  }

  /** Matroska, in pieces. Returns why it ended; a failure is told in the media. */
  async *follow(): AsyncGenerator<Uint8Array, FollowEnd, undefined> {
    const { archive, streamId, signal, onFailure } = this.#media
    const { over } = this.#silence
    try {
      for (;;) {
        yield* this.#persisted() // long before it follows: nothing waits meanwhile
        const events = await archive.follow(streamId, over)
        try {
          yield* this.#persisted()
          for (;;) {
            const next = await this.#silence.during(events.next())
            if (next.done === true) break
            yield* this.#take(next.value)
          }
        } finally {
          await events.return?.()
        }
        this.#breakOff()
      }
    } catch (error) {
      if (over.aborted) return signal.aborted ? 'left' : 'idle'
      if (error instanceof ServiceError && error.code === 'StreamRemoved') return 'removed'
      onFailure(error)
      yield errorDocument(this.#last, 'INTERNAL_ERROR')
      return 'failed'
    } finally {
      this.#silence[Symbol.dispose]()
    }
  }

  /** Everything after the last one that is in the archive by now. */
  async *#persisted(): AsyncGenerator<Uint8Array, void, undefined> {
    const { archive, streamId } = this.#media
    for (;;) {
      const page = await archive.after(streamId, this.#last, READ_AHEAD)
      if (page.length === 0) return
      for (const fragment of page) {
        this.#silence.over.throwIfAborted()
        yield* this.#stored(fragment)
      }
    }
  }

  async *#stored(fragment: Fragment): AsyncGenerator<Uint8Array, void, undefined> {
    const { archive, clock, memory, onFragment, onFailure } = this.#media
    const { fragmentNumber, serverTimestamp, arrivalSpanMs, sampleCount } = fragment
    const sent = this.#sentOf(fragmentNumber)
    this.#live = null
    this.#last = fragmentNumber
    let stored
    try {
      stored = await archive.read(fragment, memory)
    } catch (error) {
      if (error instanceof ServiceError && error.kind === 'not-found') return // removed meanwhile
      if (this.#hasDelivered) throw error
      // Who begins again behind the last whole one would not get past it otherwise.
      onFailure(error)
      return
    }
    const millisBehindNow = clock.now() - (serverTimestamp + arrivalSpanMs)
    const bytes = stored.bytes.length
    if (sent === 0) yield toDocumentHeader(stored.header)
    yield stored.bytes.subarray(sent)
    yield trailingTags({ fragmentNumber, millisBehindNow })
    this.#hasDelivered = true
    onFragment({ bytes, samples: sampleCount, millisBehindNow })
  }

  async *#take(event: LiveEvent): AsyncGenerator<Uint8Array, void, undefined> {
    switch (event.type) {
      case 'begin':
        yield* this.#begin(event)
        break
      case 'media':
        if (this.#live?.fragmentNumber !== event.fragmentNumber) break
        this.#live.samples += event.samples
        this.#live.lastArrival = event.arrivedAt
        yield* this.#pass(this.#live, event.bytes)
        break
      case 'end':
        yield* this.#end(event)
        break
      case 'abandoned':
        if (this.#live?.fragmentNumber === event.fragmentNumber) this.#live = null
        break
      case 'persisted': // one that was under way when this began to follow, unless it is delivered
        if (orderOf(event.fragment.fragmentNumber) > orderOf(this.#last)) yield* this.#persisted()
        break
      case 'overrun':
        break // the iteration ends
    }
  }

  async *#begin(event: LiveEvent & { readonly type: 'begin' }): AsyncGenerator<Uint8Array> {
    const { archive, streamId } = this.#media
    const { fragmentNumber, start, tags, previous } = event
    // What ended just before is on its way to the archive, or lost: then the one after it comes.
    while (orderOf(previous) > orderOf(this.#last)) {
      const before = this.#last
      await this.#silence.during(archive.waitAfter(streamId, before, this.#silence.over))
      yield* this.#persisted()
      if (this.#last === before) break // hidden by now
    }
    if (orderOf(fragmentNumber) <= orderOf(this.#last)) return
    const sent = this.#sentOf(fragmentNumber)
    this.#last = fragmentNumber
    const { serverTimestamp } = start
    this.#live = { fragmentNumber, sent, bytes: 0, samples: 0, lastArrival: serverTimestamp }
    if (sent === 0) yield toDocumentHeader(start.header)
    yield* this.#pass(this.#live, tags)
  }

  /** Leaves out what was sent before. */
  *#pass(live: LiveFragment, bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    const unsent = bytes.subarray(Math.max(0, live.sent - live.bytes))
    live.bytes += bytes.length
    if (unsent.length > 0) yield unsent
  }

  /** How much of a fragment was sent before the feed went on without this reader. */
  #sentOf(fragmentNumber: FragmentNumber): number {
    const broken = this.#broken
    this.#broken = null
    return broken?.fragmentNumber === fragmentNumber ? Math.max(broken.bytes, broken.sent) : 0
  }

  #breakOff(): void {
    const live = this.#live
    this.#live = null
    if (live === null) return
    this.#broken = live
    this.#last = predecessorOf(live.fragmentNumber)
  }

  async *#end({
    fragmentNumber,
    producerTags,
  }: LiveEvent & { readonly type: 'end' }): AsyncGenerator<Uint8Array> {
    const live = this.#live
    if (live?.fragmentNumber !== fragmentNumber) return
    this.#live = null
    const { samples, lastArrival } = live
    const millisBehindNow = this.#media.clock.now() - lastArrival
    if (producerTags !== null) yield* this.#pass(live, producerTags)
    yield trailingTags({ fragmentNumber, millisBehindNow })
    this.#hasDelivered = true
    this.#media.onFragment({ bytes: live.bytes, samples, millisBehindNow })
  }
}

type LiveFragment = {
  readonly fragmentNumber: FragmentNumber
  /** Of its bytes, what the reader has from before. */
  readonly sent: number
  /** What the feed told of it. */
  bytes: number
  samples: number
  lastArrival: EpochMs
}

const READ_AHEAD = 64
