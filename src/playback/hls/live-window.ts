import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import type { Clock } from '../../platform/clock.ts'
import type { ChunkFormat, ChunkFormats } from './chunk-formats.ts'

/** Fragments that can be played, and the formats of their chunks. */
export type Playable = {
  readonly fragments: readonly Fragment[]
  readonly formats: ReadonlyMap<string, ChunkFormat>
}

/** How far back a live playlist looks, so that its target duration and bandwidth stay steady. */
const LIVE_HISTORY = 32
/** KVS: GetHLSStreamingSessionURL, LIVE: without fragments in this time there is nothing to play. */
const LIVE_MAX_AGE_MS = 30_000

/** The newest fragments of a stream that is live. */
export class LiveWindow {
  readonly #deps: {
    readonly archive: Archive
    readonly clock: Clock
    readonly formats: ChunkFormats
  }

  constructor(deps: {
    readonly archive: Archive
    readonly clock: Clock
    readonly formats: ChunkFormats
  }) {
    this.#deps = deps
  }

  /**
   * Behind the last chunk that cannot be read: a live playlist's numbers have no holes.
   *
   * @throws ServiceError `not-found`/`NoMedia` when nothing arrived in the last 30 s, and what
   *   `ChunkFormats.of` throws
   */
  async newest(streamId: StreamId): Promise<Playable> {
    const { archive, clock, formats: chunkFormats } = this.#deps
    const fragments = await archive.newest(streamId, LIVE_HISTORY)
    const last = fragments.at(-1)
    const arrivedAt = last === undefined ? -Infinity : last.serverTimestamp + last.arrivalSpanMs
    if (arrivedAt < clock.now() - LIVE_MAX_AGE_MS) throw noMedia('in the last 30 seconds')
    const formats = await chunkFormats.of(fragments)
    const unreadable = fragments.findLastIndex(({ place }) => !formats.has(place.chunkId))
    const readable = fragments.slice(unreadable + 1)
    if (readable.length === 0) throw noMedia('in the last 30 seconds')
    return { fragments: readable, formats }
  }
}

export function noMedia(where: string): ServiceError {
  return new ServiceError('not-found', 'NoMedia', `The stream has no media ${where}.`)
}
