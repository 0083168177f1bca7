import { crc32 } from 'node:zlib'
import type { ClockName, ClockRange } from './chunk-span.ts'
import {
  decodeRow,
  encodeRow,
  ROW_BYTES,
  RowField,
  SIDECAR_HEADER_BYTES,
  sidecarHeader,
  type FragmentRow,
} from './fragment-row.ts'

/**
 * The rows of a sidecar, checked as a whole and decoded only where they are asked for: a look-up
 * wants one of some hundred. Rows are in order of counter; times may be in any order.
 */
export class SidecarRows {
  readonly #bytes: Buffer
  readonly length: number

  private constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.length = (bytes.length - SIDECAR_HEADER_BYTES) / ROW_BYTES
  }

  /**
   * @param bytes of a sidecar with exactly `facts.fragments` rows; kept
   * @param facts.chunkBytes where the last fragment ends at the latest
   * @returns `null` when a row is torn or damaged, or when these are another chunk's
   */
  static parse(
    bytes: Buffer,
    facts: {
      readonly fragments: number
      readonly lastCounter: number
      readonly chunkBytes: number
    },
  ): SidecarRows | null {
    if (bytes.length !== sidecarBytes(facts.fragments) || !isSound(bytes)) return null
    const rows = new SidecarRows(bytes)
    return rows.#followEachOther(facts) ? rows : null
  }

  static of(rows: readonly FragmentRow[]): SidecarRows {
    return new SidecarRows(Buffer.concat([sidecarHeader(), ...rows.map(encodeRow)]))
  }

  /** The whole sidecar. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  all(): readonly FragmentRow[] {
    return Array.from({ length: this.length }, (_, i) => this.#row(i))
  }

  get last(): FragmentRow | null {
    return this.length === 0 ? null : this.#row(this.length - 1)
  }

  /** What overlaps the range by its clock. */
  overlapping({ by, from, to }: ClockRange): readonly FragmentRow[] {
    const { start, duration } = TIME_FIELDS[by]
    const found: FragmentRow[] = []
    for (let i = 0; i < this.length; i++) {
      const starts = this.#signed64(i, start)
      const ends = starts + Math.max(this.#unsigned32(i, duration), 1)
      if (starts < to && ends > from) found.push(this.#row(i))
    }
    return found
  }

  /** With this counter or a higher one, one after the other. */
  *fromCounter(counter: number): Generator<FragmentRow> {
    let low = 0
    for (let high = this.length; low < high;) {
      const middle = (low + high) >>> 1
      if (this.#unsigned64(middle, RowField.counter) < counter) low = middle + 1
      else high = middle
    }
    for (let i = low; i < this.length; i++) yield this.#row(i)
  }

  /** Counters rise, fragments do not overlap, and none reaches past the chunk's end. */
  #followEachOther(facts: { readonly lastCounter: number; readonly chunkBytes: number }): boolean {
    let counter = -1
    let end = 0
    for (let i = 0; i < this.length; i++) {
      const offset = this.#unsigned64(i, RowField.offset)
      const ownCounter = this.#unsigned64(i, RowField.counter)
      if (ownCounter <= counter || offset < end) return false
      counter = ownCounter
      end = offset + this.#unsigned32(i, RowField.length)
    }
    return counter === facts.lastCounter && end <= facts.chunkBytes
  }

  #row(i: number): FragmentRow {
    return decodeRow(this.#bytes, this.#at(i, 0))! // its CRC was seen to be right
  }

  #at(i: number, field: number): number {
    return SIDECAR_HEADER_BYTES + i * ROW_BYTES + field
  }

  #unsigned32(i: number, field: number): number {
    return this.#bytes.readUInt32LE(this.#at(i, field))
  }

  // Numbers in two halves: a bigint is an object on the heap. All of ours are below 2^53.

  #unsigned64(i: number, field: number): number {
    return this.#unsigned32(i, field + 4) * 2 ** 32 + this.#unsigned32(i, field)
  }

  #signed64(i: number, field: number): number {
    return this.#bytes.readInt32LE(this.#at(i, field + 4)) * 2 ** 32 + this.#unsigned32(i, field)
  }
}

export function sidecarBytes(fragments: number): number {
  return SIDECAR_HEADER_BYTES + fragments * ROW_BYTES
}

const TIME_FIELDS: {
  readonly [by in ClockName]: { readonly start: number; readonly duration: number }
} = {
  producer: { start: RowField.producerTimestamp, duration: RowField.durationMs },
  server: { start: RowField.serverTimestamp, duration: RowField.arrivalSpanMs },
}

/** Sound rows compared at a time. */
const SOUND_ROWS = 512
const SOUND = Buffer.alloc(SOUND_ROWS * ROW_BYTES)
for (let at = ROW_BYTES - 4; at < SOUND.length; at += ROW_BYTES) {
  SOUND.writeUInt32LE(crc32(Buffer.alloc(ROW_BYTES - 4)), at)
}

/**
 * Whether every row agrees with its CRC-32, in one pass over all of them: what is left in the
 * register behind bytes and their own CRC does not depend on the bytes, so any sound rows of the
 * same number leave the same.
 */
function isSound(bytes: Buffer): boolean {
  if (!bytes.subarray(0, SIDECAR_HEADER_BYTES).equals(sidecarHeader())) return false
  const rows = bytes.subarray(SIDECAR_HEADER_BYTES)
  let sound = 0
  for (let rest = rows.length; rest > 0; rest -= SOUND.length) {
    sound = crc32(SOUND.subarray(0, Math.min(rest, SOUND.length)), sound)
  }
  return crc32(rows) === sound
}
