/** The values that were used last, up to a sum of bytes. */
export class ByteCache<Value> {
  readonly #maxBytes: number
  readonly #sizeOf: (value: Value) => number
  /** Least recently used first. */
  readonly #values = new Map<string, Value>()
  #bytes = 0

  constructor(maxBytes: number, sizeOf: (value: Value) => number) {
    this.#maxBytes = maxBytes
    this.#sizeOf = sizeOf
  }

  get(key: string): Value | null {
    const value = this.#values.get(key)
    if (value === undefined) return null
    this.#values.delete(key)
    this.#values.set(key, value)
    return value
  }

  set(key: string, value: Value): void {
    this.#remove(key)
    if (this.#sizeOf(value) > this.#maxBytes) return
    this.#values.set(key, value)
    this.#bytes += this.#sizeOf(value)
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      this.#remove(oldest)
    }
  }

  #remove(key: string): void {
    const value = this.#values.get(key)
    if (value === undefined) return
    this.#bytes -= this.#sizeOf(value)
    this.#values.delete(key)
  }
}
