import { crc32 } from 'node:zlib'
import { readUint64, SEGMENT_HEADER_BYTES, writeUint64 } from './record-format.ts'

/** A reader that wants the middle of a block walks at most this many bytes of records to it. */
export const BLOCK_BYTES = 64 * 1024

/** A run of records of one segment: where it starts and how late its records came. */
type Block = {
  readonly firstIndex: number
  readonly offset: number
  /** Latest arrival of the whole log up to the end of this block, so it never falls. */
  latestArrival: number
}

/**
 * Finds a record of one segment by index or by time: one row per {@link BLOCK_BYTES}. It describes
 * the durable bytes only, so readers see exactly what was acknowledged.
 *
 * The file beside a segment is a cache of it: "up to byte N the segment is sound and looks like
 * this". Missing, stale or damaged, it is made again from the segment.
 *
 * ```
 *  0  4  'KIDX'                        36  4  number of blocks
 *  4  4  version, 1                    40     blocks: index u64, offset u64, latest arrival u64
 *  8  8  first index of the segment    end 4  CRC-32 of everything before
 * 16  8  next index
 * 24  8  sound bytes of the segment
 * 32  4  0
 * ```
 */
export class SegmentIndex {
  readonly firstIndex: number
  readonly #latestArrivalBefore: number
  readonly #blocks: Block[] = []
  #nextIndex: number
  #sizeBytes = SEGMENT_HEADER_BYTES

  constructor(firstIndex: number, latestArrivalBefore: number) {
    this.firstIndex = firstIndex
    this.#nextIndex = firstIndex
    this.#latestArrivalBefore = latestArrivalBefore
  }

  get nextIndex(): number {
    return this.#nextIndex
  }

  /** Header and records. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get latestArrival(): number {
    return this.#blocks.at(-1)?.latestArrival ?? this.#latestArrivalBefore
  }

  /** Adds the record that follows the last one. */
  add(sizeBytes: number, arrivedAt: number): void {
    const last = this.#blocks.at(-1)
    if (last === undefined || this.#sizeBytes - last.offset >= BLOCK_BYTES) {
      const latestArrival = Math.max(this.latestArrival, arrivedAt)
      const firstIndex = this.#nextIndex
      this.#blocks.push({ firstIndex, offset: this.#sizeBytes, latestArrival })
    } else if (arrivedAt > last.latestArrival) {
      last.latestArrival = arrivedAt
    }
    this.#nextIndex += 1
    this.#sizeBytes += sizeBytes
  }

  /** Passes over damaged records: the next one to add has this index, at this offset. */
  skipTo(nextIndex: number, offset: number): void {
    this.#blocks.push({ firstIndex: nextIndex, offset, latestArrival: this.latestArrival })
    this.#nextIndex = nextIndex
    this.#sizeBytes = offset
  }

  /**
   * The bytes that surely hold records `[index, beforeIndex)`, in whole blocks.
   *
   * @param index of this segment: `firstIndex <= index < nextIndex`
   */
  rangeOf(index: number, beforeIndex: number): { firstIndex: number; from: number; to: number } {
    const block = this.#blocks[lastWhere(this.#blocks, (b) => b.firstIndex <= index)]!
    const behind = this.#blocks[lastWhere(this.#blocks, (b) => b.firstIndex < beforeIndex) + 1]
    const to = behind?.offset ?? this.#sizeBytes
    return { firstIndex: block.firstIndex, from: block.offset, to }
  }

  /**
   * Index from which to walk to the first record that arrived at or after `time`; `nextIndex` when
   * this segment has none.
   */
  blockAtTime(time: number): number {
    const before = lastWhere(this.#blocks, (b) => b.latestArrival < time)
    return this.#blocks[before + 1]?.firstIndex ?? this.#nextIndex
  }

  encode(): Buffer {
    const bytes = Buffer.alloc(40 + this.#blocks.length * 24 + 4)
    bytes.write('KIDX', 0, 'latin1')
    bytes.writeUInt32BE(1, 4)
    writeUint64(bytes, this.firstIndex, 8)
    writeUint64(bytes, this.#nextIndex, 16)
    writeUint64(bytes, this.#sizeBytes, 24)
    bytes.writeUInt32BE(this.#blocks.length, 36)
    this.#blocks.forEach((block, i) => {
      writeUint64(bytes, block.firstIndex, 40 + i * 24)
      writeUint64(bytes, block.offset, 48 + i * 24)
      writeUint64(bytes, block.latestArrival, 56 + i * 24)
    })
    bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4)
    return bytes
  }

  /** `null` when the bytes are damaged or speak of another segment. */
  static decode(bytes: Buffer, firstIndex: number, latestArrivalBefore: number) {
    if (
      bytes.length < 44 ||
      bytes.toString('latin1', 0, 4) !== 'KIDX' ||
      bytes.readUInt32BE(bytes.length - 4) !== crc32(bytes.subarray(0, -4)) ||
      bytes.readUInt32BE(4) !== 1 ||
      bytes.length !== 44 + bytes.readUInt32BE(36) * 24 ||
      readUint64(bytes, 8) !== firstIndex
    ) {
      return null
    }
    const index = new SegmentIndex(firstIndex, latestArrivalBefore)
    for (let at = 40; at < bytes.length - 4; at += 24) {
      index.#blocks.push({
        firstIndex: readUint64(bytes, at),
        offset: readUint64(bytes, at + 8),
        latestArrival: readUint64(bytes, at + 16),
      })
    }
    index.#nextIndex = readUint64(bytes, 16)
    index.#sizeBytes = readUint64(bytes, 24)
    return index
  }
}

/** Position of the last element for which `holds`, where it holds for a first part only; or -1. */
export function lastWhere<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(items[middle]!)) low = middle + 1
    else high = middle
  }
  return low - 1
}
