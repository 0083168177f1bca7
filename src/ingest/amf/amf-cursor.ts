import { MalformedMediaError } from '../../domain/errors.ts'

/** Values of both AMF versions. Objects become Maps, so no key a peer invents (`__proto__`) means anything to the language. */
export type AmfValue =
  number | boolean | string | null | undefined | Date | Uint8Array | AmfObject | readonly AmfValue[]

export type AmfObject = ReadonlyMap<string, AmfValue>

/** Real commands nest twice. */
const MAX_DEPTH = 16
/** All values of one message, so that no small message becomes a large structure. */
const MAX_VALUES = 4096

/** A place in an AMF message that never leaves it, and the message's budget of values. */
export class AmfCursor {
  readonly bytes: Uint8Array
  readonly view: DataView
  #offset = 0
  #values = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.#offset >= this.bytes.length
  }

  /** The next byte, without moving. */
  get next(): number | undefined {
    return this.bytes[this.#offset]
  }

  /** Every value asks here before it is read. */
  admit(depth: number): void {
    if (depth > MAX_DEPTH) throw this.malformed(`nests deeper than ${MAX_DEPTH}`)
    if (++this.#values > MAX_VALUES) throw this.malformed(`has more than ${MAX_VALUES} values`)
  }

  byte(): number {
    return this.bytes[this.take(1)]!
  }

  double(): number {
    return this.view.getFloat64(this.take(8))
  }

  text(length: number): string {
    const start = this.take(length)
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, length).toString('utf8')
  }

  /** Moves over `count` bytes and says where they begin. */
  take(count: number): number {
    const start = this.#offset
    if (start + count > this.bytes.length) throw this.malformed('ends inside a value')
    this.#offset = start + count
    return start
  }

  malformed(what: string): MalformedMediaError {
    return new MalformedMediaError(`AMF message ${what}`, { offset: this.#offset, path: 'AMF' })
  }
}
