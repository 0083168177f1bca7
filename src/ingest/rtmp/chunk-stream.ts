import { RtmpProtocolError } from './rtmp-error.ts'

/**
 * The chunk stream of RTMP 1.0 §5.3 as an incremental parser: bytes in any pieces, messages out.
 * Set Chunk Size and Abort are obeyed here and never come out; everything else does.
 *
 * ```
 * basic header 1..3      message header 11, 7, 3 or 0                extended timestamp 0 or 4
 * | fmt 2 | csid 6 ... | timestamp 3 | length 3 | type 1 | stream 4LE | ...
 * ```
 *
 * Bounds, whatever the peer sends:
 * 1. a message is at most `maxMessageBytes`;
 * 2. memory for it grows with the bytes that came (at most twofold, in steps of at least 4 KiB),
 *    never by its announced length;
 * 3. all half-assembled messages together take at most `maxPendingBytes`;
 * 4. at most `maxChunkStreams` chunk stream ids are known.
 */
export type ChunkLimits = {
  readonly maxMessageBytes: number
  readonly maxPendingBytes: number
  readonly maxChunkStreams: number
}

export type RtmpMessage = {
  readonly chunkStreamId: number
  readonly typeId: number
  readonly messageStreamId: number
  /** Milliseconds, 32 bits, wraps. */
  readonly timestamp: number
  /** Its own bytes: exactly the message, and never written again. */
  readonly payload: Uint8Array
}

type ChunkStream = {
  readonly id: number
  timestamp: number
  /** The last chunk's timestamp field: an absolute time after fmt 0, otherwise a delta. */
  timestampField: number
  extended: boolean
  length: number
  typeId: number
  messageStreamId: number
  /** The message in progress; `null` between messages. */
  payload: Uint8Array | null
  received: number
}

export const DEFAULT_CHUNK_BYTES = 128
/** §5.4.1: "larger sizes ... are equivalent" since no message is longer; 0x7fffffff is an attack. */
const MAX_CHUNK_BYTES = 0xff_ffff
const EXTENDED_TIMESTAMP = 0xff_ffff
const MAX_HEADER_BYTES = 3 + 11 + 4
const MESSAGE_HEADER_BYTES = [11, 7, 3, 0] as const
/** First allocation for a message whose bytes have not come yet. */
const FIRST_ALLOCATION_BYTES = 4096

export const TYPE_SET_CHUNK_SIZE = 1
export const TYPE_ABORT = 2

const NOTHING = new Uint8Array(0)

export class ChunkStreamReader {
  #limits: ChunkLimits
  readonly #streams = new Map<number, ChunkStream>()
  #chunkBytes = DEFAULT_CHUNK_BYTES
  #pendingBytes = 0

  #input: Uint8Array = NOTHING
  #offset = 0
  /** Bytes of a header that was split between two inputs. */
  readonly #carry = new Uint8Array(2 * MAX_HEADER_BYTES)
  #carryLength = 0
  /** The chunk whose payload is being read. */
  #current: ChunkStream | null = null
  #chunkLeft = 0

  constructor(limits: ChunkLimits) {
    this.#limits = limits
  }

  /** Memory held for messages that are not complete. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** For a peer that has been authorised since. */
  setLimits(limits: ChunkLimits): void {
    this.#limits = limits
  }

  /** Gives the next bytes. They are read by {@link next} and not kept after it answered `null`. */
  push(bytes: Uint8Array): void {
    if (this.#offset === this.#input.length) {
      this.#input = bytes
      this.#offset = 0
      return
    }
    this.#input = Buffer.concat([this.#input.subarray(this.#offset), bytes])
    this.#offset = 0
  }

