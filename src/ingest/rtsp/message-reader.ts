import {
  FRAME_HEADER_BYTES,
  FRAME_MARK,
  type InterleavedFrame,
  type RtspHeaders,
  type RtspRequest,
  type RtspResponse,
} from './message.ts'
import { RtspProtocolError } from './rtsp-error.ts'

/**
 * Bytes of one RTSP connection in; requests, responses and interleaved frames out, the same however
 * the bytes were split. Memory is bounded by the limits and one read.
 */
export class RtspReader {
  #limits: RtspLimits
  #buffer: Uint8Array = EMPTY
  #start = 0
  #end = 0
  /** Whether the buffer is ours to append to; else it is what was pushed. */
  #isOwn = false
  /** Where the search for the end of the headers goes on. */
  #searched = 0
  /** Of a message whose body has not come whole. */
  #head: MessageHead | null = null
  #isLost = false
  /** Since the last item. */
  #garbageBytes = 0
  #skippedBytes = 0

  constructor(limits: RtspLimits) {
    this.#limits = limits
  }

  /** Bytes that belonged to nothing, since the beginning. */
  get skippedBytes(): number {
    return this.#skippedBytes
  }

  setLimits(limits: RtspLimits): void {
    this.#limits = limits
  }

  /** @param bytes are not copied when nothing waits; whoever pushes must not use them again */
  push(bytes: Uint8Array): void {
    if (this.#start === this.#end) {
      this.#buffer = bytes
      this.#start = 0
      this.#end = bytes.length
      this.#isOwn = false
      return
    }
    const waiting = this.#end - this.#start
    if (!this.#isOwn || this.#end + bytes.length > this.#buffer.length) {
      // Twice of what waits, so that a message that comes byte by byte is not copied for each.
      const own = new Uint8Array(waiting + Math.max(bytes.length, waiting))
      own.set(this.#buffer.subarray(this.#start, this.#end))
      this.#buffer = own
      this.#start = 0
      this.#end = waiting
      this.#isOwn = true
    }
    this.#buffer.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /**
   * @returns `null` when more bytes are needed
   * @throws RtspProtocolError for messages beyond the limits and for more garbage than they allow
   */
  next(): RtspItem | null {
    for (;;) {
      if (this.#start === this.#end) return null
      if (this.#isLost && !this.#resynchronise()) return null
      const first = this.#buffer[this.#start]!
      if (first === FRAME_MARK) return this.#frame()
      if (first === CR || first === LF) {
        this.#start++ // §4.1: empty lines before a message are ignored
        continue
      }
      const item = this.#message()
      if (item !== GARBAGE) return item
      this.#lose(1)
    }
  }

  #frame(): InterleavedFrame | null {
    if (this.#end - this.#start < FRAME_HEADER_BYTES) return null
    const buffer = this.#buffer
    const length = (buffer[this.#start + 2]! << 8) | buffer[this.#start + 3]!
    const from = this.#start + FRAME_HEADER_BYTES
    if (this.#end - from < length) return null
    const channel = buffer[this.#start + 1]!
    this.#start = from + length
    this.#garbageBytes = 0
    return { kind: 'frame', channel, payload: buffer.subarray(from, from + length) }
  }

  #message(): RtspRequest | RtspResponse | typeof GARBAGE | null {
    const head = this.#head ?? this.#readHead()
    if (head === null || head === GARBAGE) return head
    this.#head = head
    const bodyStart = this.#start + head.lengthBytes
    if (this.#end - bodyStart < head.bodyBytes) return null
    this.#start = bodyStart + head.bodyBytes
    this.#head = null
    this.#searched = 0
    this.#garbageBytes = 0
    // A copy: bodies are few, and they outlive the read.
    return {
      ...head.start,
      headers: head.headers,
      body: this.#buffer.slice(bodyStart, this.#start),
    }
  }

  /** `null` when it has not come whole. */
  #readHead(): MessageHead | typeof GARBAGE | null {
    if (!this.#mayBeStartLine()) return GARBAGE
    const end = this.#findHeadersEnd()
    if (end === null) {
      if (this.#end - this.#start > this.#limits.maxHeaderBytes) throw tooLong('header')
      return null
    }
    const text = TEXT.decode(this.#buffer.subarray(this.#start, end))
    const [startLine = '', ...lines] = text.split(/\r?\n/)
    const start = parseStartLine(startLine)
    if (start === null) return GARBAGE
    const headers = parseHeaders(lines)
    const bodyBytes = contentLengthOf(headers)
    if (bodyBytes > this.#limits.maxBodyBytes) throw tooLong('body')
    return { start, headers, lengthBytes: end - this.#start, bodyBytes }
  }

  /** Tells binary garbage from a line whose end has not come. */
  #mayBeStartLine(): boolean {
    const end = Math.min(this.#end, this.#start + MAX_START_LINE_BYTES)
    for (let at = this.#start; at < end; at++) {
      const byte = this.#buffer[at]!
      if (byte === LF || byte === CR) return at > this.#start
      if (byte < SPACE || byte === DELETE) return false
      if (at === this.#start && !isLetter(byte)) return false
    }
    return this.#end - this.#start < MAX_START_LINE_BYTES
  }

  /** After the empty line; lines may end with LF alone. */
  #findHeadersEnd(): number | null {
    const buffer = this.#buffer
    const limit = Math.min(this.#end, this.#start + this.#limits.maxHeaderBytes)
    let at = Math.max(this.#start, this.#start + this.#searched)
    for (; at < limit; at++) {
      if (buffer[at] !== LF) continue
      const next = buffer[at + 1] === CR ? at + 2 : at + 1
      if (next >= this.#end) break
      if (buffer[next] === LF) return next + 1
    }
    this.#searched = at - this.#start
    return null
  }

  #lose(bytes: number): void {
    this.#isLost = true
    this.#searched = 0
    this.#start += bytes
    this.#skippedBytes += bytes
    this.#garbageBytes += bytes
    if (this.#garbageBytes > this.#limits.maxGarbageBytes) {
      throw new RtspProtocolError('neither a message nor a frame', {
        garbageBytes: this.#garbageBytes,
      })
    }
  }

  /**
   * Goes on to what looks like a frame of RTP or RTCP or like a message, byte by byte.
   *
   * @returns whether it is there; else more bytes are needed
   */
  #resynchronise(): boolean {
    for (; this.#start < this.#end; this.#lose(1)) {
      const verdict = judge(this.#buffer, this.#start, this.#end)
      if (verdict === 'unknown') return false
      if (verdict === 'plausible') {
        this.#isLost = false
        return true
      }
    }
    return false
  }
}

export type RtspItem = RtspRequest | RtspResponse | InterleavedFrame

export type RtspLimits = {
  /** Start line and headers of a message. */
  readonly maxHeaderBytes: number
  readonly maxBodyBytes: number
  /** Between two items; 0: garbage ends the connection. */
  readonly maxGarbageBytes: number
}

type StartLine =
  Pick<RtspRequest, 'kind' | 'method' | 'uri'> | Pick<RtspResponse, 'kind' | 'status' | 'reason'>

type MessageHead = {
  readonly start: StartLine
  readonly headers: RtspHeaders
  readonly lengthBytes: number
  readonly bodyBytes: number
}

const EMPTY = new Uint8Array(0)
const GARBAGE = 'garbage'
const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const DELETE = 0x7f
const MAX_START_LINE_BYTES = 4096
const MAX_HEADERS = 256
/** Cameras write names of streams and people in whatever they have; it is never shown as it is. */
const TEXT = new TextDecoder('latin1')

function parseStartLine(line: string): StartLine | null {
  const response = /^RTSP\/\d\.\d\s+(\d{3})(?:\s+(.*))?$/i.exec(line)
  if (response !== null) {
    return { kind: 'response', status: Number(response[1]), reason: (response[2] ?? '').trim() }
  }
  const request = /^([A-Za-z_-]{1,32})\s+(\S.*?)\s+RTSP\/\d\.\d\s*$/i.exec(line)
  if (request === null) return null
  return { kind: 'request', method: request[1]!.toUpperCase(), uri: request[2]! }
}

/** A line without a colon is left out; one that begins with a space continues the one before. */
function parseHeaders(lines: readonly string[]): RtspHeaders {
  const headers = new Map<string, string[]>()
  let values: string[] | null = null
  for (const line of lines.slice(0, MAX_HEADERS)) {
    if (/^[ \t]/.test(line)) {
      if (values !== null) values.push(`${values.pop()!} ${line.trim()}`.trim())
      continue
    }
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    values = headers.get(name) ?? []
    values.push(line.slice(colon + 1).trim())
    headers.set(name, values)
  }
  return headers
}

function contentLengthOf(headers: RtspHeaders): number {
  const lengths = headers.get('content-length') ?? []
  const text = lengths[0] ?? '0'
  // Two that differ leave open where the next message begins.
  if (!/^\d{1,10}$/.test(text) || lengths.some((other) => other !== text)) {
    throw new RtspProtocolError('a Content-Length that is none')
  }
  return Number(text)
}

function tooLong(part: 'header' | 'body'): RtspProtocolError {
  return new RtspProtocolError(`a message whose ${part} is too long`)
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
}

const MESSAGE_STARTS = [
  ...['RTSP/1.', 'OPTIONS ', 'ANNOUNCE ', 'SETUP ', 'RECORD ', 'PAUSE ', 'TEARDOWN '],
  ...['GET_PARAMETER ', 'SET_PARAMETER ', 'DESCRIBE ', 'PLAY ', 'REDIRECT '],
].map((text) => new TextEncoder().encode(text))

/** Beyond these a frame in the middle of garbage is taken for chance (go2rtc has the same ones). */
const MAX_PLAUSIBLE_CHANNEL = 20
const MAX_PLAUSIBLE_LENGTH = 1500

/** Decides from the bytes at `start` alone, so that it is the same however they were split. */
function judge(bytes: Uint8Array, start: number, end: number): 'plausible' | 'garbage' | 'unknown' {
  if (bytes[start] === FRAME_MARK) return judgeFrame(bytes, start, end)
  let verdict: 'garbage' | 'unknown' = 'garbage'
  for (const text of MESSAGE_STARTS) {
    const length = Math.min(text.length, end - start)
    let same = 0
    while (same < length && bytes[start + same] === text[same]) same++
    if (same === text.length) return 'plausible'
    if (same === length) verdict = 'unknown'
  }
  return verdict
}

/** RTP and RTCP begin with version 2 and have at least 8 bytes (RFC 3550 §5.1, §6.4). */
function judgeFrame(
  bytes: Uint8Array,
  start: number,
  end: number,
): 'plausible' | 'garbage' | 'unknown' {
  if (end - start > 1 && bytes[start + 1]! >= MAX_PLAUSIBLE_CHANNEL) return 'garbage'
  if (end - start < FRAME_HEADER_BYTES + 1) return 'unknown'
  const length = (bytes[start + 2]! << 8) | bytes[start + 3]!
  const isPlausible =
    length >= 8 && length <= MAX_PLAUSIBLE_LENGTH && bytes[start + FRAME_HEADER_BYTES]! >> 6 === 2
  return isPlausible ? 'plausible' : 'garbage'
}
