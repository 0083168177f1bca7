import type { Detection } from '../domain/detection.ts'
import { TensorScaler, type Picture, type Placement } from '../platform/av.ts'
import { decodeMotionMap } from './decoders/motion-map.ts'
import { decodeNanodet } from './decoders/nanodet.ts'
import { decodeYolox } from './decoders/yolox.ts'
import type { Model, ModelInput, ModelManifest } from './manifest.ts'
import { suppressOverlaps, type Candidate } from './nms.ts'
import { ModelSession, type Outputs } from './session.ts'

export type FrameDetectorOptions = {
  /** The manifest's own when absent. */
  readonly minScore?: number
  /** Labels to report; all when absent. */
  readonly labels?: readonly string[]
}

/** What a model of two frames remembers of one stream; empty at first. */
export type FrameMemory = {
  before: { readonly pixels: Float32Array; readonly ptsMs: number } | null
}

/** Two frames further apart than this are not compared: anything may have moved in between. */
const MAX_COMPARED_MS = 5_000

/**
 * Runs one model on single pictures: scales into the input tensor, infers, reads the boxes. One
 * tensor and one session, used by one call at a time. For worker threads only.
 */
export class FrameDetector implements AsyncDisposable {
  readonly #manifest: ModelManifest
  readonly #session: ModelSession
  readonly #scaler: TensorScaler
  readonly #tensor: Float32Array
  readonly #minScore: number
  readonly #labels: ReadonlySet<string> | null

  private constructor(
    manifest: ModelManifest,
    session: ModelSession,
    options: FrameDetectorOptions,
  ) {
    const { input } = manifest
    this.#manifest = manifest
    this.#session = session
    this.#scaler = new TensorScaler({
      widthPx: input.width,
      heightPx: input.height,
      channelOrder: input.channelOrder,
      letterbox: input.letterbox,
      padValue: input.padValue,
      mean: input.mean,
      std: input.std,
    })
    this.#tensor = new Float32Array(input.frames * this.#scaler.length)
    this.#minScore = options.minScore ?? manifest.defaults.minScore
    this.#labels = options.labels === undefined ? null : new Set(options.labels)
  }

  /** @throws ServiceError `data-loss`/`ModelCorrupt`, `invalid-argument`/`ModelManifestInvalid` */
  static async open(model: Model, options: FrameDetectorOptions = {}): Promise<FrameDetector> {
    const session = await ModelSession.open(model.onnx, model.manifest.input.name)
    return new FrameDetector(model.manifest, session, options)
  }

  /**
   * @param memory the stream's; a model of two frames reads and replaces what is in it
   * @returns `null` when the model compares two frames and this is the first one
   */
  async detect(
    picture: Picture,
    ptsMs: number,
    memory: FrameMemory,
  ): Promise<readonly Detection[] | null> {
    const { input, defaults, labels } = this.#manifest
    const length = this.#scaler.length
    const present = this.#tensor.subarray(length * (input.frames - 1))
    const place = this.#scaler.scale(picture, present)
    if (input.frames === 2 && !this.#recall(present, ptsMs, memory)) return null

    const dims = [input.frames, 3, input.height, input.width]
    const outputs = await this.#session.run(this.#tensor, dims)
    const candidates = this.#decode(outputs)
    return suppressOverlaps(candidates, defaults.iou)
      .map((candidate) => toDetection(candidate, labels, place))
      .filter((detection) => this.#labels?.has(detection.label) ?? true)
      .filter(({ box }) => box.width > 0 && box.height > 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scaler[Symbol.dispose]()
    await this.#session[Symbol.asyncDispose]()
  }

  /** Puts the frame before in front of the present one, and remembers the present one. */
  #recall(present: Float32Array, ptsMs: number, memory: FrameMemory): boolean {
    const { before } = memory
    const pixels = before?.pixels ?? new Float32Array(present.length)
    const comparable =
      before !== null && ptsMs > before.ptsMs && ptsMs - before.ptsMs <= MAX_COMPARED_MS
    if (comparable) this.#tensor.set(pixels)
    pixels.set(present)
    memory.before = { pixels, ptsMs }
    return comparable
  }

  #decode(outputs: Outputs): Candidate[] {
    const { input, output, labels } = this.#manifest
    const size: Pick<ModelInput, 'width' | 'height'> = input
    switch (output.type) {
      case 'yolox':
        return decodeYolox(outputs, output, size, labels.length, this.#minScore)
      case 'nanodet':
        return decodeNanodet(outputs, output, size, labels.length, this.#minScore)
      case 'motion-map':
        return decodeMotionMap(outputs, output, size, this.#minScore)
    }
  }
}

/** From the input's pixels to fractions of the picture, clipped to it. */
function toDetection(candidate: Candidate, labels: readonly string[], place: Placement): Detection {
  const across = (x: number) => clamp((x - place.left) / place.width)
  const down = (y: number) => clamp((y - place.top) / place.height)
  const left = across(candidate.left)
  const top = down(candidate.top)
  return {
    label: labels[candidate.label]!,
    score: candidate.score,
    box: {
      left,
      top,
      width: across(candidate.right) - left,
      height: down(candidate.bottom) - top,
    },
  }
}

function clamp(fraction: number): number {
  return Math.min(1, Math.max(0, fraction))
}
