/** Steps that must not overlap: those of one key happen one after the other, in the order of the calls. */
export class Turns {
  /** The last step of every key whose steps are under way. Never rejects. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** Keys whose steps are under way. */
  get keys(): readonly string[] {
    return [...this.#last.keys()]
  }

  /** Runs `step` when the steps before it are over, however they ended. */
  async take<T>(key: string, step: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const turn = before.then(step)
    const over = turn.then(
      () => undefined,
      () => undefined, // its caller sees the failure
    )
    this.#last.set(key, over)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === over) this.#last.delete(key)
    }
  }

  /** Resolves when the steps that were asked for so far are over. */
  async settled(key: string): Promise<void> {
    await this.#last.get(key)
  }
}
