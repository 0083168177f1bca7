import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'
import { WorkerThread } from '../../platform/worker-thread.ts'
import { workerUrl } from '../../platform/worker-url.ts'
import { ByteCache } from '../byte-cache.ts'
import { fragmentPages, type SelectorClock } from '../fragment-pages.ts'
import { FrameFinder, type FoundFrame, type Missing } from './frame-finder.ts'
import type { EncodedImage, ImageAnswer, ImageCall, ImageStyle } from './image-call.ts'
import { checkImageAt, toStyle, type ImageOptions } from './image-options.ts'
import { upToFrames } from './plan-gop.ts'

/** Still images out of the archive. */
export interface Images extends AsyncDisposable {
  /**
   * The frame that was shown at an instant: the last one presented at or before it, at most a
   * minute older.
   *
   * @throws ServiceError `not-found`/`NoMedia` when there is none,
   *   `invalid-argument`/`InvalidImageOptions`, `unavailable`/`WorkerBusy` when too many wait,
   *   `malformed-media` when the media cannot be decoded
   */
  imageAt(
    streamId: StreamId,
    producerTimestampMs: number,
    options: ImageOptions,
  ): Promise<StillImage>
  /**
   * The frames that were shown at several instants, each GOP decoded once. A frame is shown until the
   * next, also where nothing is known of a next one for a second more. The first picture counts for
   * the moment by which sound is ahead of it.
   *
   * @returns an answer for each instant in order; fewer when `maxBytes` are full
   * @throws ServiceError `unavailable`/`WorkerBusy`; the signal's reason
   */
  imagesAt(
    streamId: StreamId,
    question: ImagesQuestion,
    signal: AbortSignal,
  ): Promise<readonly ImageResult[]>
}

export type ImagesQuestion = {
  readonly by: SelectorClock
  /** Epoch milliseconds, rising. */
  readonly instants: readonly number[]
  readonly style: ImageStyle
  readonly maxBytes: number
}

export type ImageResult =
  | { readonly image: StillImage; readonly missing: null }
  | { readonly image: null; readonly missing: Missing }

export type StillImage = {
  readonly bytes: Uint8Array
  /** When the frame was presented, by the producer's clock. */
  readonly frameTimestamp: EpochMs
}

export type ImagesOptions = { readonly archive: Archive; readonly workers: number }

/** How far before an instant fragments are looked for. */
const MAX_AGE_MS = 60_000
const MAX_OVERHANG_MS = 1000
const MAX_AHEAD_MS = 500
const MAX_QUEUED = 32
const CACHE_BYTES = 16 * 1024 * 1024

/** Decodes and encodes in worker threads; keeps the newest images in a small cache. */
export function createImages(options: ImagesOptions): Images {
  return new ArchiveImages(options)
}

class ArchiveImages implements Images {
  readonly #archive: Archive
  readonly #threads: readonly WorkerThread<ImageCall, ImageAnswer>[]
  readonly #cache = new ByteCache<EncodedImage>(CACHE_BYTES, ({ bytes }) => bytes.byteLength)
  /** Equal questions share one answer. */
  readonly #inFlight = new Map<string, Promise<EncodedImage>>()
  #turn = 0

