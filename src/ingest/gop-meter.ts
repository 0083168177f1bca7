/** How far apart a video track's key samples are, by its own clock. */
export class GopMeter {
  #keyMs: number | null = null
  #lastMs: number | null = null
  #maxMs = 0
  #isReported = false

  /**
   * @param dtsMs decode time, of every sample of the track
   * @param continues false after a jump: the GOP under way has no length
   * @returns the length of a GOP that is long, the first time; as far as it has come when it is split
   */
  note(dtsMs: number, isKey: boolean, continues: boolean): number | null {
    if (!continues) this.#keyMs = null
    const ageMs = this.#keyMs === null ? 0 : dtsMs - this.#keyMs
    if (isKey) {
      if (this.#keyMs !== null) {
        this.#lastMs = ageMs
        this.#maxMs = Math.max(this.#maxMs, ageMs)
      }
      this.#keyMs = dtsMs
    }
    return isKey && ageMs >= LONG_GOP_MS ? this.report(ageMs) : null
  }

  /** @returns its argument, the first time */
  report(gopMs: number): number | null {
    if (this.#isReported) return null
    this.#isReported = true
    return gopMs
  }

  /** `null` before the second key sample. */
  facts(): GopFacts | null {
    return this.#lastMs === null ? null : { lastMs: this.#lastMs, maxMs: this.#maxMs }
  }
}

export type GopFacts = { readonly lastMs: number; readonly maxMs: number }

/** What "smart codecs" begin with: players wait so long for a picture, and seek so coarsely. */
const LONG_GOP_MS = 4_000
