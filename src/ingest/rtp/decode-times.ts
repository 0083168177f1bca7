/** What a stream says about its pictures' order. */
export type PictureOrdering = {
  /** Pictures that may come before one that is shown earlier; `null` where it does not say. */
  readonly reorderPictures: number | null
  /** How long a picture is shown, in ticks; `null` where it does not say. */
  readonly frameTicks: number | null
}

/** Where a picture is shown among its neighbours: picture order count, and where counting begins. */
export type PictureOrder = { readonly count: number; readonly isStart: boolean }

/**
 * Decode times of pictures that come in decode order with nothing but presentation times, as RTP
 * carries them. With at most n pictures reordered, the k-th picture is decoded when the (k - n)-th of
 * those shown is: no lookahead is needed, and the times are those of the encoder.
 *
 * 1. `n` is what the stream says, or the most that was seen.
 * 2. Where it says nothing, a picture whose picture order count leaves a gap is not decoded later
 *    than the last picture before the gap: what belongs there is still to come.
 * 3. Never above the presentation time, and rising; only a picture that comes later than `n` allows
 *    goes back, once, and raises `n`.
 */
export class DecodeTimes {
  readonly #gaps = new OrderGaps()
  /** Presentation times of the last pictures, rising. */
  #shown: number[] = []
  #first: number | null = null
  #last = 0
  #count = 0
  #declared: number | null = null
  #reorder = 0
  #frameTicks = 1

  configure({ reorderPictures, frameTicks }: PictureOrdering): void {
    this.#declared = reorderPictures
    this.#reorder = reorderPictures ?? this.#reorder
    this.#frameTicks = Math.max(1, Math.round(frameTicks ?? 1))
  }

  /** Forgets all pictures: what follows does not continue them. */
  reset(): void {
    this.#shown = []
    this.#first = null
    this.#count = 0
    this.#gaps.reset()
  }

  next(pts: number, order: PictureOrder | null): number {
    this.#first ??= pts
    const later = this.#insert(pts)
    this.#reorder = Math.min(MAX_REORDER, Math.max(this.#reorder, later))
    const gapAfter = this.#declared === null && order !== null ? this.#gaps.after(pts, order) : null
    const target = Math.min(this.#target(), gapAfter ?? Number.POSITIVE_INFINITY)
    const rising = this.#count === 0 ? target : Math.max(this.#last + 1, target)
    this.#last = Math.min(pts, rising)
    this.#count++
    return this.#last
  }

  #target(): number {
    const waiting = this.#reorder - this.#count
    if (waiting > 0) return this.#first! - waiting * this.#frameTicks
    return this.#shown.at(-1 - this.#reorder) ?? Number.NEGATIVE_INFINITY
  }

  /** @returns how many pictures are shown after this one and came before it */
  #insert(pts: number): number {
    let at = this.#shown.length
    while (at > 0 && this.#shown[at - 1]! > pts) at--
    const later = this.#shown.length - at
    this.#shown.splice(at, 0, pts)
    if (this.#shown.length > MAX_REORDER + 1) this.#shown.shift()
    return later
  }
}

/** As many pictures as any level lets a decoder hold (ITU-T H.264 §A.3.1). */
const MAX_REORDER = 16

/** Finds the pictures that are still to come by what is missing among the picture order counts. */
class OrderGaps {
  /** The last picture up to which all have come. */
  #whole: { count: number; pts: number } | null = null
  readonly #beyond = new Map<number, number>()
  #newest = Number.NEGATIVE_INFINITY
  /** Frames count by two where fields count by one; not all encoders do. */
  #step = 2

  reset(): void {
    this.#whole = null
    this.#beyond.clear()
    this.#newest = Number.NEGATIVE_INFINITY
  }

  /** The presentation time after which pictures are missing that precede this one, if there are. */
  after(pts: number, { count, isStart }: PictureOrder): number | null {
    if (isStart || this.#whole === null) {
      this.reset()
      this.#whole = { count, pts }
      return null
    }
    if (count % 2 !== 0) this.#step = 1
    if (count <= this.#whole.count) return null
    // Nobody goes on to the next anchor before the gap is filled: these counts are left out.
    if (this.#beyond.size > 0 && count > this.#newest) {
      this.#whole = { count: this.#newest, pts: this.#beyond.get(this.#newest)! }
      this.#beyond.clear()
    }
    this.#beyond.set(count, pts)
    this.#newest = Math.max(this.#newest, count)
    this.#fill()
    return count > this.#whole.count ? this.#whole.pts : null
  }

  #fill(): void {
    for (;;) {
      const count = this.#whole!.count + this.#step
      const pts = this.#beyond.get(count)
      if (pts === undefined) break
      this.#beyond.delete(count)
      this.#whole = { count, pts }
    }
    if (this.#beyond.size <= MAX_REORDER) return
    this.#whole = { count: this.#newest, pts: this.#beyond.get(this.#newest)! }
    this.#beyond.clear()
  }
}
