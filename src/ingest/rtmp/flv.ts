import { MalformedMediaError } from '../../domain/errors.ts'

/**
 * Bodies of RTMP audio and video messages: FLV tags (Adobe FLV 10.1, Annex E.4.2 and E.4.3) and
 * their extension by FourCC (Enhanced RTMP v2, "Enhanced Audio", "Enhanced Video"). Data parts are
 * views on the body, not copies.
 */
export type FlvVideo =
  | { readonly type: 'config'; readonly codec: VideoCodec; readonly record: Uint8Array }
  | {
      readonly type: 'sample'
      readonly codec: VideoCodec
      readonly isKey: boolean
      /** Presentation minus decode time, milliseconds; signed. */
      readonly compositionMs: number
      readonly data: Uint8Array
    }
  | FlvUnsupported
  | FlvNothing

export type FlvAudio =
  | { readonly type: 'config'; readonly record: Uint8Array }
  | { readonly type: 'sample'; readonly data: Uint8Array }
  | FlvUnsupported
  | FlvNothing

export type VideoCodec = 'avc' | 'hevc'

/** A codec that we know by name and do not take. */
export type FlvUnsupported = { readonly type: 'unsupported'; readonly codec: string }
/** Nothing to store: end of sequence, HDR metadata, a track besides the first, an empty tag. */
export type FlvNothing = { readonly type: 'nothing' }

const NOTHING: FlvNothing = { type: 'nothing' }

const FRAME_KEY = 1
const FRAME_INFO = 5

/** FLV CodecID. 12 is what the http-flv world uses for HEVC, with AVC's layout. */
const LEGACY_VIDEO: Record<number, VideoCodec> = { 7: 'avc', 12: 'hevc' }
const LEGACY_VIDEO_NAMES: Record<number, string> = {
  2: 'Sorenson H.263',
  3: 'Screen video',
  4: 'VP6',
  5: 'VP6 with alpha',
  6: 'Screen video 2',
  13: 'AV1 (codec id 13)',
}
const FOURCC_VIDEO: Record<string, VideoCodec> = { avc1: 'avc', hvc1: 'hevc' }

const PACKET_SEQUENCE_START = 0
const PACKET_CODED_FRAMES = 1
const PACKET_SEQUENCE_END = 2
const PACKET_CODED_FRAMES_X = 3
const AUDIO_PACKET_MULTITRACK = 5
const VIDEO_PACKET_MULTITRACK = 6
const PACKET_MOD_EX = 7

const MULTITRACK_ONE = 0
const MULTITRACK_MANY_CODECS = 2

const SOUND_AAC = 10
const SOUND_EXTENDED = 9
const SOUND_NAMES: Record<number, string> = {
  0: 'PCM',
  1: 'ADPCM',
  2: 'MP3',
  3: 'PCM',
  4: 'Nellymoser',
  5: 'Nellymoser',
  6: 'Nellymoser',
  7: 'G.711 A-law',
  8: 'G.711 mu-law',
  11: 'Speex',
  14: 'MP3',
}

/**
 * ```
 * legacy:    | frame type 4 | codec id 4 | packet type 8 | composition time s24 | data
 * by FourCC: | 1 | frame type 3 | packet type 4 | [ModEx] [multitrack] | FourCC | [s24] | data
 * ```
 *
 * @throws MalformedMediaError when the body ends inside its header
 */
export function parseFlvVideo(body: Uint8Array): FlvVideo {
  if (body.length === 0) return NOTHING
  const first = body[0]!
  if ((first & 0x80) !== 0) return parseExtendedVideo(body)
  const frameType = first >> 4
  if (frameType === FRAME_INFO) return NOTHING
  const codecId = first & 0x0f
  const codec = LEGACY_VIDEO[codecId]
  if (codec === undefined) {
    return { type: 'unsupported', codec: LEGACY_VIDEO_NAMES[codecId] ?? `codec id ${codecId}` }
  }
  const cursor = new Cursor(body, 1, 'FLV video tag')
  const packetType = cursor.byte()
  const compositionMs = cursor.signed24()
  const isKey = frameType === FRAME_KEY
  if (packetType === PACKET_SEQUENCE_START) return { type: 'config', codec, record: cursor.rest() }
  if (packetType !== PACKET_CODED_FRAMES) return NOTHING
  return toVideoSample(codec, isKey, compositionMs, cursor.rest())
}

/**
 * ```
 * legacy:    | sound format 4 | rate 2 | size 1 | channels 1 | [AAC: packet type 8] | data
 * by FourCC: | 9 | packet type 4 | [ModEx] [multitrack] | FourCC | data
 * ```
 *
 * @throws MalformedMediaError when the body ends inside its header
 */
export function parseFlvAudio(body: Uint8Array): FlvAudio {
  if (body.length === 0) return NOTHING
  const format = body[0]! >> 4
  if (format === SOUND_EXTENDED) return parseExtendedAudio(body)
  if (format !== SOUND_AAC) {
    return { type: 'unsupported', codec: SOUND_NAMES[format] ?? `sound format ${format}` }
  }
  const cursor = new Cursor(body, 1, 'FLV audio tag')
  const packetType = cursor.byte()
  return toAac(packetType, cursor.rest())
}

