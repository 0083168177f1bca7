import { MalformedMediaError } from '../domain/errors.ts'

/** Reads the bit fields of a coded structure, most significant bit first. */
export class BitReader {
  readonly #bytes: Uint8Array
  readonly #path: string
  #bit: number

  /**
   * @param path names the structure in errors
   * @param startBit where to begin
   */
  constructor(bytes: Uint8Array, path: string, startBit = 0) {
    this.#bytes = bytes
    this.#path = path
    this.#bit = startBit
  }

  /** Bits read so far, those before the start included. */
  get position(): number {
    return this.#bit
  }

  /** Bits that are left. */
  get left(): number {
    return this.#bytes.length * 8 - this.#bit
  }

  /** Another reader at the same place. */
  fork(): BitReader {
    return new BitReader(this.#bytes, this.#path, this.#bit)
  }

  /** An unsigned field of 0 to 32 bits. */
  bits(count: number): number {
    let value = 0
    for (let i = 0; i < count; i++) value = value * 2 + this.bit()
    return value
  }

  bit(): number {
    const byte = this.#bytes[this.#bit >> 3]
    if (byte === undefined) throw this.malformed('ends inside a field')
    const value = (byte >> (7 - (this.#bit & 7))) & 1
    this.#bit++
    return value
  }

  flag(): boolean {
    return this.bit() === 1
  }

  skip(count: number): void {
    if (count > this.left) throw this.malformed('ends inside a field')
    this.#bit += count
  }

  /** A copy of `count` bits that begins at a byte of its own; the last byte is filled with zeros. */
  copy(count: number): Uint8Array {
    if (count > this.left) throw this.malformed('ends inside a field')
    const copied = new Uint8Array((count + 7) >> 3)
    const first = this.#bit >> 3
    const shift = this.#bit & 7
    for (let i = 0; i < copied.length; i++) {
      const pair = (this.#bytes[first + i]! << 8) | (this.#bytes[first + i + 1] ?? 0)
      copied[i] = (pair >> (8 - shift)) & 0xff
    }
    const rest = count & 7
    if (rest > 0) copied[copied.length - 1]! &= 0xff << (8 - rest)
    this.#bit += count
    return copied
  }

  malformed(what: string): MalformedMediaError {
    return new MalformedMediaError(`${this.#path} ${what}`, {
      offset: this.#bit >> 3,
      path: this.#path,
    })
  }
}
