/** Collects what happens and lets a test wait for it. */
export class Recorder<T> {
  readonly items: T[] = []
  #watchers: (() => void)[] = []

  readonly push = (item: T): void => {
    this.items.push(item)
    for (const watcher of this.#watchers.splice(0)) watcher()
  }

  /** Resolves when there are `count` items. */
  async reaching(count: number): Promise<readonly T[]> {
    while (this.items.length < count) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
    return this.items
  }

  /** Resolves with the first item, past or future, that matches. */
  async first(matches: (item: T) => boolean): Promise<T> {
    for (let seen = 0; ;) {
      const found = this.items.slice(seen).find(matches)
      if (found !== undefined) return found
      seen = this.items.length
      await this.reaching(seen + 1)
    }
  }
}
