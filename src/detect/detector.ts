import type { FrameDetections } from '../domain/detection.ts'
import type { FragmentNumber } from '../domain/fragment.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Track } from '../domain/track.ts'

/**
 * Runs one model over fragments of many streams. Decode, scale and inference happen together in
 * worker threads; a stream always goes to the same thread, which keeps the frames that a model of
 * two inputs compares.
 */
export interface Detector extends AsyncDisposable {
  readonly modelName: string
  readonly labels: readonly string[]
  /**
   * Decodes the fragment's video track and infers on frames sampled at `framesPerSecond`.
   *
   * @throws ServiceError `malformed-media` when nothing can be decoded; the stream's next fragment
   *   starts afresh
   */
  detect(fragment: FragmentToDetect, signal: AbortSignal): Promise<FragmentDetections>
}

export type FragmentToDetect = {
  readonly streamId: string
  readonly fragmentNumber: FragmentNumber
  /** Header plus fragment bytes, as the archive stores them: one complete Matroska document. */
  readonly header: Uint8Array
  readonly bytes: Uint8Array
  readonly tracks: readonly Track[]
  readonly producerTimestamp: EpochMs
  /** Its media does not continue the fragment before: forget the frames kept for comparison. */
  readonly discontinuity: boolean
}

export type FragmentDetections = {
  readonly framesDecoded: number
  readonly framesInferred: number
  /** One entry per inferred frame, also when nothing was found on it. */
  readonly frames: readonly FrameDetections[]
}

export type DetectorOptions = {
  /** Folder of the model: manifest.json and the ONNX file. */
  readonly modelDirectory: string
  readonly framesPerSecond: number
  readonly workers: number
  /** Below this score a detection is not reported; the manifest's own when absent. */
  readonly minScore?: number
  /** Labels to report; all when absent. */
  readonly labels?: readonly string[]
}
