/** How long back a rate looks. */
const WINDOW_MS = 10 * 60_000
const MIN_SPAN_MS = 10_000

/** Bytes per second over the last ten minutes, from a sum that only grows. */
export class WriteRate {
  #samples: { readonly at: number; readonly totalBytes: number }[] = []

  /** Call it regularly; a clock that was set back begins anew. */
  note(at: number, totalBytes: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && (at < last.at || totalBytes < last.totalBytes)) this.#samples = []
    // A sample each fortieth of the window is enough: the newest takes the last one's place.
    const [, beforeLast] = this.#samples.slice(-2).reverse()
    if (beforeLast !== undefined && at - beforeLast.at < WINDOW_MS / 40) this.#samples.pop()
    this.#samples.push({ at, totalBytes })
    while (this.#samples.length > 2 && this.#samples[1]!.at <= at - WINDOW_MS) this.#samples.shift()
  }

  get bytesPerSecond(): number {
    const [first] = this.#samples
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.at - first.at < MIN_SPAN_MS) return 0
    return ((last.totalBytes - first.totalBytes) * 1000) / (last.at - first.at)
  }
}
