import { MAX_UNIT_BYTES } from './depacketiser.ts'

/**
 * Collects the bytes of one coded unit from many packets. The buffer grows as bytes arrive and is
 * used for the next unit again, so a unit is taken out as a copy of exactly its size.
 */
export class UnitBuffer {
  #bytes = new Uint8Array(START_BYTES)
  #length = 0
  #isOverfull = false

  get length(): number {
    return this.#length
  }

  /** Something did not fit into {@link MAX_UNIT_BYTES} and was left out. */
  get isOverfull(): boolean {
    return this.#isOverfull
  }

  append(part: Uint8Array): void {
    if (!this.#reserve(part.length)) return
    this.#bytes.set(part, this.#length)
    this.#length += part.length
  }

  appendByte(byte: number): void {
    if (!this.#reserve(1)) return
    this.#bytes[this.#length++] = byte
  }

  /** Writes over 32 bits that were appended before. */
  setUint32(offset: number, value: number): void {
    new DataView(this.#bytes.buffer).setUint32(offset, value)
  }

  /** Forgets what was appended after the first `length` bytes. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length)
  }

  /** A view for reading, valid until the next change. */
  view(start = 0, end = this.#length): Uint8Array {
    return this.#bytes.subarray(start, end)
  }

  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  clear(): void {
    this.#length = 0
    this.#isOverfull = false
    if (this.#bytes.length > KEEP_BYTES) this.#bytes = new Uint8Array(START_BYTES)
  }

  #reserve(count: number): boolean {
    const needed = this.#length + count
    if (needed > MAX_UNIT_BYTES) {
      this.#isOverfull = true
      return false
    }
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      larger.set(this.view())
      this.#bytes = larger
    }
    return true
  }
}

const START_BYTES = 16 * 1024
/** What an idle media may hold on to; one that has been larger starts small again. */
const KEEP_BYTES = 1024 * 1024