  /**
   * @returns `null` when all bytes so far are read
   * @throws RtmpProtocolError; the reader is of no use after it
   */
  next(): RtmpMessage | null {
    while (this.#current !== null || this.#offset < this.#input.length) {
      if (this.#current === null && !this.#readHeader()) break
      const complete = this.#readPayload()
      if (complete === null) {
        if (this.#offset === this.#input.length) break
      } else if (complete.typeId === TYPE_SET_CHUNK_SIZE) {
        this.#setChunkSize(complete.payload)
      } else if (complete.typeId === TYPE_ABORT) {
        this.#abort(complete.payload)
      } else {
        return complete
      }
    }
    if (this.#offset === this.#input.length) {
      this.#input = NOTHING
      this.#offset = 0
    }
    return null
  }

  /** @returns false when the input ends inside the header, which is then carried over */
  #readHeader(): boolean {
    if (this.#carryLength === 0) {
      const used = this.#parseHeader(this.#input, this.#offset, this.#input.length)
      if (used > 0) {
        this.#offset += used
        return true
      }
      this.#carry.set(this.#input.subarray(this.#offset), 0)
      this.#carryLength = this.#input.length - this.#offset
      this.#offset = this.#input.length
      return false
    }
    const borrowed = Math.min(MAX_HEADER_BYTES, this.#input.length - this.#offset)
    this.#carry.set(this.#input.subarray(this.#offset, this.#offset + borrowed), this.#carryLength)
    const used = this.#parseHeader(this.#carry, 0, this.#carryLength + borrowed)
    if (used === 0) {
      this.#carryLength += borrowed
      this.#offset += borrowed
      return false
    }
    this.#offset += used - this.#carryLength
    this.#carryLength = 0
    return true
  }

  /** @returns the header's size, 0 when it is not all there */
  #parseHeader(bytes: Uint8Array, start: number, end: number): number {
    // §5.3.1.1: ids 2..63 in the byte itself, 64..319 in a second, 64..65599 in two more, of which
    // the third counts 256s.
    const first = bytes[start]!
    const format = first >> 6
    let id = first & 0x3f
    let offset = start + 1
    if (id === 0) {
      if (offset + 1 > end) return 0
      id = 64 + bytes[offset]!
      offset += 1
    } else if (id === 1) {
      if (offset + 2 > end) return 0
      id = 64 + bytes[offset]! + 256 * bytes[offset + 1]!
      offset += 2
    }

    const headerBytes = MESSAGE_HEADER_BYTES[format]!
    if (offset + headerBytes > end) return 0
    const known = this.#streams.get(id)
    const field = format === 3 ? (known?.timestampField ?? 0) : readUint24(bytes, offset)
    const extended = format === 3 ? (known?.extended ?? false) : field === EXTENDED_TIMESTAMP
    if (offset + headerBytes + (extended ? 4 : 0) > end) return 0

    const stream = known ?? this.#addStream(id, format)
    if (stream.payload !== null && format !== 3) {
      throw new RtmpProtocolError('a message header inside a message', { chunkStreamId: id })
    }
    if (format <= 1) {
      stream.length = readUint24(bytes, offset + 3)
      stream.typeId = bytes[offset + 6]!
      this.#checkLength(stream)
    }
    if (format === 0) stream.messageStreamId = readUint32LittleEndian(bytes, offset + 7)
    offset += headerBytes
    stream.extended = extended
    // §5.3.1.3: a type 3 chunk repeats the extended timestamp of its chunk stream too.
    const time = extended ? readUint32(bytes, offset) : field
    if (extended) offset += 4

    if (stream.payload === null) {
      stream.timestampField = time
      // §5.3.1.2.4: a type 3 chunk that begins a message advances by the last field, even when that
      // was a type 0's absolute timestamp; FFmpeg's writer counts on it.
      stream.timestamp = format === 0 ? time : (stream.timestamp + time) >>> 0
      stream.received = 0
      stream.payload = NOTHING
    }
    this.#current = stream
    this.#chunkLeft = Math.min(this.#chunkBytes, stream.length - stream.received)
    return offset - start
  }

  #addStream(id: number, format: number): ChunkStream {
    // librtmp starts its ping on a fresh chunk stream with type 1: there the stream id is 0.
    if (format > 1) {
      throw new RtmpProtocolError(`chunk type ${format} on a new chunk stream`, {
        chunkStreamId: id,
      })
    }
    if (this.#streams.size >= this.#limits.maxChunkStreams) {
      throw new RtmpProtocolError(`more than ${this.#limits.maxChunkStreams} chunk streams`, {
        chunkStreamId: id,
      })
    }
    const stream: ChunkStream = {
      id,
      timestamp: 0,
      timestampField: 0,
      extended: false,
      length: 0,
      typeId: 0,
      messageStreamId: 0,
      payload: null,
      received: 0,
    }
    this.#streams.set(id, stream)
    return stream
  }

