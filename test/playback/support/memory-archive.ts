import type { Archive, FragmentStart, StoredFragment } from '../../../src/archive/index.ts'
import { ServiceError } from '../../../src/domain/errors.ts'
import { toFragmentNumber, type Fragment } from '../../../src/domain/fragment.ts'
import type { StreamId } from '../../../src/domain/stream.ts'
import { epochMs, type EpochMs } from '../../../src/domain/time.ts'

/**
 * An archive in memory for what the real one cannot be made to hold: rows of chosen times. Only
 * what playback calls; each header is a chunk.
 */
export class MemoryArchive implements Archive {
  readonly #fragments: Fragment[] = []
  readonly #stored = new Map<string, StoredFragment>()
  reads = 0
  /** Fragments whose bytes are lost. */
  readonly unreadable = new Set<string>()

  get size(): number {
    return this.#fragments.length
  }

  /** Adds a fragment behind the others; what is not given continues the one before. */
  add(
    change: Partial<Fragment> & { readonly streamId: StreamId },
    stored?: StoredFragment,
  ): Fragment {
    const last = this.#fragments.at(-1)
    const sequence = (last?.sequence ?? -1) + 1
    const producerTimestamp = epochMs(
      last === undefined ? 0 : last.producerTimestamp + last.durationMs,
    )
    const discontinuity = change.discontinuity ?? false
    const fragment: Fragment = {
      fragmentNumber: toFragmentNumber({
        counter: sequence,
        serverTimestamp: epochMs(0),
        random28: 0,
      }),
      producerTimestamp,
      serverTimestamp: change.producerTimestamp ?? producerTimestamp,
      durationMs: 2000,
      arrivalSpanMs: change.durationMs ?? 2000,
      sizeBytes: stored?.bytes.length ?? 1000,
      sampleCount: 50,
      sequence,
      discontinuitySequence: (last?.discontinuitySequence ?? 0) + (discontinuity ? 1 : 0),
      discontinuity,
      startsWithKey: true,
      recovered: false,
      place: { chunkId: 'chunk', offset: 0 },
      ...change,
    }
    this.#fragments.push(fragment)
    if (stored !== undefined) this.#stored.set(fragment.fragmentNumber, stored)
    return fragment
  }

  async list(
    streamId: StreamId,
    range: { by: 'producer' | 'server'; from: EpochMs; to: EpochMs; limit: number },
  ): Promise<readonly Fragment[]> {
    const by = range.by === 'producer' ? 'producerTimestamp' : 'serverTimestamp'
    const lengthOf = (f: Fragment) => (range.by === 'producer' ? f.durationMs : f.arrivalSpanMs)
    const isReplaced = (f: Fragment) =>
      range.by === 'producer' &&
      this.#fragments.some(
        (g) =>
          g.streamId === f.streamId &&
          g.producerTimestamp === f.producerTimestamp &&
          g.fragmentNumber > f.fragmentNumber,
      )
    return this.#fragments
      .filter((f) => f.streamId === streamId && f[by] < range.to && !isReplaced(f))
      .filter((f) => f[by] + lengthOf(f) > range.from)
      .sort((a, b) => a[by] - b[by])
      .slice(0, range.limit)
  }

  async after(streamId: StreamId, fragmentNumber: string | null, limit: number) {
    return this.#fragments
      .filter((f) => f.streamId === streamId && f.fragmentNumber > (fragmentNumber ?? ''))
      .slice(0, limit)
  }

  async newest(streamId: StreamId, count: number) {
    return this.#fragments.filter((f) => f.streamId === streamId).slice(-count)
  }

  async find(streamId: StreamId, fragmentNumber: string) {
    const found = this.#fragments.find((f) => f.fragmentNumber === fragmentNumber)
    return found?.streamId === streamId ? found : null
  }

  async read(fragment: Fragment): Promise<StoredFragment> {
    this.reads++
    if (this.unreadable.has(fragment.fragmentNumber)) {
      throw new ServiceError('data-loss', 'FragmentUnreadable', 'The chunk file is damaged.')
    }
    return this.#stored.get(fragment.fragmentNumber)!
  }

  async openWriter(streamId: StreamId) {
    let start: FragmentStart | null = null
    let parts: Uint8Array[] = []
    let end: { samples: number; producerEnd: EpochMs } = { samples: 0, producerEnd: epochMs(0) }
    return {
      queuedBytes: 0,
      begin: (next: FragmentStart) => {
        start = next
        parts = []
        return this.#nextNumber()
      },
      append: (more: readonly Uint8Array[], info: { samples: number; producerEnd: EpochMs }) => {
        parts.push(...more)
        end = info
      },
      end: async () => {
        const { header, tracks, producerTimestamp, serverTimestamp, discontinuity } = start!
        const bytes = new Uint8Array(Buffer.concat(parts))
        return this.add(
          {
            streamId,
            producerTimestamp,
            serverTimestamp,
            discontinuity,
            durationMs: end.producerEnd - producerTimestamp,
            sampleCount: end.samples,
            place: { chunkId: Buffer.from(header).toString('base64'), offset: 0 },
          },
          { header, tracks, bytes },
        )
      },
      abandon: () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  #nextNumber() {
    return toFragmentNumber({
      counter: this.#fragments.length,
      serverTimestamp: epochMs(0),
      random28: 0,
    })
  }

  async waitAfter() {}
  async follow(): Promise<never> {
    throw new Error('not here')
  }
  async usage() {
    return { chunks: 0, bytes: 0, oldest: null, newest: null }
  }
  async space() {
    return { disk: null, streams: [] }
  }
  async deleteRange(): Promise<never> {
    throw new Error('not here')
  }
  async hold(): Promise<never> {
    throw new Error('not here')
  }
  holds() {
    return []
  }
  async releaseHold() {}
  async coverage() {
    return { spans: [], gaps: [] }
  }
  async remove() {}
  async [Symbol.asyncDispose]() {}
}
