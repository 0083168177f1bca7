import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import { predecessorOf, type Fragment, type FragmentNumber } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { BytePool } from '../../platform/byte-pool.ts'
import { storedFragments, type FragmentSource, type PlayableFragment } from '../audio/index.ts'

export type MediaSegment = {
  readonly bytes: Uint8Array
  /** To be called when nobody reads the bytes any more: their memory is used again. Need not be. */
  readonly release: () => void
}

/** How a stored fragment becomes what is sent; `next` is `null` when it is not known yet. */
export type SegmentFormat = (
  fragment: Fragment,
  next: Fragment | null,
  stored: PlayableFragment,
) => readonly Uint8Array[]

/** For a few viewers at once; a segment is half a megabyte as a rule. */
const SPARE_MEMORY_BYTES = 32 * 1024 * 1024

/** Makes the media segments of stored fragments, in memory that is used again. */
export class SegmentReader {
  readonly #archive: Archive
  readonly #source: FragmentSource
  readonly #memory = new BytePool(SPARE_MEMORY_BYTES)

  /** @param source how fragments are read; by default as they are stored */
  constructor(archive: Archive, source: FragmentSource = storedFragments(archive)) {
    this.#archive = archive
    this.#source = source
  }

  /** @throws ServiceError `not-found`/`FragmentNotFound`, and what `FragmentSource.read` and `format` throw */
  async read(
    streamId: StreamId,
    fragmentNumber: FragmentNumber,
    format: SegmentFormat,
  ): Promise<MediaSegment> {
    const { fragment, next } = await this.#findWithNext(streamId, fragmentNumber)
    const memory = this.#memory
    const stored = await this.#source.read(fragment, memory)
    try {
      const bytes = memory.gather(format(fragment, next, stored))
      return { bytes, release: () => memory.giveBack(bytes) }
    } finally {
      memory.giveBack(stored.bytes)
    }
  }

  /** In one look-up, unless the fragment is not there; then `find` knows why. */
  async #findWithNext(streamId: StreamId, fragmentNumber: FragmentNumber) {
    const before = predecessorOf(fragmentNumber)
    const [first, next] = before === null ? [] : await this.#archive.after(streamId, before, 2)
    if (first?.fragmentNumber === fragmentNumber) return { fragment: first, next: next ?? null }
    const fragment = await this.#archive.find(streamId, fragmentNumber)
    if (fragment !== null) return { fragment, next: null }
    throw new ServiceError('not-found', 'FragmentNotFound', 'No such fragment.')
  }
}
