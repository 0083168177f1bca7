/** Lets so many jobs run at once; the others wait, and go on in the order in which they came. */
export class Semaphore {
  #free: number
  readonly #waiting: (() => void)[] = []

  /** @param permits at least 1 */
  constructor(permits: number) {
    this.#free = permits
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await job()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next() // the permit goes from hand to hand
    }
  }
}
