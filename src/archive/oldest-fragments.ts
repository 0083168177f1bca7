import { counterOf, type Fragment } from '../domain/fragment.ts'
import type { Visibility } from './visibility.ts'

/** Kept at a time: with fragments of two seconds, looked for once in half a minute of expiry. */
const COUNT = 16

/**
 * Some of a stream's oldest fragments that are seen, so that asking for the oldest costs nothing
 * while they last.
 */
export class OldestFragments {
  #fragments: readonly Fragment[] = []
  /** No fragment with a lower counter is seen, as long as nothing is seen that was not. */
  #from = 0
  #cutoff = Infinity
  /** Counts what makes a search under way useless. */
  #changes = 0

  /**
   * @param view.cutoff server timestamps up to this are past the retention
   * @param search the first that are seen, with this counter or a higher one, in order of number
   */
  async oldest(
    { visibility, cutoff }: { readonly visibility: Visibility; readonly cutoff: number },
    search: (fromCounter: number, limit: number) => Promise<readonly Fragment[]>,
  ): Promise<Fragment | null> {
    if (cutoff < this.#cutoff) this.forgetAll() // a longer retention, or a clock that was set back
    this.#cutoff = cutoff
    const known = this.#fragments.find((fragment) => visibility.showsFragment(fragment))
    if (known !== undefined) return known
    const changes = this.#changes
    const found = await search(this.#from, COUNT)
    const [first] = found
    if (first === undefined) return null
    if (changes === this.#changes) {
      this.#fragments = found
      this.#from = counterOf(first)
    }
    return first
  }

  forget(isGone: (fragment: Fragment) => boolean): void {
    this.#changes++
    this.#fragments = this.#fragments.filter((fragment) => !isGone(fragment))
  }

  /** Older ones may be seen again: a range was held, or chunks were recovered. */
  forgetAll(): void {
    this.#changes++
    this.#fragments = []
    this.#from = 0
  }
}
