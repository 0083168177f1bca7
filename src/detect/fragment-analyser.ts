import { isDeepStrictEqual } from 'node:util'
import { ServiceError } from '../domain/errors.ts'
import { epochMs } from '../domain/time.ts'
import type { FrameDetections } from '../domain/detection.ts'
import type { Track } from '../domain/track.ts'
import { toSamples } from '../media/matroska/scanner.ts'
import { VideoDecoder } from '../platform/av.ts'
import type { FragmentInThread } from './detector-call.ts'
import type { FragmentDetections } from './detector.ts'
import type { FrameDetector, FrameMemory } from './frame-detector.ts'
import { FrameSampler } from './frame-sampler.ts'

/** What goes on from one fragment of a stream to the next. */
type StreamState = {
  readonly track: Track
  readonly decoder: VideoDecoder
  readonly sampler: FrameSampler
  readonly memory: FrameMemory
}

/** Streams whose decoder is kept; of more, the one that was quiet for longest starts afresh. */
const MAX_STREAMS = 256

/**
 * Decodes fragments of many streams and runs the detector on the sampled frames. Frames that are
 * not sampled are decoded, since others refer to them, and not scaled. For worker threads only.
 */
export class FragmentAnalyser implements AsyncDisposable {
  readonly #detector: FrameDetector
  readonly #framesPerSecond: number
  /** Least recently used first. */
  readonly #streams = new Map<string, StreamState>()

  constructor(detector: FrameDetector, framesPerSecond: number) {
    this.#detector = detector
    this.#framesPerSecond = framesPerSecond
  }

  /** @throws ServiceError `malformed-media`; the stream's next fragment starts afresh */
  async detect(fragment: FragmentInThread): Promise<FragmentDetections> {
    try {
      return await this.#detect(fragment)
    } catch (error) {
      this.#forget(fragment.streamId)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const streamId of [...this.#streams.keys()]) this.#forget(streamId)
    await this.#detector[Symbol.asyncDispose]()
  }

  async #detect(fragment: FragmentInThread): Promise<FragmentDetections> {
    const track = fragment.tracks.find(({ kind }) => kind === 'video')
    if (track === undefined) {
      throw new ServiceError('malformed-media', 'NoVideoTrack', 'The fragment has no video track.')
    }
    const samples = toSamples(fragment.bytes, fragment.tracks).filter(
      ({ trackNumber }) => trackNumber === track.number,
    )
    const { decoder, sampler, memory } = this.#stateOf(fragment, track)

    const frames: FrameDetections[] = []
    let framesDecoded = 0
    for (const frame of decoder.decode(samples)) {
      framesDecoded++
      if (!sampler.takes(frame.ptsMs)) continue
      const detections = await this.#detector.detect(frame.picture, frame.ptsMs, memory)
      if (detections === null) continue // nothing to compare with yet
      frames.push({
        fragmentNumber: fragment.fragmentNumber,
        frameTimestamp: epochMs(frame.ptsMs),
        frame: { widthPx: frame.widthPx, heightPx: frame.heightPx },
        detections,
      })
    }
    return { framesDecoded, framesInferred: frames.length, frames }
  }

  #stateOf(fragment: FragmentInThread, track: Track): StreamState {
    const { streamId, discontinuity } = fragment
    const known = this.#streams.get(streamId)
    if (known !== undefined && !discontinuity && isDeepStrictEqual(known.track, track)) {
      this.#streams.delete(streamId) // to the end: most recently used
      this.#streams.set(streamId, known)
      return known
    }
    this.#forget(streamId)
    if (this.#streams.size >= MAX_STREAMS) this.#forget([...this.#streams.keys()][0]!)
    const state: StreamState = {
      track,
      decoder: new VideoDecoder(track),
      sampler: new FrameSampler(this.#framesPerSecond),
      memory: { before: null },
    }
    this.#streams.set(streamId, state)
    return state
  }

  #forget(streamId: string): void {
    this.#streams.get(streamId)?.decoder[Symbol.dispose]()
    this.#streams.delete(streamId)
  }
}