function parseExtendedVideo(body: Uint8Array): FlvVideo {
  const cursor = new Cursor(body, 0, 'enhanced FLV video tag')
  const first = cursor.byte()
  const frameType = (first >> 4) & 7
  const header = readExtendedHeader(cursor, first & 0x0f, VIDEO_PACKET_MULTITRACK)
  // "Enhanced Video": with a command frame a command byte stands where the FourCC would.
  if (frameType === FRAME_INFO || header === null) return NOTHING
  const codec = FOURCC_VIDEO[header.fourCc]
  if (codec === undefined) return { type: 'unsupported', codec: header.fourCc }
  const isKey = frameType === FRAME_KEY
  const inside = new Cursor(header.data, 0, 'enhanced FLV video tag')
  switch (header.packetType) {
    case PACKET_SEQUENCE_START:
      return { type: 'config', codec, record: header.data }
    case PACKET_CODED_FRAMES: {
      const compositionMs = inside.signed24()
      return toVideoSample(codec, isKey, compositionMs, inside.rest())
    }
    case PACKET_CODED_FRAMES_X: // "composition time offset is implied to equal zero"
      return toVideoSample(codec, isKey, 0, header.data)
    default:
      return NOTHING
  }
}

function parseExtendedAudio(body: Uint8Array): FlvAudio {
  const cursor = new Cursor(body, 0, 'enhanced FLV audio tag')
  const header = readExtendedHeader(cursor, cursor.byte() & 0x0f, AUDIO_PACKET_MULTITRACK)
  if (header === null) return NOTHING
  if (header.fourCc !== 'mp4a') return { type: 'unsupported', codec: header.fourCc }
  return toAac(header.packetType, header.data)
}

type ExtendedHeader = {
  readonly packetType: number
  readonly fourCc: string
  readonly data: Uint8Array
}

/** ModEx prefixes, the multitrack wrapping and the FourCC; `null` for another track's data. */
function readExtendedHeader(
  cursor: Cursor,
  firstPacketType: number,
  multitrack: number,
): ExtendedHeader | null {
  let packetType = firstPacketType
  while (packetType === PACKET_MOD_EX) {
    let size = cursor.byte() + 1
    if (size === 256) size = cursor.unsigned16() + 1
    cursor.skip(size) // the only one defined adds nanoseconds to the timestamp
    packetType = cursor.byte() & 0x0f
  }
  if (packetType !== multitrack) {
    // A command frame has one byte here and no FourCC.
    if (cursor.left < 4) {
      if (packetType === PACKET_SEQUENCE_END || cursor.left === 1) return null
      throw cursor.malformed('ends before its FourCC')
    }
    return { packetType, fourCc: cursor.fourCc(), data: cursor.rest() }
  }
  const kind = cursor.byte()
  const multitrackType = kind >> 4
  const shared = multitrackType === MULTITRACK_MANY_CODECS ? null : cursor.fourCc()
  // Only the first track is kept: track 0, "the highest priority" one.
  while (cursor.left > 0) {
    const fourCc = shared ?? cursor.fourCc()
    const trackId = cursor.byte()
    const data =
      multitrackType === MULTITRACK_ONE ? cursor.rest() : cursor.take(cursor.unsigned24())
    if (trackId === 0) return { packetType: kind & 0x0f, fourCc, data }
  }
  return null
}

function toVideoSample(
  codec: VideoCodec,
  isKey: boolean,
  compositionMs: number,
  data: Uint8Array,
): FlvVideo {
  if (data.length === 0) return NOTHING
  return { type: 'sample', codec, isKey, compositionMs, data }
}

function toAac(packetType: number, data: Uint8Array): FlvAudio {
  if (data.length === 0) return NOTHING
  if (packetType === PACKET_SEQUENCE_START) return { type: 'config', record: data }
  return packetType === PACKET_CODED_FRAMES ? { type: 'sample', data } : NOTHING
}

/** Reads a body's header, never past its end. */
class Cursor {
  readonly #bytes: Uint8Array
  readonly #path: string
  #offset: number

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

  take(count: number): Uint8Array {
    const start = this.#advance(count)
    return this.#bytes.subarray(start, this.#offset)
  }

  /** @returns where the next `count` bytes begin */
  #advance(count: number): number {
    if (count > this.left) throw this.malformed(`ends ${count - this.left} bytes early`)
    const start = this.#offset
    this.#offset += count
    return start
  }

  rest(): Uint8Array {
    return this.take(this.left)
  }

  malformed(what: string): MalformedMediaError {
    return new MalformedMediaError(what, { offset: this.#offset, path: this.#path })
  }
}

/** No encoder joins more than a second of media. */
const MAX_AGGREGATED = 1024

/** One message inside an aggregate. */
export type AggregatedMessage = {
  readonly typeId: number
  readonly timestamp: number
  readonly payload: Uint8Array
}

/**
 * Takes an aggregate message (type 22) apart (RTMP 1.0 §7.1.6).
 *
 * ```
 * each: | type 1 | size 3 | timestamp 3 + 1 high | stream 3 | data | back pointer 4 |
 * ```
 * @param timestamp of the aggregate: that of its first message, whatever that one itself says
 * @throws MalformedMediaError
 */
export function parseAggregate(body: Uint8Array, timestamp: number): AggregatedMessage[] {
  const HEADER_BYTES = 11
  const BACK_POINTER_BYTES = 4
  const messages: AggregatedMessage[] = []
  const cursor = new Cursor(body, 0, 'aggregate message')
  let firstTimestamp: number | null = null
  while (cursor.left >= HEADER_BYTES) {
    if (messages.length === MAX_AGGREGATED) throw cursor.malformed('has too many messages')
    const typeId = cursor.byte()
    const size = cursor.unsigned24()
    const low = cursor.unsigned24()
    const own = ((cursor.byte() << 24) | low) >>> 0
    cursor.skip(3)
    const payload = cursor.take(size)
    cursor.skip(Math.min(BACK_POINTER_BYTES, cursor.left))
    firstTimestamp ??= own
    messages.push({ typeId, timestamp: (timestamp + own - firstTimestamp) >>> 0, payload })
  }
  if (cursor.left > 0) throw cursor.malformed('ends inside a message header')
  return messages
}
