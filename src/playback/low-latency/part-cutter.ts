/** What of a sample decides where parts end. */
export type CutSample = { readonly kind: 'video' | 'audio'; readonly ptsMs: number }

export type PartTiming = {
  /** What parts are to last; see {@link planPartTiming}. */
  readonly targetMs: number
  /** Between two pictures as a rule. */
  readonly frameMs: number
  /** Pictures are decoded in another order than they are shown. */
  readonly reorders: boolean
}

/** Parts as long as whole numbers of steps allow; players wait for three of them. */
const WANTED_PART_MS = 500
/** Without pictures. */
const AUDIO_STEP_MS = 100
const UNEVEN = 1.2
/** How far the declared target is above: steps of cameras vary. */
const SLACK = 1.05
/** draft-pantos-hls-rfc8216bis §4.4.4.9: parts last at least 85 % of the target, but for the last. */
const LEAST = 0.85

/**
 * How long the parts of a stream are to be, by the samples of one of its fragments. A part may end where
 * every picture behind is shown after every one before: with B-frames, only every few pictures.
 *
 * @param frameMs `null` without pictures, or when it is not known
 */
export function planPartTiming(samples: readonly CutSample[], frameMs: number | null): PartTiming {
  const pictures = samples.filter(({ kind }) => kind === 'video').map(({ ptsMs }) => ptsMs)
  if (pictures.length === 0 || frameMs === null) {
    return { targetMs: WANTED_PART_MS, frameMs: AUDIO_STEP_MS, reorders: false }
  }
  const reorders = pictures.some((ptsMs, i) => i > 0 && ptsMs < pictures[i - 1]!)
  const points = new CleanPoints({ targetMs: 0, frameMs, reorders })
  const ends = pictures.flatMap((ptsMs) => points.push(ptsMs) ?? [])
  const steps = ends.slice(1).map((end, i) => end - ends[i]!)
  return { targetMs: planTarget(steps.length === 0 ? [frameMs] : steps), frameMs, reorders }
}

/**
 * Even steps: as many as fit. Uneven ones, such as an encoder makes that chooses its B-frames: so long
 * that the longest step is the room between the least part and the target.
 */
function planTarget(steps: readonly number[]): number {
  const step = median(steps)
  const longest = steps.reduce((a, b) => Math.max(a, b))
  if (longest > UNEVEN * step) {
    return Math.ceil(Math.max(WANTED_PART_MS, longest / (1 - LEAST)) * SLACK)
  }
  const count = Math.max(1, Math.floor((WANTED_PART_MS * 1.01) / step))
  return Math.ceil(count * step * SLACK)
}

/**
 * Says before which samples a part ends, while they come. The last part of a fragment ends with it.
 */
export class PartCutter {
  readonly #leastMs: number
  readonly #hasVideo: boolean
  readonly #points: CleanPoints
  #partStartMs: number

  constructor(timing: PartTiming, startMs: number, hasVideo: boolean) {
    this.#leastMs = LEAST * timing.targetMs
    this.#hasVideo = hasVideo
    this.#points = new CleanPoints(timing)
    this.#partStartMs = startMs
  }

  get partStartMs(): number {
    return this.#partStartMs
  }

  /** @returns where the part before this sample ends, if one does */
  push({ kind, ptsMs }: CutSample): number | null {
    const endMs = kind === 'video' ? this.#points.push(ptsMs) : this.#hasVideo ? null : ptsMs
    if (endMs === null || endMs - this.#partStartMs < this.#leastMs) return null
    this.#partStartMs = endMs
    return endMs
  }
}

/** Finds the pictures before which all are complete that are shown earlier. */
class CleanPoints {
  readonly #timing: PartTiming
  #count = 0
  #firstMs = Infinity
  #lastMs = -Infinity

  constructor(timing: PartTiming) {
    this.#timing = timing
  }

  /** @returns where what is before this picture ends, if it is complete */
  push(ptsMs: number): number | null {
    const { frameMs, reorders } = this.#timing
    const spanMs = this.#lastMs - this.#firstMs
    const isComplete =
      this.#count > 0 &&
      ptsMs > this.#lastMs &&
      (!reorders || spanMs <= (this.#count - 1) * frameMs + frameMs / 2)
    // The next one to be shown need not be the next one decoded.
    const endMs = isComplete ? (reorders ? Math.min(ptsMs, this.#lastMs + frameMs) : ptsMs) : null
    if (isComplete) {
      this.#count = 0
      this.#firstMs = endMs!
    }
    this.#count++
    this.#firstMs = Math.min(this.#firstMs, ptsMs)
    this.#lastMs = Math.max(this.#lastMs, ptsMs)
    return endMs === null ? null : Math.round(endMs)
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
