import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { Track } from '../../domain/track.ts'
import { toSamples, type StoredSample } from '../../media/matroska/scanner.ts'
import { toWallTimes } from '../wall-times.ts'
import { planFragments, planGop, type Moment } from './plan-gop.ts'

/** A frame and what it takes to decode it. */
export type FoundFrame = {
  readonly track: Track
  /** Its GOP in decode order, at wall times. The same array for all frames of the GOP found in turn. */
  readonly gop: readonly StoredSample[]
  readonly frameMs: number
  /** The fragment that the GOP begins in. */
  readonly fragment: Fragment
}

/**
 * - `no-media`: nothing was shown
 * - `no-pictures`: there is sound, or data, alone
 * - `media-error`: there is media that cannot be read
 */
export type Missing = 'no-media' | 'no-pictures' | 'media-error'

export type FinderOptions = {
  readonly archive: Archive
  /** In order of the clock, reaching back as far as a frame may be shown on. */
  readonly fragments: readonly Fragment[]
  readonly by: Moment['by']
  readonly maxOverhangMs: number
  /** Where sound begins before the pictures, the first of these counts from so much earlier on. */
  readonly maxAheadMs: number
}

/** Fragments looked into for one frame, counted from the latest. */
const MAX_ATTEMPTS = 3

/** Finds frames by instants, which rise: what was read for one is kept for the next. */
export class FrameFinder {
  readonly #options: FinderOptions
  #read: Reading | null = null
  #lastGop: readonly StoredSample[] = []

  constructor(options: FinderOptions) {
    this.#options = options
  }

  /** The last frame that was presented at or before the instant. */
  async find(atMs: number): Promise<FoundFrame | Missing> {
    try {
      return await this.#findAt(atMs)
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      if (error.kind === 'not-found') return 'no-media' // deleted meanwhile
      if (error.kind === 'data-loss' || error.kind === 'malformed-media') return 'media-error'
      throw error
    }
  }

  async #findAt(atMs: number): Promise<FoundFrame | Missing> {
    const { by, maxOverhangMs, maxAheadMs } = this.#options
    let { fragments } = this.#options
    let ahead: FoundFrame | null = null
    let missing: Missing = 'no-media'
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const planned = planFragments(fragments, { by, atMs, maxOverhangMs })
      if (planned === null) break
      const [first] = planned.fragments
      const { track, samples } = await this.#readAll(planned.fragments)
      if (track === null) missing = 'no-pictures'
      else {
        const found = this.#planIn(samples, planned.producerMs)
        if (found !== null) return { track, fragment: first!, ...found }
        const key = samples.find(({ isKey }) => isKey)
        if (ahead === null && key !== undefined && key.ptsMs <= planned.producerMs + maxAheadMs) {
          ahead = { track, fragment: first!, ...this.#planIn(samples, key.ptsMs)! }
        }
      }
      // Its sound began before that instant and its pictures after it: look into the one before.
      fragments = fragments.slice(0, fragments.indexOf(first!))
    }
    return ahead ?? missing
  }

  #planIn(samples: readonly StoredSample[], atMs: number) {
    const planned = planGop(samples, atMs)
    if (planned === null) return null
    const isSame = planned.samples[0] === this.#lastGop[0]
    if (!isSame) this.#lastGop = planned.samples
    return { gop: this.#lastGop, frameMs: planned.frameMs }
  }

  async #readAll(fragments: readonly Fragment[]): Promise<Reading> {
    const key = fragments.map(({ fragmentNumber }) => fragmentNumber).join()
    if (this.#read?.key === key) return this.#read
    const samples: StoredSample[] = []
    let track: Track | null = null
    for (const fragment of fragments) {
      const { tracks, bytes } = await this.#options.archive.read(fragment)
      const video = tracks.find(({ kind }) => kind === 'video')
      if (video === undefined) continue
      track = video
      const all = toWallTimes(toSamples(bytes, tracks), fragment.producerTimestamp)
      for (const sample of all) if (sample.trackNumber === video.number) samples.push(sample)
    }
    this.#read = { key, track, samples }
    return this.#read
  }
}

type Reading = {
  readonly key: string
  readonly track: Track | null
  readonly samples: readonly StoredSample[]
}
