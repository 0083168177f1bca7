import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import { toSamples, type StoredSample } from '../../media/matroska/scanner.ts'
import { WorkerThread } from '../../platform/worker-thread.ts'
import { workerUrl } from '../../platform/worker-url.ts'
import type { EncodedImage, ImageCall } from './image-call.ts'
import { ImageCache } from './image-cache.ts'
import { planFragments, planGop } from './plan-gop.ts'

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
}

export type ImageOptions = {
  readonly format: 'jpeg' | 'png'
  /** Pixels, 16..3840; never above the frame's own, which is the default. Keeps the shape. */
  readonly width?: number
  /** JPEG quality, 1..100. */
  readonly quality?: number
}

export type StillImage = {
  readonly bytes: Uint8Array
  /** When the frame was presented, by the producer's clock. */
  readonly frameTimestamp: EpochMs
}

export type ImagesOptions = { readonly archive: Archive; readonly workers: number }

const MAX_AGE_MS = 60_000
/** Fragments looked into for one image, counted from the latest. */
const MAX_ATTEMPTS = 3
const MAX_QUEUED = 32
const CACHE_BYTES = 16 * 1024 * 1024
const DEFAULT_QUALITY = 82

/** Decodes and encodes in worker threads; keeps the newest images in a small cache. */
export function createImages(options: ImagesOptions): Images {
  return new ArchiveImages(options)
}

class ArchiveImages implements Images {
  readonly #archive: Archive
  readonly #threads: readonly WorkerThread<ImageCall, EncodedImage>[]
  readonly #cache = new ImageCache(CACHE_BYTES)
  /** Equal questions share one answer. */
  readonly #inFlight = new Map<string, Promise<EncodedImage>>()
  #turn = 0

  constructor({ archive, workers }: ImagesOptions) {
    this.#archive = archive
    this.#threads = Array.from(
      { length: Math.max(1, workers) },
      () =>
        new WorkerThread<ImageCall, EncodedImage>({
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
    const atMs = checkOptions(producerTimestampMs, options)
    const found = await this.#find(streamId, atMs)
    if (found === null) {
      const when = new Date(atMs).toISOString()
      throw new ServiceError('not-found', 'NoMedia', `There is no picture at or before ${when}.`)
    }
    const { format, width = 0, quality = DEFAULT_QUALITY } = options
    const key = [streamId, found.frameMs, format, width, quality].join(' ')
    const image = this.#cache.get(key) ?? (await this.#encode(key, found, options))
    return { bytes: image.bytes, frameTimestamp: epochMs(image.frameMs) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread[Symbol.asyncDispose]()))
  }

  /** The samples that lead to the wanted frame: from a key sample to the end of its GOP. */
  async #find(streamId: StreamId, atMs: number): Promise<FoundFrame | null> {
    const fragments = await this.#archive.list(streamId, {
      by: 'producer',
      from: epochMs(Math.max(0, atMs - MAX_AGE_MS)),
      to: epochMs(atMs + 1),
      limit: 1_000,
    })
    let candidates = fragments
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const planned = planFragments(candidates, atMs)
      if (planned.length === 0) return null
      const found = await this.#findIn(planned, atMs)
      if (found !== null) return found
      // Its sound began before that instant and its pictures after it: look into the one before.
      candidates = candidates.slice(0, candidates.indexOf(planned[0]!))
    }
    return null
  }

  async #findIn(fragments: readonly Fragment[], atMs: number): Promise<FoundFrame | null> {
    const samples: StoredSample[] = []
    let track: Track | null = null
    for (const fragment of fragments) {
      const read = await this.#read(fragment)
      if (read === null) continue
      track = read.track
      samples.push(...read.samples)
    }
    if (track === null) return null
    const gop = planGop(samples, atMs)
    return gop === null ? null : { track, ...gop }
  }

  async #read(fragment: Fragment): Promise<{ track: Track; samples: StoredSample[] } | null> {
    const { tracks, bytes } = await this.#archive.read(fragment)
    const track = tracks.find(({ kind }) => kind === 'video')
    if (track === undefined) return null
    const samples = toSamples(bytes, tracks).filter((s) => s.trackNumber === track.number)
    return { track, samples }
  }

  async #encode(key: string, found: FoundFrame, options: ImageOptions): Promise<EncodedImage> {
    const known = this.#inFlight.get(key)
    if (known !== undefined) return known
    const call = toCall(found, options)
    const thread = this.#threads[this.#turn++ % this.#threads.length]!
    const transfer = call.samples.map(({ data }) => data.buffer)
    const encoding = thread.call(call, new AbortController().signal, transfer)
    this.#inFlight.set(key, encoding)
    try {
      const image = await encoding
      this.#cache.set(key, image)
      return image
    } finally {
      this.#inFlight.delete(key)
    }
  }
}

type FoundFrame = {
  readonly track: Track
  readonly samples: readonly StoredSample[]
  readonly frameMs: number
}

function toCall({ track, samples, frameMs }: FoundFrame, options: ImageOptions): ImageCall {
  return {
    track: { ...track, codecPrivate: new Uint8Array(track.codecPrivate) },
    // Copies: the thread takes its buffers with it, and these are views on the archive's.
    samples: samples.map(({ ptsMs, isKey, data }) => ({
      ptsMs,
      isKey,
      data: new Uint8Array(data),
    })),
    frameMs,
    format: options.format,
    widthPx: options.width ?? null,
    quality: options.quality ?? DEFAULT_QUALITY,
  }
}

function checkOptions(producerTimestampMs: number, options: ImageOptions): EpochMs {
  const { width, quality } = options
  const isWithin = (value: number | undefined, min: number, max: number) =>
    value === undefined || (Number.isInteger(value) && value >= min && value <= max)
  const problem = !isWithin(producerTimestampMs, 0, 8.64e15)
    ? 'the time is no instant in epoch milliseconds'
    : !isWithin(width, 16, 3840)
      ? 'the width is not within 16..3840 pixels'
      : !isWithin(quality, 1, 100)
        ? 'the quality is not within 1..100'
        : null
  if (problem !== null) {
    throw new ServiceError('invalid-argument', 'InvalidImageOptions', `No image: ${problem}.`)
  }
  return epochMs(producerTimestampMs)
}
