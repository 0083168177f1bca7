/** Times of 32 bits wrap (RTMP's after 49.7 days, RTP's after 13 hours of 90 kHz); these go on. */
export class WrappingTimestamp {
  #last: number | null = null

  /** The time that is nearer to the last one: forward or backward by less than half of the range. */
  unwrap(timestamp: number): number {
    this.#last = this.nearest(timestamp)
    return this.#last
  }

  /** The same for a look aside: the next times do not start from it. */
  nearest(timestamp: number): number {
    return this.#last === null ? timestamp : this.#last + ((timestamp - this.#last) | 0)
  }
}
