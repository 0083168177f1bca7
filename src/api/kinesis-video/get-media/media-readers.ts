import { ServiceError } from '../../../domain/errors.ts'
import type { StreamId } from '../../../domain/stream.ts'
import { BytePool } from '../../../platform/byte-pool.ts'

/** Kept for use again, of what fragments are read into. */
const SPARE_MEMORY_BYTES = 64 * 1024 * 1024

/** Who reads by GetMedia now. */
export class MediaReaders {
  readonly #options: MediaReadersOptions
  readonly #readers = new Map<StreamId, number>()
  /** Shared by all. */
  readonly memory = new BytePool(SPARE_MEMORY_BYTES)

  constructor(options: MediaReadersOptions) {
    this.#options = options
  }

  get idleMs(): number {
    return this.#options.idleMs
  }

  countOf(streamId: StreamId): number {
    return this.#readers.get(streamId) ?? 0
  }

  /**
   * @returns to be called when it has left; once counts
   * @throws ServiceError `limit-exceeded`/`ConnectionLimitExceededException`
   */
  enter(streamId: StreamId): () => void {
    const { maxReadersPerStream } = this.#options
    const count = this.countOf(streamId)
    if (count >= maxReadersPerStream) {
      throw new ServiceError(
        'limit-exceeded',
        'ConnectionLimitExceededException',
        `The stream has ${maxReadersPerStream} readers, and may not have more.`,
      )
    }
    this.#readers.set(streamId, count + 1)
    let hasLeft = false
    return () => {
      if (hasLeft) return
      hasLeft = true
      const left = this.countOf(streamId) - 1
      if (left === 0) this.#readers.delete(streamId)
      else this.#readers.set(streamId, left)
    }
  }
}

export type MediaReadersOptions = {
  readonly maxReadersPerStream: number
  /** So long without media ends an answer. */
  readonly idleMs: number
}
