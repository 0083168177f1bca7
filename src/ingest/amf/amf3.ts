import type { AmfCursor, AmfObject, AmfValue } from './amf-cursor.ts'

/**
 * AMF 3 (Action Message Format, 2013), which AMF 0 messages switch to value by value. Flash-based
 * encoders send their command objects in it. Texts and traits are found again by reference; other
 * references (an object inside itself) come out as `undefined`, since no encoder needs them.
 */
export class Amf3Reader {
  readonly #cursor: AmfCursor
  readonly #texts: string[] = []
  readonly #traits: Traits[] = []

  constructor(cursor: AmfCursor) {
    this.#cursor = cursor
  }

  /** @throws MalformedMediaError; also on externalizable objects, whose form only their class knows */
  value(depth: number): AmfValue {
    const cursor = this.#cursor
    cursor.admit(depth)
    const marker = cursor.byte()
    switch (marker) {
      case MARKER.undefined:
        return undefined
      case MARKER.null:
        return null
      case MARKER.false:
        return false
      case MARKER.true:
        return true
      case MARKER.integer:
        return (this.#unsigned29() << 3) >> 3
      case MARKER.double:
        return cursor.double()
      case MARKER.string:
        return this.#text()
      case MARKER.date:
        return this.#referenced() === null ? undefined : new Date(cursor.double())
      case MARKER.array:
        return this.#array(depth)
      case MARKER.object:
        return this.#object(depth)
      case MARKER.xmlDocument:
      case MARKER.xml: {
        const length = this.#referenced()
        return length === null ? undefined : cursor.text(length)
      }
      case MARKER.byteArray: {
        const length = this.#referenced()
        if (length === null) return undefined
        const start = cursor.take(length)
        return cursor.bytes.slice(start, start + length)
      }
      case MARKER.vectorInt:
        return this.#vector(() => cursor.view.getInt32(cursor.take(4)))
      case MARKER.vectorUnsigned:
        return this.#vector(() => cursor.view.getUint32(cursor.take(4)))
      case MARKER.vectorDouble:
        return this.#vector(() => cursor.double())
      default: // vectors of objects and dictionaries: of no command, and of no metadata
        throw cursor.malformed(`has AMF 3 marker 0x${marker.toString(16)}`)
    }
  }

  /** §1.3.1: seven bits a byte, the fourth byte eight. */
  #unsigned29(): number {
    let value = 0
    for (let i = 0; i < 3; i++) {
      const byte = this.#cursor.byte()
      value = (value << 7) | (byte & 0x7f)
      if ((byte & 0x80) === 0) return value
    }
    return (value << 8) | this.#cursor.byte()
  }

  /** The number behind a "not a reference" bit; `null` for a reference. */
  #referenced(): number | null {
    const value = this.#unsigned29()
    return (value & 1) === 0 ? null : value >>> 1
  }

  #text(): string {
    const value = this.#unsigned29()
    if ((value & 1) === 0) {
      const known = this.#texts[value >>> 1]
      if (known === undefined) throw this.#cursor.malformed('refers to a text that is not there')
      return known
    }
    const text = this.#cursor.text(value >>> 1)
    if (text !== '') this.#texts.push(text) // §1.3.2: the empty string is never a reference
    return text
  }

  /** §3.11: named members up to an empty name, then the dense part. */
  #array(depth: number): AmfValue {
    const count = this.#referenced()
    if (count === null) return undefined
    const named = this.#members(depth)
    const dense: AmfValue[] = []
    for (let i = 0; i < count; i++) dense.push(this.value(depth + 1))
    if (named.size === 0) return dense
    return new Map([...named, ...dense.map((value, i) => [String(i), value] as const)])
  }

  /** §3.12. */
  #object(depth: number): AmfObject | undefined {
    const head = this.#unsigned29()
    if ((head & 1) === 0) return undefined
    const traits = (head & 2) === 0 ? this.#knownTraits(head >>> 2) : this.#newTraits(head)
    const object = new Map<string, AmfValue>()
    for (const name of traits.names) object.set(name, this.value(depth + 1))
    if (traits.isDynamic) {
      for (const [name, value] of this.#members(depth)) object.set(name, value)
    }
    return object
  }

  #knownTraits(index: number): Traits {
    const known = this.#traits[index]
    if (known === undefined) throw this.#cursor.malformed('refers to traits that are not there')
    return known
  }

  #newTraits(head: number): Traits {
    if ((head & 4) !== 0) throw this.#cursor.malformed('has an externalizable object')
    this.#text() // the class's name
    const names: string[] = []
    for (let i = head >>> 4; i > 0; i--) {
      this.#cursor.admit(0)
      names.push(this.#text())
    }
    const traits = { names, isDynamic: (head & 8) !== 0 }
    this.#traits.push(traits)
    return traits
  }

  #members(depth: number): Map<string, AmfValue> {
    const members = new Map<string, AmfValue>()
    for (let name = this.#text(); name !== ''; name = this.#text()) {
      members.set(name, this.value(depth + 1))
    }
    return members
  }

  /** §3.15: a count, a byte that says whether it may grow, the numbers. */
  #vector(read: () => number): AmfValue {
    const count = this.#referenced()
    if (count === null) return undefined
    this.#cursor.take(1)
    const values: number[] = []
    for (let i = 0; i < count; i++) {
      this.#cursor.admit(0)
      values.push(read())
    }
    return values
  }
}

type Traits = { readonly names: readonly string[]; readonly isDynamic: boolean }

const MARKER = {
  undefined: 0x00,
  null: 0x01,
  false: 0x02,
  true: 0x03,
  integer: 0x04,
  double: 0x05,
  string: 0x06,
  xmlDocument: 0x07,
  date: 0x08,
  array: 0x09,
  object: 0x0a,
  xml: 0x0b,
  byteArray: 0x0c,
  vectorInt: 0x0d,
  vectorUnsigned: 0x0e,
  vectorDouble: 0x0f,
} as const
