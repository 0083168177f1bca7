import type { Archive, LiveEvent } from '../../archive/index.ts'
import { counterOf, type Fragment, type FragmentNumber } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { toPlayableTracks } from '../../media/fmp4/playable-track.ts'
import { toSamples, type StoredSample } from '../../media/matroska/scanner.ts'
import type { Clock } from '../../platform/clock.ts'
import { createDeferred, type Deferred } from '../../platform/deferred.ts'
import { readSound, transcodedOf, type FragmentSource } from '../audio/index.ts'
import type { ChunkFormats } from '../hls/chunk-formats.ts'
import { GrowingFragment } from './growing-fragment.ts'
import { planPartTiming, type PartTiming } from './part-cutter.ts'

export type LiveEdgeDeps = {
  readonly archive: Archive
  readonly source: FragmentSource
  readonly formats: ChunkFormats
  readonly clock: Clock
}

/** Fragments whose parts are kept: the one that grows, and those that players may still ask parts of. */
const KEPT_FRAGMENTS = 3
/** Of parts, per stream; beyond it those of the oldest fragment go. */
const MAX_PART_BYTES = 32 * 1024 * 1024

/**
 * The parts of one stream's newest fragments, as long as somebody watches. What is persisted is told by
 * the archive; this holds what is not there yet, and for a moment what just came there.
 */
export class LiveEdge {
  readonly timing: PartTiming
  readonly #deps: LiveEdgeDeps
  readonly #streamId: StreamId
  readonly #stop = new AbortController()
  /** Oldest first. */
  readonly #fragments: GrowingFragment[] = []
  #growing: GrowingFragment | null = null
  #revision = 0
  readonly #waiting = new Set<Deferred<void>>()
  readonly ended: Promise<void>

  private constructor(deps: LiveEdgeDeps, streamId: StreamId, timing: PartTiming) {
    this.#deps = deps
    this.#streamId = streamId
    this.timing = timing
    this.ended = this.#follow()
  }

  /** Begins to follow; parts begin with the next fragment. */
  static async open(deps: LiveEdgeDeps, streamId: StreamId): Promise<LiveEdge> {
    return new LiveEdge(deps, streamId, await planTiming(deps, streamId))
  }

  /** Those with parts, oldest first. */
  get fragments(): readonly GrowingFragment[] {
    return this.#fragments
  }

  /** How many changes there were. */
  get revision(): number {
    return this.#revision
  }

  /** Resolves with a change after `revision`; rejects when nothing is followed any more. */
  async changed(revision: number, signal: AbortSignal): Promise<void> {
    this.#stop.signal.throwIfAborted()
    signal.throwIfAborted()
    if (this.#revision !== revision) return
    const change = createDeferred<void>()
    const onAbort = () => change.reject(signal.reason)
    this.#waiting.add(change)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await change.promise
    } finally {
      this.#waiting.delete(change)
      signal.removeEventListener('abort', onAbort)
    }
  }

  close(reason: unknown): void {
    this.#stop.abort(reason)
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    try {
      while (!signal.aborted) {
        this.#growing = null
        for await (const event of await this.#deps.archive.follow(this.#streamId, signal)) {
          if (await this.#take(event)) this.#tellChange()
        }
      }
    } catch (error) {
      this.#stop.abort(error) // the stream is gone, or this is closed
    } finally {
      for (const { reject } of this.#waiting) reject(signal.reason)
      this.#fragments.length = 0
    }
  }

  #tellChange(): void {
    this.#revision++
    for (const { resolve } of this.#waiting) resolve()
  }

  /** Whether something has changed for those who watch. */
  async #take(event: LiveEvent): Promise<boolean> {
    switch (event.type) {
      case 'begin':
        await this.#begin(event)
        return true
      case 'media':
        return this.#append(event)
      case 'end': {
        const ended = this.#growing
        this.#growing = null
        if (ended?.fragmentNumber !== event.fragmentNumber) return false
        await this.#attempt(ended, () => ended.end())
        return true
      }
      case 'abandoned':
        this.#forget(
          this.#fragments.findIndex((one) => one.fragmentNumber === event.fragmentNumber),
        )
        return true
      case 'persisted':
        this.#check(event.fragment)
        return true
      case 'overrun':
        return false // the iteration ends, and the next one begins with another fragment
    }
  }

