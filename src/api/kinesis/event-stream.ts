import { crc32 } from 'node:zlib'

export const EVENT_STREAM_TYPE = 'application/vnd.amazon.eventstream'

/** An answer that goes on: what `events` yields is pushed as it comes. */
export class EventStream {
  readonly events: AsyncIterable<EventMessage>

  constructor(events: AsyncIterable<EventMessage>) {
    this.events = events
  }
}

/** The payload is rendered already, in the content type of the call. */
export type EventMessage = { readonly type: string; readonly payload: Buffer }

/** Bytes of a header's value are counted in 16 bits; type 7 is text. */
const STRING_TYPE = 7

/**
 * One frame of an event stream. All integers are big-endian.
 *
 * ```
 *  0  4  length of the whole frame          12 ..  headers: u8 length of the name, name,
 *  4  4  length of the headers                     u8 type 7, u16 length of the value, value
 *  8  4  CRC-32 of bytes 0..7               ..     payload
 *                                           end 4  CRC-32 of everything before
 * ```
 */
export function encodeFrame(headers: Readonly<Record<string, string>>, payload: Buffer): Buffer {
  const headerBytes = Object.entries(headers).reduce(
    (sum, [name, value]) => sum + 4 + name.length + Buffer.byteLength(value),
    0,
  )
  const frame = Buffer.allocUnsafe(16 + headerBytes + payload.length)
  frame.writeUInt32BE(frame.length, 0)
  frame.writeUInt32BE(headerBytes, 4)
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8)
  let at = 12
  for (const [name, value] of Object.entries(headers)) {
    at = frame.writeUInt8(name.length, at)
    at += frame.write(name, at, 'latin1')
    at = frame.writeUInt8(STRING_TYPE, at)
    at = frame.writeUInt16BE(Buffer.byteLength(value), at)
    at += frame.write(value, at)
  }
  payload.copy(frame, at)
  frame.writeUInt32BE(crc32(frame.subarray(0, -4)), frame.length - 4)
  return frame
}
