import { RtmpProtocolError } from './rtmp-error.ts'

/**
 * AMF 0 (Action Message Format, 2007): the values of RTMP commands and metadata. Objects become
 * Maps, so no key a peer invents (`__proto__`) means anything to the language.
 */
export type Amf0Value =
  number | boolean | string | null | undefined | Date | Amf0Object | readonly Amf0Value[]

export type Amf0Object = ReadonlyMap<string, Amf0Value>

/** What {@link encodeAmf0} takes: what a server answers with. */
export type Amf0Answer =
  number | boolean | string | null | readonly Amf0Answer[] | { readonly [key: string]: Amf0Answer }

/** Real commands nest twice. */
const MAX_DEPTH = 16
/** All values of one message, so that no small message becomes a large structure. */
const MAX_VALUES = 4096

const MARKER = {
  number: 0x00,
  boolean: 0x01,
  string: 0x02,
  object: 0x03,
  null: 0x05,
  undefined: 0x06,
  reference: 0x07,
  ecmaArray: 0x08,
  objectEnd: 0x09,
  strictArray: 0x0a,
  date: 0x0b,
  longString: 0x0c,
  unsupported: 0x0d,
  xmlDocument: 0x0f,
  typedObject: 0x10,
} as const

/**
 * Decodes all values of a message.
 *
 * @throws RtmpProtocolError on anything that is not AMF 0, nests deeper than 16 or has more than
 *   4096 values
 */
export function decodeAmf0(bytes: Uint8Array): Amf0Value[] {
  const decoder = new Decoder(bytes)
  const values: Amf0Value[] = []
  while (!decoder.atEnd) values.push(decoder.value(0))
  return values
}

class Decoder {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0
  #values = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.#offset >= this.#bytes.length
  }

  value(depth: number): Amf0Value {
    if (depth > MAX_DEPTH) throw this.#malformed(`nests deeper than ${MAX_DEPTH}`)
    if (++this.#values > MAX_VALUES) throw this.#malformed(`has more than ${MAX_VALUES} values`)
    const marker = this.#bytes[this.#take(1)]!
    switch (marker) {
      case MARKER.number:
        return this.#view.getFloat64(this.#take(8))
      case MARKER.boolean:
        return this.#bytes[this.#take(1)] !== 0
      case MARKER.string:
        return this.#text(this.#view.getUint16(this.#take(2)))
      case MARKER.longString:
      case MARKER.xmlDocument:
        return this.#text(this.#view.getUint32(this.#take(4)))
      case MARKER.null:
        return null
      case MARKER.undefined:
      case MARKER.unsupported:
        return undefined
      case MARKER.reference:
        this.#take(2) // encoders of streams never share objects
        return undefined
      case MARKER.object:
        return this.#properties(depth)
      case MARKER.typedObject:
        this.#text(this.#view.getUint16(this.#take(2)))
        return this.#properties(depth)
      case MARKER.ecmaArray:
        this.#take(4) // a count that encoders get wrong; the end marker decides
        return this.#properties(depth)
      case MARKER.strictArray:
        return this.#elements(this.#view.getUint32(this.#take(4)), depth)
      case MARKER.date:
        return this.#date()
      default:
        throw this.#malformed(`has marker 0x${marker.toString(16)}`)
    }
  }

  #properties(depth: number): Amf0Object {
    const properties = new Map<string, Amf0Value>()
    // Some encoders leave out the end marker of the last object of a message.
    while (!this.atEnd) {
      const key = this.#text(this.#view.getUint16(this.#take(2)))
      if (key === '' && this.#bytes[this.#offset] === MARKER.objectEnd) {
        this.#take(1)
        break
      }
      properties.set(key, this.value(depth + 1))
    }
    return properties
  }

  #elements(count: number, depth: number): Amf0Value[] {
    const elements: Amf0Value[] = []
    for (let i = 0; i < count; i++) elements.push(this.value(depth + 1))
    return elements
  }

  #date(): Date {
    const milliseconds = this.#view.getFloat64(this.#take(8))
    this.#take(2) // time zone, reserved
    return new Date(milliseconds)
  }

  #text(length: number): string {
    const start = this.#take(length)
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, length).toString('utf8')
  }

  /** Moves over `count` bytes and says where they begin. */
  #take(count: number): number {
    const start = this.#offset
    if (start + count > this.#bytes.length) throw this.#malformed('ends inside a value')
    this.#offset = start + count
    return start
  }

  #malformed(what: string): RtmpProtocolError {
    return new RtmpProtocolError(`AMF0 message ${what}`, { offset: this.#offset })
  }
}

export function encodeAmf0(...values: readonly Amf0Answer[]): Uint8Array {
  return Buffer.concat(values.map(encodeValue))
}

function encodeValue(value: Amf0Answer): Uint8Array {
  if (value === null) return Uint8Array.of(MARKER.null)
  switch (typeof value) {
    case 'number': {
      const bytes = Buffer.alloc(9)
      bytes.writeDoubleBE(value, 1)
      return bytes
    }
    case 'boolean':
      return Uint8Array.of(MARKER.boolean, value ? 1 : 0)
    case 'string':
      return Buffer.concat([Uint8Array.of(MARKER.string), encodeText(value)])
    default:
      return isList(value) ? encodeList(value) : encodeObject(value)
  }
}

function isList(value: object): value is readonly Amf0Answer[] {
  return Array.isArray(value)
}

function encodeList(values: readonly Amf0Answer[]): Uint8Array {
  const head = Buffer.alloc(5)
  head[0] = MARKER.strictArray
  head.writeUInt32BE(values.length, 1)
  return Buffer.concat([head, ...values.map(encodeValue)])
}

function encodeObject(value: { readonly [key: string]: Amf0Answer }): Uint8Array {
  const properties = Object.entries(value).flatMap(([key, member]) => [
    encodeText(key),
    encodeValue(member),
  ])
  const end = Uint8Array.of(0, 0, MARKER.objectEnd)
  return Buffer.concat([Uint8Array.of(MARKER.object), ...properties, end])
}

/** Texts of an answer are ours and short; 65,535 bytes is the format's limit. */
function encodeText(text: string): Uint8Array {
  const utf8 = Buffer.from(text, 'utf8')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(utf8.length)
  return Buffer.concat([length, utf8])
}
