import { MalformedMediaError } from '../../domain/errors.ts'

/**
 * An FLV file as it arrives (Adobe FLV 10.1, Annex E.2, E.3): bytes in any pieces, tags out.
 *
 * ```
 * file: | "FLV" | version 1 | flags 1 | header size 4 | { back pointer 4 | tag }* |
 * tag:  | type 1 | size 3 | timestamp 3 + 1 high | stream 3 | body |
 * ```
 * A body has its own buffer, which grows as bytes arrive, never by its announced size. Back pointers
 * are not compared: some servers write zeros.
 */
export class FlvReader {
  readonly #maxTagBytes: number
  readonly #head = new Uint8Array(TAG_HEAD_BYTES)
  #headBytes = 0
  /** How much of a head must come before it is read; the file's first. */
  #headWanted = FILE_HEAD_BYTES
  #skip = 0
  #tag: OpenTag | null = null
  #input: Uint8Array = NOTHING
  #offset = 0
  #consumed = 0

  constructor(maxTagBytes: number) {
    this.#maxTagBytes = maxTagBytes
  }

  /** Memory held for the tag that is not complete. */
  get pendingBytes(): number {
    return this.#tag?.body.length ?? 0
  }

  /** Gives the next bytes. They are read by {@link next} and not kept after it answered `null`. */
  push(bytes: Uint8Array): void {
    const left = this.#input.subarray(this.#offset)
    this.#input = left.length === 0 ? bytes : Buffer.concat([left, bytes])
    this.#offset = 0
  }

  /**
   * @returns `null` when all bytes so far are read
   * @throws MalformedMediaError; the reader is of no use after it
   */
  next(): FlvTag | null {
    while (this.#offset < this.#input.length) {
      if (this.#skip > 0) {
        this.#skip -= this.#advance(this.#skip)
      } else if (this.#tag !== null) {
        const tag = this.#readBody(this.#tag)
        if (tag !== null) return tag
      } else {
        const from = this.#offset
        const count = this.#advance(this.#headWanted - this.#headBytes)
        this.#head.set(this.#input.subarray(from, from + count), this.#headBytes)
        this.#headBytes += count
        if (this.#headBytes < this.#headWanted) break
        const tag = this.#readHead()
        if (tag !== null) return tag
      }
    }
    return null
  }

  /** Moves over up to `count` bytes of the input. @returns how many there were */
  #advance(count: number): number {
    const moved = Math.min(count, this.#input.length - this.#offset)
    this.#offset += moved
    this.#consumed += moved
    return moved
  }

  /** @returns a tag when it has no body */
  #readHead(): FlvTag | null {
    this.#headBytes = 0
    const isFile = this.#headWanted === FILE_HEAD_BYTES
    if (isFile) {
      this.#headWanted = TAG_HEAD_BYTES
      this.#readFileHead()
      return null
    }
    const head = this.#head
    const kind = TAG_KINDS[head[0]! & 0x1f]
    if ((head[0]! & 0x20) !== 0) throw this.#malformed('has an encrypted tag')
    const size = (head[1]! << 16) | (head[2]! << 8) | head[3]!
    if (size > this.#maxTagBytes) throw this.#malformed(`has a tag of ${size} bytes`)
    if (kind === undefined) {
      this.#skip = size + BACK_POINTER_BYTES
      return null
    }
    const low = (head[4]! << 16) | (head[5]! << 8) | head[6]!
    const timestamp = ((head[7]! << 24) | low) >>> 0
    if (size === 0) {
      this.#skip = BACK_POINTER_BYTES
      return { kind, timestamp, body: NOTHING }
    }
    this.#tag = { kind, timestamp, size, body: NOTHING, received: 0 }
    return null
  }

  #readFileHead(): void {
    const head = this.#head
    const isFlv = head[0] === 0x46 && head[1] === 0x4c && head[2] === 0x56
    if (!isFlv) throw this.#malformed('does not begin with "FLV"')
    const size = new DataView(head.buffer).getUint32(5)
    if (size < FILE_HEAD_BYTES || size > MAX_FILE_HEAD_BYTES) {
      throw this.#malformed(`has a header of ${size} bytes`)
    }
    this.#skip = size - FILE_HEAD_BYTES + BACK_POINTER_BYTES
  }

  #readBody(tag: OpenTag): FlvTag | null {
    const left = this.#input.length - this.#offset
    const needed = Math.min(tag.size, tag.received + left)
    if (needed > tag.body.length) {
      const room = Math.max(needed, 2 * tag.body.length, FIRST_ALLOCATION_BYTES)
      const grown = Buffer.allocUnsafeSlow(Math.min(tag.size, room))
      grown.set(tag.body.subarray(0, tag.received))
      tag.body = grown
    }
    const from = this.#offset
    const count = this.#advance(tag.size - tag.received)
    tag.body.set(this.#input.subarray(from, from + count), tag.received)
    tag.received += count
    if (tag.received < tag.size) return null
    this.#tag = null
    this.#skip = BACK_POINTER_BYTES
    return { kind: tag.kind, timestamp: tag.timestamp, body: tag.body }
  }

  #malformed(what: string): MalformedMediaError {
    return new MalformedMediaError(`FLV ${what}`, { offset: this.#consumed, path: 'FLV' })
  }
}

export type FlvTag = {
  readonly kind: 'audio' | 'video' | 'script'
  /** Milliseconds, 32 bits. */
  readonly timestamp: number
  /** Its own bytes, never written again. */
  readonly body: Uint8Array
}

type OpenTag = {
  readonly kind: FlvTag['kind']
  readonly timestamp: number
  readonly size: number
  body: Uint8Array
  received: number
}

const TAG_KINDS: Record<number, FlvTag['kind']> = { 8: 'audio', 9: 'video', 18: 'script' }
const FILE_HEAD_BYTES = 9
const TAG_HEAD_BYTES = 11
const BACK_POINTER_BYTES = 4
const MAX_FILE_HEAD_BYTES = 4096
/** First allocation for a body whose bytes have not come yet. */
const FIRST_ALLOCATION_BYTES = 4096
const NOTHING = new Uint8Array(0)
