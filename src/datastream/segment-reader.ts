import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import { readFully } from './log-disk.ts'
import {
  claimedIndex,
  claimedRecordSize,
  decodeRecord,
  holdsRecord,
  type RecordPlace,
} from './record-format.ts'
import type { SegmentFile } from './segment-file.ts'
import { BLOCK_BYTES, lastWhere } from './segment-index.ts'
import type { LogEntry } from './shard-log.ts'

/** What a reader sees of a log: it changes while somebody reads. */
export type ReadableLog = {
  /** In order of their first index; the last one is written to. */
  readonly segments: readonly SegmentFile[]
  readonly firstIndex: number
  /** Entries below it are durable. */
  readonly nextIndex: number
}

/** Sealed segments whose index stays in memory. */
const KEPT_INDEXES = 4

/** Reads what is durable of a log of segments, with positional reads. */
export class SegmentReader {
  readonly #log: ReadableLog
  readonly #indexedRecently: SegmentFile[] = []

  constructor(log: ReadableLog) {
    this.#log = log
  }

  /** Entries from `index` on, up to what is durable now. */
  async read(
    index: number,
    limits: { maxEntries: number; maxBytes: number },
  ): Promise<readonly LogEntry[]> {
    const entries: LogEntry[] = []
    const end = this.#log.nextIndex // what is appended meanwhile is left to the next read
    let next = Math.max(index, this.#log.firstIndex)
    let bytesLeft = limits.maxBytes
    while (next < end && entries.length < limits.maxEntries) {
      const beforeIndex = Math.min(end, next + limits.maxEntries - entries.length)
      const part = await this.#readPart(next, beforeIndex, bytesLeft).catch((error: unknown) => {
        const isDamage = error instanceof ServiceError && error.code === 'LogCorrupted'
        if (entries.length === 0 || !isDamage) throw error
        return [] // what was read is good; who reads on from there hears of it
      })
      if (part.length === 0) return entries
      for (const entry of part) {
        const sizeBytes = entry.data.byteLength + Buffer.byteLength(entry.key)
        if (sizeBytes > bytesLeft && entries.length > 0) return entries
        entries.push(entry)
        bytesLeft -= sizeBytes
        next = entry.index + 1
      }
    }
    return entries
  }

  /** Some records from `index` on, at least one, out of one read of one segment. */
  async #readPart(index: number, beforeIndex: number, maxBytes: number): Promise<LogEntry[]> {
    const segment = this.#log.segments[this.#segmentAt(index)]!
    const sparse = await this.indexOf(segment)
    if (index >= sparse.nextIndex) throw segment.corrupted('a record is damaged', sparse.sizeBytes)
    const { salt } = await segment.header()
    const range = sparse.rangeOf(index, beforeIndex)
    const wantedBytes = Math.min(range.to - range.from, Math.max(maxBytes, 0) + 2 * BLOCK_BYTES)
    const bytes = await segment.use((file) => readFully(file, range.from, wantedBytes))
    const part = decodePart(bytes, { index, salt }, beforeIndex)
    if (part.length > 0) return part
    // The first record is larger than the limit, yet one is due.
    const { from, to } = sparse.rangeOf(index, index + 1)
    const block = await segment.use((file) => readFully(file, from, to - from))
    const entries = decodePart(block, { index, salt }, index + 1)
    if (entries.length === 0) throw segment.corrupted(`record ${index} is damaged`, from)
    return entries
  }

  #segmentAt(index: number): number {
    return Math.max(
      0,
      lastWhere(this.#log.segments, (segment) => segment.firstIndex <= index),
    )
  }

  /** The segment's index, of which those of a few sealed segments are kept. */
  async indexOf(segment: SegmentFile) {
    const index = await segment.index()
    if (segment === this.#log.segments.at(-1) || this.#indexedRecently.at(-1) === segment)
      return index
    const known = this.#indexedRecently.indexOf(segment)
    if (known >= 0) this.#indexedRecently.splice(known, 1)
    this.#indexedRecently.push(segment)
    if (this.#indexedRecently.length > KEPT_INDEXES) this.#indexedRecently.shift()!.forgetIndex()
    return index
  }

  /** Index of the first entry that arrived at or after `time`. */
  async seekTime(time: EpochMs): Promise<number> {
    const { segments, nextIndex: end } = this.#log
    // The latest arrival never falls from segment to segment, so a search by halves is exact.
    let low = 0
    let high = segments.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((await segments[middle + 1]!.header()).latestArrivalBefore < time) low = middle + 1
      else high = middle
    }
    const segment = segments[low]
    if (segment === undefined) return end
    let next = (await this.indexOf(segment)).blockAtTime(time)
    while (next < end) {
      const entries = await this.read(next, { maxEntries: 4096, maxBytes: 4 * BLOCK_BYTES })
      const found = entries.find((entry) => entry.arrivedAt >= time)
      if (found !== undefined) return found.index
      next = (entries.at(-1)?.index ?? end) + 1
    }
    return end
  }
}

/** Sound records `[index, beforeIndex)` as far as the bytes hold them whole. */
function decodePart(bytes: Buffer, { index, salt }: RecordPlace, beforeIndex: number): LogEntry[] {
  const entries: LogEntry[] = []
  for (let offset = 0; ;) {
    const size = claimedRecordSize(bytes, offset)
    if (size === null || offset + size > bytes.length) return entries
    const found = claimedIndex(bytes, offset)
    if (found >= beforeIndex) return entries
    if (found >= index) {
      if (!holdsRecord(bytes, offset, size, { index: index + entries.length, salt })) return entries
      entries.push(decodeRecord(bytes, offset))
    }
    offset += size
  }
}
