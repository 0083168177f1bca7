import type { Clock } from '../platform/clock.ts'

/**
 * Slows down guessing of publish keys, over all protocols and connections: every failed login waits
 * for its answer, and an address with many of them may not try for a while. Addresses that have
 * failed are forgotten when their allowance is full again, and the oldest when there are too many.
 */
export class LoginLimiter {
  readonly #clock: Clock
  readonly #failures = new Map<string, Allowance>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Asked before credentials are looked at. */
  mayTry(address: string): boolean {
    return this.#left(toAddressKey(address)) >= 1
  }

  /** @returns milliseconds for which the answer has to wait */
  failed(address: string): number {
    const key = toAddressKey(address)
    const left = Math.max(0, this.#left(key) - 1)
    this.#failures.delete(key) // to the end, which is the youngest
    this.#failures.set(key, { left, at: this.#clock.monotonicMs() })
    if (this.#failures.size > MAX_ADDRESSES) {
      this.#failures.delete(this.#failures.keys().next().value!)
    }
    return FAILURE_DELAY_MS
  }

  #left(key: string): number {
    const allowance = this.#failures.get(key)
    if (allowance === undefined) return BURST
    const passedMs = this.#clock.monotonicMs() - allowance.at
    const left = Math.min(BURST, allowance.left + passedMs / REFILL_MS)
    if (left === BURST) this.#failures.delete(key)
    return left
  }
}

/** `at`: by the clock's monotonic side. */
type Allowance = { readonly left: number; readonly at: number }

/** A site of cameras behind one address, all with an old key, must not shut the others out at once. */
const BURST = 30
const REFILL_MS = 2_000
const FAILURE_DELAY_MS = 500
const MAX_ADDRESSES = 10_000

/** Who an address is counted as: an IPv6 subscriber has a whole /64 (RFC 4291 §2.5.1) to come from. */
export function toAddressKey(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').length
  return [...groups, ...new Array<string>(Math.max(0, missing)).fill('0')].slice(0, 4).join(':')
}
