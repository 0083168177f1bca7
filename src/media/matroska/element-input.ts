import { MalformedMediaError } from '../../domain/errors.ts'
import { readElementHead, type ElementHead } from './vint.ts'

/**
 * The bytes that have come and are not read. What is taken is a view; an element that comes in pieces
 * is gathered in a buffer of its own that doubles, so the cost is linear however small the pieces.
 */
export class ElementInput {
  #bytes: Uint8Array = EMPTY
  /** Where unread bytes begin and end in `#bytes`. */
  #start = 0
  #end = 0
  /** May be written behind `#end`: nobody has a view there. */
  #isOwned = false
  #skipped = 0
  /** Nothing can be read before so many bytes are there. */
  #wanted = 0
  /** Of the next unread byte, in the stream. */
  offset = 0

  get isEmpty(): boolean {
    return this.#start === this.#end && this.#skipped === 0
  }

  push(bytes: Uint8Array): void {
    let rest = bytes
    if (this.#skipped > 0) {
      const skipped = Math.min(this.#skipped, rest.length)
      this.#skipped -= skipped
      this.offset += skipped
      rest = rest.subarray(skipped)
    }
    if (rest.length === 0) return
    if (this.#start === this.#end) {
      this.#bytes = rest
      this.#start = 0
      this.#end = rest.length
      this.#isOwned = false
      return
    }
    const length = this.#end - this.#start + rest.length
    if (!this.#isOwned || this.#end + rest.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * length, MIN_GATHERED))
      grown.set(this.#bytes.subarray(this.#start, this.#end))
      this.#bytes = grown
      this.#end -= this.#start
      this.#start = 0
      this.#isOwned = true
    }
    this.#bytes.set(rest, this.#end)
    this.#end += rest.length
  }

  /** What was handed out as views keeps its buffer; the rest goes on in another. */
  settle(): void {
    if (this.#start === 0 || this.#start === this.#end) return
    this.#bytes = this.#bytes.subarray(this.#start, this.#end)
    this.#end -= this.#start
    this.#start = 0
    this.#isOwned = false
  }

  /** Of the next element, relative to it; `null` before it has come. */
  head(): ElementHead | null {
    if (this.#skipped > 0 || this.#end - this.#start < this.#wanted) return null
    try {
      return readElementHead(this.#bytes.subarray(this.#start, this.#end), 0)
    } catch (error) {
      if (!(error instanceof MalformedMediaError)) throw error
      throw new MalformedMediaError('no element begins here', { offset: this.offset, path: 'EBML' })
    }
  }

  /** The next bytes, which are there. */
  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#start, this.#start + length)
    this.#start += length
    this.offset += length
    this.#wanted = 0
    return taken
  }

  /** `null` until as many bytes are there. */
  takeWhole(length: number): Uint8Array | null {
    if (this.#end - this.#start >= length) return this.take(length)
    this.#wanted = length
    return null
  }

  skip(length: number): void {
    const here = Math.min(length, this.#end - this.#start)
    this.take(here)
    this.#skipped = length - here
  }
}

const EMPTY = new Uint8Array(0)
const MIN_GATHERED = 4096
