import { rescaleTicks } from '../domain/time.ts'
import type { Track } from '../domain/track.ts'
import type { ArrivedSample } from './sample-times.ts'

/**
 * Holds a session's first samples until its tracks and its clock are known, so that the first
 * chunk's header names all tracks and what was buffered before lies in the past. It opens when
 *
 * 1. every expected track has been described; or the second key sample of video has come, or a
 *    second of media: audio that starts late, or never, blocks nothing;
 * 2. and for a quarter of a second no sample was less delayed than those before: a burst of media
 *    that was buffered is over.
 *
 * In any case it opens after two seconds, and when it holds 8 MiB.
 */
export class StartGate {
  #held: ArrivedSample[] = []
  #bytes = 0
  #videoKeys = 0
  #firstMs: number | null = null
  #lastMs = 0
  #expected: readonly Track['kind'][] = ['video', 'audio']
  #firstAt: number | null = null
  #lowestAt = 0
  readonly #lowestMs = new Map<number, number>()

  /** One entry per track. */
  expect(kinds: readonly Track['kind'][]): void {
    this.#expected = kinds
  }

  hold(arrived: ArrivedSample): void {
    const { sample, track, atMs } = arrived
    this.#held.push(arrived)
    this.#bytes += sample.data.length
    if (track.kind === 'video' && sample.isKey) this.#videoKeys++
    const dtsMs = rescaleTicks(sample.dts, track.timescale, 1000)
    this.#firstMs ??= dtsMs
    this.#lastMs = dtsMs
    this.#firstAt ??= atMs
    const delayMs = atMs - dtsMs
    const lowestMs = this.#lowestMs.get(track.number)
    if (lowestMs !== undefined && delayMs > lowestMs - SAME_DELAY_MS) return
    this.#lowestMs.set(track.number, delayMs)
    this.#lowestAt = atMs
  }

  isOpen(tracks: Iterable<Track>, atMs: number): boolean {
    if (this.#firstAt === null) return false
    if (atMs - this.#firstAt >= MAX_WAIT_MS || this.#bytes >= MAX_HELD_BYTES) return true
    return atMs - this.#lowestAt >= SETTLE_MS && this.#areTracksKnown(tracks)
  }

  /** Everything held, in order of arrival. */
  release(): readonly ArrivedSample[] {
    const samples = this.#held
    this.#held = []
    return samples
  }

  #areTracksKnown(tracks: Iterable<Track>): boolean {
    const missing = [...this.#expected]
    for (const { kind } of tracks) {
      const at = missing.indexOf(kind)
      if (at !== -1) missing.splice(at, 1)
    }
    const spanMs = Math.abs(this.#lastMs - (this.#firstMs ?? this.#lastMs))
    return missing.length === 0 || this.#videoKeys >= 2 || spanMs >= MAX_TRACK_WAIT_MS
  }
}

/** Also how often to ask whether it is open when nothing more comes. */
export const SETTLE_MS = 250
const MAX_WAIT_MS = 2_000
const MAX_TRACK_WAIT_MS = 1_000
const MAX_HELD_BYTES = 8 * 1024 * 1024
/** Delays are not measured more exactly than sockets are read. */
const SAME_DELAY_MS = 20
