import { rescaleTicks } from '../domain/time.ts'
import type { Sample, Track } from '../domain/track.ts'

/**
 * Holds a session's first samples until its tracks are known, so that the first chunk's header
 * names all of them. It opens
 *
 * 1. when every expected kind of track has been described,
 * 2. or at the second key sample of video, or after a second of media, whichever comes first: audio
 *    that starts late, or never, blocks nothing,
 * 3. or when it holds 4 MiB.
 */
export class StartGate {
  #held: Sample[] = []
  #bytes = 0
  #videoKeys = 0
  #firstMs: number | null = null
  #lastMs = 0
  #expected: readonly Track['kind'][] = ['video', 'audio']

  expect(kinds: readonly Track['kind'][]): void {
    this.#expected = kinds
  }

  hold(sample: Sample, track: Track): void {
    this.#held.push(sample)
    this.#bytes += sample.data.length
    if (track.kind === 'video' && sample.isKey) this.#videoKeys++
    const dtsMs = rescaleTicks(sample.dts, track.timescale, 1000)
    this.#firstMs ??= dtsMs
    this.#lastMs = dtsMs
  }

  isOpen(tracks: Iterable<Track>): boolean {
    const kinds = new Set<Track['kind']>()
    for (const track of tracks) kinds.add(track.kind)
    if (kinds.size > 0 && this.#expected.every((kind) => kinds.has(kind))) return true
    const spanMs = Math.abs(this.#lastMs - (this.#firstMs ?? this.#lastMs))
    return this.#videoKeys >= 2 || spanMs >= MAX_WAIT_MS || this.#bytes >= MAX_HELD_BYTES
  }

  /** Everything held, in order of arrival. */
  release(): readonly Sample[] {
    const samples = this.#held
    this.#held = []
    return samples
  }
}

const MAX_WAIT_MS = 1_000
const MAX_HELD_BYTES = 4 * 1024 * 1024
