/**
 * Whether a source still gives what can be stored: complete key frames, not bytes. A camera that
 * stretches its GOPs when nothing moves (H.264+ and its like) has stalled only when its samples stop
 * too, or when not even such a camera would wait so long.
 */
export class MediaWatchdog {
  readonly #limits: MediaWatchdogLimits
  #lastProgressMs: number
  #lastSampleMs: number
  #hasBegun = false
  #progress = 0
  #samples = 0
  #longestGopMs = 0

  constructor(limits: MediaWatchdogLimits, nowMs: number) {
    this.#limits = limits
    this.#lastProgressMs = nowMs
    this.#lastSampleMs = nowMs
  }

  /** Asked a few times a second. `nowMs`: from any zero, never backward. */
  judge(nowMs: number, seen: MediaSeen): 'alive' | 'no-media' | 'stalled' {
    const progress = this.#limits.hasVideo ? seen.keyFrames : seen.samples
    if (seen.samples !== this.#samples) {
      this.#samples = seen.samples
      this.#lastSampleMs = nowMs
    }
    if (progress !== this.#progress) {
      const gopMs = (nowMs - this.#lastProgressMs) / (progress - this.#progress)
      if (this.#hasBegun) this.#longestGopMs = Math.max(this.#longestGopMs, gopMs)
      this.#progress = progress
      this.#lastProgressMs = nowMs
      this.#hasBegun = true
      return 'alive'
    }
    const waitedMs = nowMs - this.#lastProgressMs
    if (!this.#hasBegun) return waitedMs < this.#limits.firstMs ? 'alive' : 'no-media'
    return waitedMs < this.#patienceMs(nowMs) ? 'alive' : 'stalled'
  }

  /** We have not read: what did not come meanwhile says nothing. */
  excuse(nowMs: number): void {
    this.#lastProgressMs = nowMs
    this.#lastSampleMs = nowMs
  }

  #patienceMs(nowMs: number): number {
    const { stallMs } = this.#limits
    const isSending = nowMs - this.#lastSampleMs < stallMs
    return Math.max(stallMs, 3 * this.#longestGopMs, isSending ? LONGEST_GOP_MS : 0)
  }
}

export type MediaWatchdogLimits = {
  /** Without video, samples count in place of key frames. */
  readonly hasVideo: boolean
  /** For the first key frame. */
  readonly firstMs: number
  /** Between key frames, at least; three times the longest GOP so far when that is more. */
  readonly stallMs: number
}

/** Both only grow. */
export type MediaSeen = { readonly keyFrames: number; readonly samples: number }

/** Smart codecs go up to 20 s. */
const LONGEST_GOP_MS = 30_000
