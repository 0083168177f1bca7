import type { FragmentWriter } from '../archive/index.ts'
import { ServiceError, type ErrorKind } from '../domain/errors.ts'
import { epochMs, type EpochMs } from '../domain/time.ts'
import type { Sample, Track } from '../domain/track.ts'
import {
  clusterStart,
  MAX_RELATIVE_MS,
  simpleBlockHead,
  tagsElement,
} from '../media/matroska/writer.ts'
import type { Log } from '../observe/log.ts'
import type { PlacedSample } from './sample-times.ts'

/**
 * Writes planned fragments: placed samples in, Clusters of SimpleBlocks out, one fragment open at a
 * time. What the archive gives up is counted as dropped, and the next fragment is a discontinuity.
 */
export class FragmentOutput {
  readonly #deps: FragmentOutputDeps
  #open: OpenFragment | null = null
  #discontinuity = true
  /** Not yet named in a fragment's Tags. */
  #losses = 0
  readonly #ending = new Set<Promise<void>>()

  constructor(deps: FragmentOutputDeps) {
    this.#deps = deps
  }

  get open(): OpenFragment | null {
    return this.#open
  }

  /** What comes next does not continue what is stored. */
  interrupt(): void {
    this.finish()
    this.#discontinuity = true
  }

  /** Media was lost before the sample that was added last. */
  noteLoss(): void {
    this.#losses++
  }

  /**
   * Ends the open fragment, if there is one.
   *
   * @returns false when the archive could not begin another
   */
  begin(start: FragmentBeginning, first: TimedSample): boolean {
    this.finish()
    const { header, tracks, startsWithKey } = start
    const { pts, dts } = first.placed
    this.#open = {
      timecode: pts,
      startDts: dts,
      startsWithKey,
      describes: new Set(tracks.map(({ number }) => number)),
      samples: 0,
      producerEnd: pts,
    }
    try {
      this.#deps.writer.begin({
        ...{ header, tracks, startsWithKey, producerTimestamp: pts },
        serverTimestamp: first.sample.arrivedAt,
        discontinuity: this.#discontinuity,
      })
    } catch (error) {
      this.#lose(error)
      return false
    }
    this.#discontinuity = false
    return true
  }

  append(sample: Sample, placed: PlacedSample): void {
    const open = this.#open
    if (open === null) {
      this.#deps.drop('no-keyframe', 1) // the fragment was lost just before
      return
    }
    const relativeMs = placed.pts - open.timecode
    if (relativeMs > MAX_RELATIVE_MS || relativeMs < -MAX_RELATIVE_MS - 1) {
      this.#deps.drop('timestamp-out-of-range', 1)
      return
    }
    const head = simpleBlockHead({
      trackNumber: sample.trackNumber,
      relativeMs,
      isKey: sample.isKey,
      payloadLength: sample.data.length,
    })
    const parts =
      open.samples === 0 ? [clusterStart(open.timecode), head, sample.data] : [head, sample.data]
    open.samples++
    open.producerEnd = epochMs(Math.max(open.producerEnd, placed.pts + placed.durationMs))
    try {
      this.#deps.writer.append(parts, {
        samples: 1,
        producerEnd: open.producerEnd,
        arrivedAt: sample.arrivedAt,
      })
    } catch (error) {
      this.#lose(error)
    }
  }

  /** Completes the open fragment, if there is one. */
  finish(): void {
    if (this.#open === null) return
    this.#open = null
    const tags = this.#losses > 0 ? tagsElement([[LOSSES_TAG, String(this.#losses)]]) : null
    this.#losses = 0
    const ending: Promise<void> = this.#deps.writer
      .end(tags)
      .then(
        () => undefined,
        // The archive has counted and logged it. What follows does not continue what is stored.
        (error: unknown) => {
          this.#discontinuity = true
          this.#deps.log.debug({ err: error }, 'fragment not persisted')
        },
      )
      .finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  /** Resolves when all that was finished is persisted or given up. */
  async settled(): Promise<void> {
    await Promise.all(this.#ending)
  }

  /** The archive gave the open fragment up. */
  #lose(error: unknown): void {
    if (!(error instanceof ServiceError) || !LOSSES.has(error.kind)) throw error
    const lost = Math.max(1, this.#open?.samples ?? 0)
    this.#open = null
    this.#discontinuity = true
    const reason = error.code === 'ArchiveQueueFull' ? 'archive-queue-full' : 'archive-failed'
    this.#deps.drop(reason, lost)
  }
}

export type FragmentOutputDeps = {
  readonly writer: FragmentWriter
  readonly log: Log
  readonly drop: (reason: string, count: number) => void
}

export type FragmentBeginning = {
  readonly header: Uint8Array
  readonly tracks: readonly Track[]
  readonly startsWithKey: boolean
}

export type TimedSample = { readonly sample: Sample; readonly placed: PlacedSample }

export type OpenFragment = {
  /** Of its Cluster. */
  readonly timecode: EpochMs
  readonly startDts: EpochMs
  readonly startsWithKey: boolean
  /** Tracks whose present parameter sets are in its header. */
  readonly describes: Set<number>
  samples: number
  producerEnd: EpochMs
}

/** In how many places of the fragment media was lost on its way to us. */
const LOSSES_TAG = 'KINORA_LOSSES'

/** Of the archive: a full queue, a failed write, a fragment beyond its size. Others are bugs. */
const LOSSES = new Set<ErrorKind>(['unavailable', 'limit-exceeded'])
