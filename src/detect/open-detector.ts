import { ServiceError } from '../domain/errors.ts'
import type { Log } from '../observe/log.ts'
import { WorkerThread } from '../platform/worker-thread.ts'
import { workerUrl } from '../platform/worker-url.ts'
import type { DetectorCall, DetectorWorkerData } from './detector-call.ts'
import type { Detector, DetectorOptions, FragmentDetections, FragmentToDetect } from './detector.ts'
import { loadModel, type ModelManifest } from './manifest.ts'
import { refuseOnnxTelemetry } from './onnx-telemetry.ts'

export type DetectorParts = { readonly log: Log }

/** Fragments that may wait for one thread. More means that detection is hopelessly behind. */
const MAX_QUEUED = 64
/** Streams whose thread is remembered; after that the oldest may change its thread. */
const MAX_PLACED_STREAMS = 4_096

/**
 * Loads the model, checks it against its manifest and opens it in every worker thread.
 *
 * @throws ServiceError `not-found`/`ModelNotFound`, `invalid-argument`/`ModelManifestInvalid`,
 *   `data-loss`/`ModelCorrupt`, `invalid-argument`/`UnknownLabel`
 */
export async function openDetector(
  options: DetectorOptions,
  parts: DetectorParts,
): Promise<Detector> {
  const model = await loadModel(options.modelDirectory)
  const unknown = options.labels?.find((label) => !model.manifest.labels.includes(label))
  if (unknown !== undefined) {
    throw new ServiceError(
      'invalid-argument',
      'UnknownLabel',
      `Model ${model.manifest.name} has no label ${JSON.stringify(unknown)}.`,
    )
  }
  refuseOnnxTelemetry()
  const { framesPerSecond, minScore, labels } = options
  const workerData: DetectorWorkerData = {
    model: { manifest: model.manifest, onnx: new Uint8Array(model.onnx) },
    framesPerSecond,
    ...(minScore === undefined ? {} : { minScore }),
    ...(labels === undefined ? {} : { labels }),
  }
  const threads = Array.from(
    { length: Math.max(1, options.workers) },
    () =>
      new WorkerThread<DetectorCall, FragmentDetections | null>({
        url: workerUrl(import.meta.url, 'detect-worker'),
        workerData,
        maxQueued: MAX_QUEUED,
        onCrash: (err) => parts.log.error({ err }, 'detector thread crashed'),
      }),
  )
  const detector = new ThreadedDetector(model.manifest, threads)
  try {
    const never = new AbortController().signal
    await Promise.all(threads.map((thread) => thread.call({ type: 'open' }, never)))
    return detector
  } catch (error) {
    await detector[Symbol.asyncDispose]()
    throw error
  }
}

class ThreadedDetector implements Detector {
  readonly modelName: string
  readonly labels: readonly string[]
  readonly #threads: readonly WorkerThread<DetectorCall, FragmentDetections | null>[]
  /** Thread by stream, oldest first. */
  readonly #places = new Map<string, number>()

  constructor(
    manifest: ModelManifest,
    threads: readonly WorkerThread<DetectorCall, FragmentDetections | null>[],
  ) {
    this.modelName = manifest.name
    this.labels = manifest.labels
    this.#threads = threads
  }

  async detect(fragment: FragmentToDetect, signal: AbortSignal): Promise<FragmentDetections> {
    // A clone of a view copies all of the memory behind it: give the thread a copy of its own.
    // (Not slice(): of a Buffer that is a view.)
    const bytes = new Uint8Array(fragment.bytes)
    const tracks = fragment.tracks.map((track) => ({
      ...track,
      codecPrivate: new Uint8Array(track.codecPrivate),
    }))
    const { streamId, fragmentNumber, producerTimestamp, discontinuity } = fragment
    const answer = await this.#threadOf(streamId).call(
      {
        type: 'detect',
        fragment: { streamId, fragmentNumber, bytes, tracks, producerTimestamp, discontinuity },
      },
      signal,
      [bytes.buffer],
    )
    return answer!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread[Symbol.asyncDispose]()))
  }

  /** A stream stays with its thread; a new one goes to the thread with the fewest streams. */
  #threadOf(streamId: string): WorkerThread<DetectorCall, FragmentDetections | null> {
    let place = this.#places.get(streamId)
    if (place === undefined) {
      const counts = this.#threads.map(() => 0)
      for (const taken of this.#places.values()) counts[taken]!++
      place = counts.indexOf(Math.min(...counts))
      const [oldest] = this.#places.keys()
      if (this.#places.size >= MAX_PLACED_STREAMS) this.#places.delete(oldest!)
      this.#places.set(streamId, place)
    }
    return this.#threads[place]!
  }
}
