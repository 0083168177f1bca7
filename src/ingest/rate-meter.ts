import type { EpochMs } from '../domain/time.ts'

/** Bytes and frames per second over the last few whole seconds; constant memory. */
export class RateMeter {
  readonly #seconds: Bucket[] = Array.from({ length: WINDOW_SECONDS + 1 }, () => emptyBucket())
  #firstSecond: number | null = null

  add(at: EpochMs, bytes: number, frames: number): void {
    const second = Math.floor(at / 1000)
    this.#firstSecond ??= second
    const bucket = this.#seconds[second % this.#seconds.length]!
    if (bucket.second !== second) Object.assign(bucket, emptyBucket(), { second })
    bucket.bytes += bytes
    bucket.frames += frames
  }

  /** Over the whole seconds before `now`; in the first second, over what there is of it. */
  read(now: EpochMs): { readonly bitrateBps: number; readonly frameRate: number } {
    const current = Math.floor(now / 1000)
    if (this.#firstSecond === null) return { bitrateBps: 0, frameRate: 0 }
    const whole = Math.min(WINDOW_SECONDS, current - this.#firstSecond)
    const from = whole > 0 ? current - whole : current
    const to = whole > 0 ? current - 1 : current
    let bytes = 0
    let frames = 0
    for (const bucket of this.#seconds) {
      if (bucket.second < from || bucket.second > to) continue
      bytes += bucket.bytes
      frames += bucket.frames
    }
    const seconds = Math.max(1, whole)
    return { bitrateBps: Math.round((bytes * 8) / seconds), frameRate: frames / seconds }
  }
}

const WINDOW_SECONDS = 5

type Bucket = { second: number; bytes: number; frames: number }

function emptyBucket(): Bucket {
  return { second: -1, bytes: 0, frames: 0 }
}
