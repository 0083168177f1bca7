import { MalformedMediaError } from '../../domain/errors.ts'

/** Reads a message's fields in their order, never past its end. */
export class ByteCursor {
  readonly #bytes: Uint8Array
  readonly #path: string
  #offset: number

  /** @param path names the message in errors */
  constructor(bytes: Uint8Array, offset: number, path: string) {
    this.#bytes = bytes
    this.#offset = offset
    this.#path = path
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  byte(): number {
    return this.#bytes[this.#advance(1)]!
  }

  unsigned16(): number {
    const at = this.#advance(2)
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!
  }

  unsigned24(): number {
    const at = this.#advance(3)
    return (this.#bytes[at]! << 16) | (this.#bytes[at + 1]! << 8) | this.#bytes[at + 2]!
  }

  /** SI24: B-frames before their key frame have negative ones. */
  signed24(): number {
    return (this.unsigned24() << 8) >> 8
  }

  fourCc(): string {
    return String.fromCharCode(...this.take(4))
  }

  skip(count: number): void {
    this.#advance(count)
  }

  /** A view, not a copy. */
  take(count: number): Uint8Array {
    const start = this.#advance(count)
    return this.#bytes.subarray(start, this.#offset)
  }

  rest(): Uint8Array {
    return this.take(this.left)
  }

  malformed(what: string): MalformedMediaError {
    return new MalformedMediaError(what, { offset: this.#offset, path: this.#path })
  }

  /** @returns where the next `count` bytes begin */
  #advance(count: number): number {
    if (count > this.left) throw this.malformed(`ends ${count - this.left} bytes early`)
    const start = this.#offset
    this.#offset += count
    return start
  }
}
