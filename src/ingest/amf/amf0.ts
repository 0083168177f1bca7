import { Amf3Reader } from './amf3.ts'
import { AmfCursor, type AmfObject, type AmfValue } from './amf-cursor.ts'

/** AMF 0 (Action Message Format, 2007): the values of RTMP commands and of FLV metadata. */
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
  /** "avmplus": one value of AMF 3. */
  amf3: 0x11,
} as const

/**
 * Decodes all values of a message.
 *
 * @throws MalformedMediaError on anything that is not AMF 0, nests deeper than 16 or has more than
 *   4096 values
 */
export function decodeAmf0(bytes: Uint8Array): AmfValue[] {
  const cursor = new AmfCursor(bytes)
  const values: AmfValue[] = []
  while (!cursor.atEnd) values.push(readValue(cursor, 0))
  return values
}

function readValue(cursor: AmfCursor, depth: number): AmfValue {
  cursor.admit(depth)
  const marker = cursor.byte()
  switch (marker) {
    case MARKER.number:
      return cursor.double()
    case MARKER.boolean:
      return cursor.byte() !== 0
    case MARKER.string:
      return readText(cursor)
    case MARKER.longString:
    case MARKER.xmlDocument:
      return cursor.text(cursor.view.getUint32(cursor.take(4)))
    case MARKER.null:
      return null
    case MARKER.undefined:
    case MARKER.unsupported:
      return undefined
    case MARKER.reference:
      cursor.take(2) // encoders of streams never share objects
      return undefined
    case MARKER.object:
      return readProperties(cursor, depth)
    case MARKER.typedObject:
      readText(cursor)
      return readProperties(cursor, depth)
    case MARKER.ecmaArray:
      cursor.take(4) // a count that encoders get wrong; the end marker decides
      return readProperties(cursor, depth)
    case MARKER.strictArray:
      return readElements(cursor, depth)
    case MARKER.date: {
      const date = new Date(cursor.double())
      cursor.take(2) // time zone, reserved
      return date
    }
    case MARKER.amf3: // each such value has reference tables of its own
      return new Amf3Reader(cursor).value(depth)
    default:
      throw cursor.malformed(`has marker 0x${marker.toString(16)}`)
  }
}

function readText(cursor: AmfCursor): string {
  return cursor.text(cursor.view.getUint16(cursor.take(2)))
}

function readProperties(cursor: AmfCursor, depth: number): AmfObject {
  const properties = new Map<string, AmfValue>()
  // Some encoders leave out the end marker of the last object of a message.
  while (!cursor.atEnd) {
    const key = readText(cursor)
    if (key === '' && cursor.next === MARKER.objectEnd) {
      cursor.take(1)
      break
    }
    properties.set(key, readValue(cursor, depth + 1))
  }
  return properties
}

function readElements(cursor: AmfCursor, depth: number): AmfValue[] {
  const count = cursor.view.getUint32(cursor.take(4))
  const elements: AmfValue[] = []
  for (let i = 0; i < count; i++) elements.push(readValue(cursor, depth + 1))
  return elements
}

/** What {@link encodeAmf0} takes: what we say to a peer. */
export type Amf0Answer =
  number | boolean | string | null | readonly Amf0Answer[] | { readonly [key: string]: Amf0Answer }

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