  constructor({ archive, workers }: ImagesOptions) {
    this.#archive = archive
    this.#threads = Array.from(
      { length: Math.max(1, workers) },
      () =>
        new WorkerThread<ImageCall, ImageAnswer>({
          url: workerUrl(import.meta.url, 'image-worker'),
          workerData: null,
          maxQueued: MAX_QUEUED,
          onCrash: () => undefined, // its callers are told; nobody else is concerned
        }),
    )
  }

  async imageAt(
    streamId: StreamId,
    producerTimestampMs: number,
    options: ImageOptions,
  ): Promise<StillImage> {
    const atMs = checkImageAt(producerTimestampMs, options)
    const finder = await this.#openFinder(streamId, [atMs], {
      by: 'producer',
      maxOverhangMs: MAX_AGE_MS,
      maxAheadMs: 0,
    })
    const found = await finder.find(atMs)
    if (found === 'media-error') throw undecodable()
    if (found === 'no-media' || found === 'no-pictures') {
      const when = new Date(atMs).toISOString()
      throw new ServiceError('not-found', 'NoMedia', `There is no picture at or before ${when}.`)
    }
    const style = toStyle(options)
    const key = toKey(found, style)
    const image = this.#cache.get(key) ?? (await this.#share(key, () => this.#one(found, style)))
    return toStillImage(image)
  }

  async imagesAt(
    streamId: StreamId,
    { by, instants, style, maxBytes }: ImagesQuestion,
    signal: AbortSignal,
  ): Promise<readonly ImageResult[]> {
    const finder = await this.#openFinder(streamId, instants, {
      by,
      maxOverhangMs: MAX_OVERHANG_MS,
      maxAheadMs: MAX_AHEAD_MS,
    })
    const results: ImageResult[] = []
    let left = maxBytes
    let ofOneGop: FoundFrame[] = []
    /** Whether there is room for more. */
    const finish = async (): Promise<boolean> => {
      if (ofOneGop.length === 0) return true
      const made = await this.#encode(ofOneGop, { style, maxBytes: left, signal })
      for (const image of made) {
        results.push(
          image === null
            ? { image: null, missing: 'media-error' }
            : { image: toStillImage(image), missing: null },
        )
        left -= image?.bytes.byteLength ?? 0
      }
      const isWhole = made.length === ofOneGop.length
      ofOneGop = []
      return isWhole && left > 0
    }

    for (const instant of instants) {
      signal.throwIfAborted()
      const found = await finder.find(instant)
      const joins = typeof found !== 'string' && found.gop === ofOneGop[0]?.gop
      if (!joins && !(await finish())) return results
      if (typeof found === 'string') results.push({ image: null, missing: found })
      else ofOneGop.push(found)
    }
    await finish()
    return results
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread[Symbol.asyncDispose]()))
  }

  async #openFinder(
    streamId: StreamId,
    instants: readonly number[],
    options: { readonly by: SelectorClock; maxOverhangMs: number; maxAheadMs: number },
  ): Promise<FrameFinder> {
    const fragments: Fragment[] = []
    if (instants.length > 0) {
      const [from, to] = [instants[0]! - MAX_AGE_MS, instants.at(-1)! + 1]
      const pages = fragmentPages(this.#archive, streamId, { by: options.by, from, to })
      for await (const page of pages) fragments.push(...page)
    }
    return new FrameFinder({ archive: this.#archive, fragments, ...options })
  }

  async #share(key: string, make: () => Promise<EncodedImage>): Promise<EncodedImage> {
    const known = this.#inFlight.get(key)
    if (known !== undefined) return known
    const making = make()
    this.#inFlight.set(key, making)
    try {
      return await making
    } finally {
      this.#inFlight.delete(key)
    }
  }

  async #one(found: FoundFrame, style: ImageStyle): Promise<EncodedImage> {
    const call = toCall(found, [found.frameMs], { style, maxBytes: Infinity })
    const [image] = await this.#call(call, new AbortController().signal)
    if (image === undefined || image === null) throw undecodable()
    this.#cache.set(toKey(found, style), image)
    return image
  }

  /** Of frames of one GOP, in order; a prefix of them when `maxBytes` are full. */
  async #encode(
    found: readonly FoundFrame[],
    options: {
      readonly style: ImageStyle
      readonly maxBytes: number
      readonly signal: AbortSignal
    },
  ): Promise<ImageAnswer> {
    const { style, signal } = options
    const known = new Map<number, EncodedImage | null>()
    for (const frame of found) {
      const image = this.#cache.get(toKey(frame, style))
      if (image !== null) known.set(frame.frameMs, image)
    }
    const times = [...new Set(found.map(({ frameMs }) => frameMs))]
    const wanted = times.filter((frameMs) => !known.has(frameMs)).toSorted((a, b) => a - b)
    if (wanted.length > 0) {
      const made = await this.#decode(toCall(found[0]!, wanted, options), signal)
      for (const [i, image] of made.entries()) {
        known.set(wanted[i]!, image)
        const frame = found.find(({ frameMs }) => frameMs === wanted[i])!
        if (image !== null) this.#cache.set(toKey(frame, style), image)
      }
    }
    const answer: (EncodedImage | null)[] = []
    for (const { frameMs } of found) {
      const image = known.get(frameMs)
      if (image === undefined) break
      answer.push(image)
    }
    return answer
  }

  async #decode(call: ImageCall, signal: AbortSignal): Promise<ImageAnswer> {
    try {
      return await this.#call(call, signal)
    } catch (error) {
      if (!(error instanceof ServiceError) || error.kind !== 'malformed-media') throw error
      return call.frames.map(() => null)
    }
  }

  async #call(call: ImageCall, signal: AbortSignal): Promise<ImageAnswer> {
    const thread = this.#threads[this.#turn++ % this.#threads.length]!
    const transfer = call.samples.map(({ data }) => data.buffer)
    return thread.call(call, signal, transfer)
  }
}

function toCall(
  { track, gop }: FoundFrame,
  frames: readonly number[],
  options: { readonly style: ImageStyle; readonly maxBytes: number },
): ImageCall {
  const { style, maxBytes } = options
  return {
    track: { ...track, codecPrivate: new Uint8Array(track.codecPrivate) },
    // Copies: the thread takes its buffers with it, and these are views on the archive's.
    samples: upToFrames(gop, frames).map(({ ptsMs, isKey, data }) => ({
      ptsMs,
      isKey,
      data: new Uint8Array(data),
    })),
    ...{ frames, style, maxBytes },
  }
}

function toKey({ fragment, frameMs }: FoundFrame, { format, size, quality }: ImageStyle): string {
  const { widthPx, heightPx, limit } = size
  const { streamId, fragmentNumber } = fragment
  return [streamId, fragmentNumber, frameMs, format, widthPx, heightPx, limit, quality].join(' ')
}

function toStillImage({ bytes, frameMs }: EncodedImage): StillImage {
  return { bytes, frameTimestamp: epochMs(frameMs) }
}

function undecodable(): ServiceError {
  return new ServiceError('malformed-media', 'UndecodableMedia', 'No frame could be decoded.')
}
