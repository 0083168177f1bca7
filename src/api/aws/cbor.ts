/**
 * CBOR (RFC 8949) as far as the protocol needs it: integers, floats, byte and text strings, arrays,
 * maps with text keys, booleans, null, and tag 1 for times, each in definite and indefinite length.
 * The dialect of the service: tag 1 holds epoch milliseconds, where RFC 8949 §3.4.2 has seconds.
 */
export type CborValue =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | CborTime
  | readonly CborValue[]
  | { readonly [name: string]: CborValue | undefined }

/** What stands under tag 1. */
export class CborTime {
  readonly epochMs: number

  constructor(epochMs: number) {
    this.epochMs = epochMs
  }
}

/** Structures of the API are five deep; what is deeper was made to hurt. */
const MAX_DEPTH = 32
const BREAK = Symbol('break')

/** @throws RangeError when the bytes are no single document of this kind */
export function decodeCbor(bytes: Buffer): CborValue {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  if (value === BREAK || !reader.isAtEnd) throw malformed('bytes behind the document')
  return value
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  value(depth: number): CborValue | typeof BREAK {
    if (depth > MAX_DEPTH) throw malformed('nesting')
    const initial = this.#take(1)[0]!
    const info = initial & 0x1f
    switch (initial >> 5) {
      case 0:
        return this.#argument(info)
      case 1:
        return -1 - this.#argument(info)
      case 2:
        return this.#string(2, info)
      case 3:
        return this.#string(3, info).toString('utf8')
      case 4:
        return this.#array(info, depth)
      case 5:
        return this.#map(info, depth)
      case 6:
        return this.#tagged(this.#argument(info), depth)
      default:
        return this.#simple(info)
    }
  }

  /** RFC 8949 §3: the value itself, or so many bytes of it that follow. */
  #argument(info: number): number {
    if (info < 24) return info
    switch (info) {
      case 24:
        return this.#take(1)[0]!
      case 25:
        return this.#take(2).readUInt16BE()
      case 26:
        return this.#take(4).readUInt32BE()
      case 27:
        return Number(this.#take(8).readBigUInt64BE())
      default:
        throw malformed('an argument')
    }
  }

  /** §3.2.3: one of indefinite length is made of definite ones of its own type. */
  #string(majorType: number, info: number): Buffer {
    if (info !== 31) return this.#take(this.#argument(info))
    const chunks: Buffer[] = []
    for (;;) {
      const initial = this.#take(1)[0]!
      if (initial === 0xff) return Buffer.concat(chunks)
      if (initial >> 5 !== majorType) throw malformed('a chunk of another type')
      chunks.push(this.#take(this.#argument(initial & 0x1f)))
    }
  }

  #array(info: number, depth: number): CborValue[] {
    const values: CborValue[] = []
    for (let left = this.#count(info); left > 0; left--) {
      const value = this.value(depth + 1)
      if (value === BREAK) {
        if (left !== Infinity) throw malformed('a break')
        break
      }
      values.push(value)
    }
    return values
  }

  #map(info: number, depth: number): CborValue {
    const pairs: [string, CborValue][] = []
    for (let left = this.#count(info); left > 0; left--) {
      const name = this.value(depth + 1)
      if (name === BREAK && left === Infinity) break
      if (typeof name !== 'string') throw malformed('a key that is not text')
      const value = this.value(depth + 1)
      if (value === BREAK) throw malformed('a break')
      pairs.push([name, value])
    }
    return Object.fromEntries(pairs)
  }

  /** Elements that follow; each takes a byte at least, so a count cannot promise what is not there. */
  #count(info: number): number {
    if (info === 31) return Infinity
    const count = this.#argument(info)
    if (count > this.#bytes.length - this.#at) throw malformed('a length')
    return count
  }

  #tagged(tag: number, depth: number): CborValue {
    const value = this.value(depth + 1)
    if (tag === 1 && typeof value === 'number') return new CborTime(value)
    if (tag === 1 || value === BREAK) throw malformed('a time that is no number')
    return value
  }

  #simple(info: number): CborValue | typeof BREAK {
    switch (info) {
      case 20:
      case 21:
        return info === 21
      case 22:
      case 23:
        return null
      case 25:
        return halfFloat(this.#take(2).readUInt16BE())
      case 26:
        return this.#take(4).readFloatBE()
      case 27:
        return this.#take(8).readDoubleBE()
      case 31:
        return BREAK
      default:
        throw malformed('a simple value')
    }
  }

  #take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length) throw malformed('an end within a value')
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}

/** IEEE 754 binary16. */
function halfFloat(bits: number): number {
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  const sign = bits >> 15 === 1 ? -1 : 1
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

function malformed(what: string): RangeError {
  return new RangeError(`Malformed CBOR: ${what}`)
}

/** Members that are `undefined` are left out, as JSON does. */
export function encodeCbor(value: CborValue): Buffer {
  const writer = new Writer()
  writer.value(value)
  return writer.bytes()
}

class Writer {
  #bytes = Buffer.allocUnsafe(1024)
  #length = 0

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  value(value: CborValue): void {
    if (typeof value === 'string') {
      const length = Buffer.byteLength(value)
      this.#head(3, length)
      this.#room(length)
      this.#length += this.#bytes.write(value, this.#length)
    } else if (typeof value === 'number') {
      this.#number(value)
    } else if (typeof value === 'boolean') {
      this.#byte(value ? 0xf5 : 0xf4)
    } else if (value === null) {
      this.#byte(0xf6)
    } else if (value instanceof Uint8Array) {
      this.#head(2, value.byteLength)
      this.#room(value.byteLength)
      this.#bytes.set(value, this.#length)
      this.#length += value.byteLength
    } else if (value instanceof CborTime) {
      this.#head(6, 1)
      this.#number(value.epochMs)
    } else if (isList(value)) {
      this.#head(4, value.length)
      for (const element of value) this.value(element)
    } else {
      const pairs = Object.entries(value).filter(([, member]) => member !== undefined)
      this.#head(5, pairs.length)
      for (const [name, member] of pairs) {
        this.value(name)
        this.value(member!)
      }
    }
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value < 0) this.#head(1, -1 - value)
      else this.#head(0, value)
      return
    }
    this.#byte(0xfb)
    this.#room(8)
    this.#length = this.#bytes.writeDoubleBE(value, this.#length)
  }

  #head(majorType: number, argument: number): void {
    const type = majorType << 5
    if (argument < 24) {
      this.#byte(type | argument)
    } else if (argument < 0x100) {
      this.#byte(type | 24)
      this.#byte(argument)
    } else if (argument < 0x1_0000) {
      this.#byte(type | 25)
      this.#room(2)
      this.#length = this.#bytes.writeUInt16BE(argument, this.#length)
    } else if (argument < 0x1_0000_0000) {
      this.#byte(type | 26)
      this.#room(4)
      this.#length = this.#bytes.writeUInt32BE(argument, this.#length)
    } else {
      this.#byte(type | 27)
      this.#room(8)
      this.#length = this.#bytes.writeBigUInt64BE(BigInt(argument), this.#length)
    }
  }

  #byte(byte: number): void {
    this.#room(1)
    this.#bytes[this.#length++] = byte
  }

  #room(length: number): void {
    const needed = this.#length + length
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** `Array.isArray` does not narrow lists that are read-only. */
function isList(value: CborValue): value is readonly CborValue[] {
  return Array.isArray(value)
}
