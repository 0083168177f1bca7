/** Lines with the same text that one second may bring. */
export const BURST = 20
const WINDOW_MS = 1_000

/**
 * Bounds how often the same text is logged: the first {@link BURST} of a second pass, the rest are
 * counted and told together once the second is over. An attacker or a full disk then costs the log a
 * known number of lines. Texts are literals, so there are few of them.
 */
export class RepeatLimit {
  readonly #windows = new Map<string, { lines: number; readonly startedAt: number }>()
  #exceeded = 0

  /** @returns whether a line with this text may be written */
  admits(text: string, nowMs: number): boolean {
    const window = this.#windows.get(text)
    if (window === undefined || isOver(window.startedAt, nowMs)) {
      this.#windows.set(text, { lines: 1, startedAt: nowMs })
      return true
    }
    window.lines += 1
    if (window.lines === BURST + 1) this.#exceeded += 1
    return window.lines <= BURST
  }

  /** What was left out in seconds that are over; call it before {@link admits}. */
  takeLeftOut(nowMs: number): readonly { readonly text: string; readonly count: number }[] {
    if (this.#exceeded === 0) return []
    const leftOut: { text: string; count: number }[] = []
    for (const [text, { lines, startedAt }] of this.#windows) {
      if (lines <= BURST || !isOver(startedAt, nowMs)) continue
      this.#windows.delete(text)
      this.#exceeded -= 1
      leftOut.push({ text, count: lines - BURST })
    }
    return leftOut
  }
}

/** A clock that was set back does not keep a window open. */
function isOver(startedAt: number, nowMs: number): boolean {
  return nowMs < startedAt || nowMs - startedAt >= WINDOW_MS
}
