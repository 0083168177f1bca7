import type { Archive } from '../../src/archive/index.ts'
import { toFragmentNumber, type Fragment } from '../../src/domain/fragment.ts'
import type { StreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'

/** Just enough of an archive to be consumed: fragments without media, of one stream or several. */
export class MemoryArchive implements Pick<Archive, 'after' | 'newest' | 'waitAfter'> {
  #fragments: Fragment[] = []
  #counter = 0
  #waiters: (() => void)[] = []

  /** Adds a fragment that began to arrive then and took 1 s. */
  add(streamId: StreamId, serverTimestampMs: number): Fragment {
    const serverTimestamp = epochMs(serverTimestampMs)
    this.#counter += 1
    const sequence = this.#fragments.filter((other) => other.streamId === streamId).length
    const fragment: Fragment = {
      streamId,
      fragmentNumber: toFragmentNumber({ counter: this.#counter, serverTimestamp, random28: 7 }),
      producerTimestamp: serverTimestamp,
      serverTimestamp,
      durationMs: 1_000,
      arrivalSpanMs: 1_000,
      sizeBytes: 1,
      sampleCount: 1,
      sequence,
      discontinuitySequence: 0,
      discontinuity: false,
      startsWithKey: true,
      recovered: false,
      place: { chunkId: 'c', offset: 0 },
    }
    this.#fragments.push(fragment)
    for (const wake of this.#waiters.splice(0)) wake()
    return fragment
  }

  /** As the retention would; sequences go on. */
  expire(fragment: Fragment): void {
    this.#hidden.add(fragment)
  }
  readonly #hidden = new Set<Fragment>()

  async after(streamId: StreamId, fragmentNumber: string | null, limit: number) {
    return this.#of(streamId)
      .filter((fragment) => fragment.fragmentNumber > (fragmentNumber ?? ''))
      .slice(0, limit)
  }

  async newest(streamId: StreamId, count: number) {
    return this.#of(streamId).slice(-count)
  }

  async waitAfter(streamId: StreamId, fragmentNumber: string | null, signal: AbortSignal) {
    signal.throwIfAborted()
    while ((await this.after(streamId, fragmentNumber, 1)).length === 0) {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        this.#waiters.push(resolve)
      })
    }
  }

  #of(streamId: StreamId): Fragment[] {
    return this.#fragments.filter(
      (fragment) => fragment.streamId === streamId && !this.#hidden.has(fragment),
    )
  }
}
