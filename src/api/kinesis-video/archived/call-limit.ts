import { ServiceError } from '../../../domain/errors.ts'
import type { StreamId } from '../../../domain/stream.ts'

/**
 * How many calls of one operation may be answered at a time, per stream. One more is refused: the
 * SDKs try again by themselves.
 */
export class CallLimit {
  readonly #max: number
  readonly #running = new Map<string, number>()

  /** @param max per stream and operation */
  constructor(max: number) {
    this.#max = max
  }

  /**
   * @returns to be called once when the answer is over
   * @throws ServiceError `limit-exceeded`/`ClientLimitExceededException`
   */
  enter(operation: string, streamId: StreamId): () => void {
    const key = `${operation} ${streamId}`
    const running = this.#running.get(key) ?? 0
    if (running >= this.#max) {
      throw new ServiceError(
        'limit-exceeded',
        'ClientLimitExceededException',
        `The stream answers ${this.#max} calls of ${operation} at a time.`,
      )
    }
    this.#running.set(key, running + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      const now = this.#running.get(key)! - 1
      if (now === 0) this.#running.delete(key)
      else this.#running.set(key, now)
    }
  }
}