  async #begin({ fragmentNumber, start, previous }: LiveEvent & { type: 'begin' }): Promise<void> {
    const { archive, source } = this.#deps
    const last = this.#fragments.at(-1)
    const before = last !== undefined && last.fragmentNumber === previous ? last : null
    const [newest] = await archive.newest(this.#streamId, 1)
    const sequence = before !== null ? before.sequence + 1 : sequenceAfter(newest, fragmentNumber)
    this.#growing = null
    if (sequence === null || toPlayableTracks(source.toPlayed(start.tracks)).length === 0) return
    const leading = start.discontinuity ? [] : await this.#soundBefore(start.tracks, before, newest)
    const options = { fragmentNumber, start, sequence, timing: this.timing, source, leading }
    this.#growing = new GrowingFragment(options)
    this.#fragments.push(this.#growing)
    if (this.#fragments.length > KEPT_FRAGMENTS) this.#fragments.shift()
  }

  /** What its sound, if that is transcoded, goes on from. */
  async #soundBefore(
    tracks: Parameters<typeof transcodedOf>[0],
    before: GrowingFragment | null,
    newest: Fragment | undefined,
  ): Promise<readonly (readonly StoredSample[])[]> {
    const track = transcodedOf(tracks)
    if (track === null) return []
    if (before !== null) return [before.sounds]
    if (newest === undefined) return []
    const samples = await readSound(this.#deps.archive, newest, track)
    return samples === null ? [] : [samples]
  }

  async #append(event: LiveEvent & { type: 'media' }): Promise<boolean> {
    const growing = this.#growing
    if (growing?.fragmentNumber !== event.fragmentNumber) return false
    const before = growing.parts.length
    await this.#attempt(growing, () => growing.append(event.bytes, event.producerEnd))
    this.#limitMemory()
    return growing.parts.length > before
  }

  /** What cannot be cut is played whole, from the archive. */
  async #attempt(fragment: GrowingFragment, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch {
      this.#forget(this.#fragments.indexOf(fragment))
    }
  }

  #forget(index: number): void {
    if (index < 0) return
    const [gone] = this.#fragments.splice(index, 1)
    if (gone === this.#growing) this.#growing = null
  }

  /** A fragment that was given up leaves its number to the next: what was said of that is wrong then. */
  #check(persisted: Fragment): void {
    const wrong = this.#fragments.filter(
      ({ fragmentNumber, sequence }) =>
        fragmentNumber >= persisted.fragmentNumber &&
        sequence !== sequenceAfter(persisted, fragmentNumber),
    )
    for (const fragment of wrong) this.#forget(this.#fragments.indexOf(fragment))
  }

  #limitMemory(): void {
    let bytes = this.#fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    while (bytes > MAX_PART_BYTES && this.#fragments.length > 0) {
      bytes -= this.#fragments[0]!.sizeBytes
      this.#forget(0)
    }
  }
}

/** If all between them are persisted; `null` when there is none to count from. */
function sequenceAfter(
  persisted: Fragment | undefined,
  fragmentNumber: FragmentNumber,
): number | null {
  if (persisted === undefined) return null
  return persisted.sequence + counterOf({ fragmentNumber }) - counterOf(persisted)
}

/** By the newest fragment of the archive: that is what the stream is like. */
async function planTiming(deps: LiveEdgeDeps, streamId: StreamId): Promise<PartTiming> {
  const { archive, source, formats } = deps
  const fragments = await archive.newest(streamId, 1)
  const [newest] = fragments
  if (newest === undefined) return planPartTiming([], null)
  const format = (await formats.of(fragments)).get(newest.place.chunkId)
  const stored = await archive.read(newest)
  const tracks = toPlayableTracks(source.toPlayed(stored.tracks))
  const kinds = new Map(tracks.map(({ number, kind }) => [number, kind]))
  const samples = toSamples(stored.bytes, stored.tracks).flatMap(({ trackNumber, ptsMs }) => {
    const kind = kinds.get(trackNumber)
    return kind === 'video' || kind === 'audio' ? [{ kind, ptsMs }] : []
  })
  const frameRate = format?.frameRate ?? null
  return planPartTiming(samples, frameRate === null ? null : 1000 / frameRate)
}
