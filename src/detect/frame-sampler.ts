/**
 * Chooses frames on a fixed grid of producer time: one frame per cell of 1/fps seconds, the first
 * that is presented in it. The same frames are chosen however the media is cut into fragments.
 */
export class FrameSampler {
  readonly #framesPerSecond: number
  #cell: number | null = null

  constructor(framesPerSecond: number) {
    this.#framesPerSecond = framesPerSecond
  }

  /** @param ptsMs presentation time in epoch milliseconds, in presentation order */
  takes(ptsMs: number): boolean {
    const cell = Math.floor((ptsMs * this.#framesPerSecond) / 1000)
    const isNew = cell !== this.#cell
    this.#cell = cell
    return isNew
  }
}