  #checkLength(stream: ChunkStream): void {
    if (stream.length <= this.#limits.maxMessageBytes) return
    throw new RtmpProtocolError(
      `a message of ${stream.length} bytes; at most ${this.#limits.maxMessageBytes} are allowed`,
      { chunkStreamId: stream.id, typeId: stream.typeId },
    )
  }

  /** @returns the message when this was its last byte */
  #readPayload(): RtmpMessage | null {
    const stream = this.#current!
    const count = Math.min(this.#chunkLeft, this.#input.length - this.#offset)
    if (count > 0) {
      const target = this.#reserve(stream, count)
      copyBytes(this.#input, this.#offset, target, stream.received, count)
      this.#offset += count
      stream.received += count
      this.#chunkLeft -= count
    }
    if (this.#chunkLeft > 0) return null
    this.#current = null
    if (stream.received < stream.length) return null

    const payload = stream.payload!
    this.#pendingBytes -= payload.length
    stream.payload = null
    return {
      chunkStreamId: stream.id,
      typeId: stream.typeId,
      messageStreamId: stream.messageStreamId,
      timestamp: stream.timestamp,
      payload,
    }
  }

  /** Room for `count` more bytes of the message; it has the exact size in the end. */
  #reserve(stream: ChunkStream, count: number): Uint8Array {
    const have = stream.payload!
    const needed = stream.received + count
    if (needed <= have.length) return have
    // What is already in the input belongs to this message for the most part, so a message that
    // came in one read gets its exact buffer at once.
    const arrived = stream.received + this.#input.length - this.#offset
    const room = Math.max(needed, arrived, 2 * have.length, FIRST_ALLOCATION_BYTES)
    const size = Math.min(stream.length, room)
    if (this.#pendingBytes + size - have.length > this.#limits.maxPendingBytes) {
      throw new RtmpProtocolError(
        `half-assembled messages take more than ${this.#limits.maxPendingBytes} bytes`,
        { chunkStreamId: stream.id },
      )
    }
    const grown = Buffer.allocUnsafe(size)
    grown.set(have.subarray(0, stream.received))
    this.#pendingBytes += size - have.length
    stream.payload = grown
    return grown
  }

  #setChunkSize(payload: Uint8Array): void {
    const size = payload.length >= 4 ? readUint32(payload, 0) : 0
    if (size < 1 || size > MAX_CHUNK_BYTES) {
      throw new RtmpProtocolError(`Set Chunk Size to ${size}`, { typeId: TYPE_SET_CHUNK_SIZE })
    }
    this.#chunkBytes = size
  }

  /** §5.4.2: drops what has come of a message; its chunk stream goes on with the next one. */
  #abort(payload: Uint8Array): void {
    if (payload.length < 4) throw new RtmpProtocolError('Abort without a chunk stream id')
    const stream = this.#streams.get(readUint32(payload, 0))
    if (stream === undefined || stream.payload === null) return
    this.#pendingBytes -= stream.payload.length
    stream.payload = null
    stream.received = 0
  }
}

/** The smaller pieces are below the cost of a native call. */
function copyBytes(
  from: Uint8Array,
  fromOffset: number,
  to: Uint8Array,
  toOffset: number,
  count: number,
): void {
  if (count <= 24) {
    for (let i = 0; i < count; i++) to[toOffset + i] = from[fromOffset + i]!
    return
  }
  to.set(from.subarray(fromOffset, fromOffset + count), toOffset)
}

function readUint24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
}

function readUint32(bytes: Uint8Array, at: number): number {
  return readUint24(bytes, at + 1) + bytes[at]! * 0x100_0000
}

function readUint32LittleEndian(bytes: Uint8Array, at: number): number {
  return (
    bytes[at]! + bytes[at + 1]! * 0x100 + bytes[at + 2]! * 0x1_0000 + bytes[at + 3]! * 0x100_0000
  )
}
