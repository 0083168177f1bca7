import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import { readFully, writeFully, type LogDisk, type LogFile } from './log-disk.ts'
import {
  claimedArrival,
  claimedRecordSize,
  decodeSegmentHeader,
  encodeSegmentHeader,
  findGroupStart,
  holdsRecord,
  MAX_RECORD_BODY_BYTES,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './record-format.ts'
import { SegmentIndex } from './segment-index.ts'

/** Acknowledged records that cannot be read any more. */
export type Damage = {
  readonly firstIndex: number
  readonly records: number
  readonly bytes: number
}

const SCAN_BYTES = 1024 * 1024
const SAVE_BYTES = 4 * 1024 * 1024

/**
 * One segment file, its index file beside it, and the one handle that all its users share: opened
 * by the first, closed behind the last. An unlinked segment is still read to the end by those who
 * are reading it.
 */
export class SegmentFile {
  readonly firstIndex: number
  readonly #disk: LogDisk
  readonly #onDamage: (damage: Damage) => void
  readonly #path: string
  readonly #indexPath: string
  #handle: Promise<LogFile> | null = null
  #users = 0
  #header: SegmentHeader | null = null
  #index: SegmentIndex | null = null
  #savedBytes = 0
  #sizeBytes: number | null = null

  constructor(
    { disk, onDamage }: { readonly disk: LogDisk; readonly onDamage: (damage: Damage) => void },
    directory: string,
    firstIndex: number,
  ) {
    this.#disk = disk
    this.#onDamage = onDamage
    this.firstIndex = firstIndex
    this.#path = join(directory, segmentName(firstIndex))
    this.#indexPath = indexPathOf(this.#path)
  }

  /** Runs `job` with the open file. */
  async use<T>(job: (file: LogFile) => Promise<T>): Promise<T> {
    this.#users += 1
    try {
      this.#handle ??= this.#disk.open(this.#path, 'r+')
      return await job(await this.#handle)
    } finally {
      this.#users -= 1
      if (this.#users === 0) await this.#close()
    }
  }

  /** Makes the file with its header, on disk, and keeps it open as {@link acquire} does. */
  async create(header: SegmentHeader): Promise<void> {
    await rm(this.#indexPath, { force: true })
    this.#users += 1
    this.#handle = this.#disk.open(this.#path, 'w+')
    try {
      const file = await this.#handle
      await writeFully(file, encodeSegmentHeader(header), 0)
      await file.datasync()
    } catch (error) {
      await this.release()
      throw error
    }
    this.#header = header
    this.#index = new SegmentIndex(header.firstIndex, header.latestArrivalBefore)
  }

  /** Keeps the file open until {@link release}: for the segment that is being written. */
  async acquire(): Promise<void> {
    this.#users += 1
    this.#handle ??= this.#disk.open(this.#path, 'r+')
    try {
      await this.#handle
    } catch (error) {
      await this.release()
      throw error
    }
  }

  async release(): Promise<void> {
    this.#users -= 1
    if (this.#users === 0) await this.#close()
  }

  async #close(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    // A file that never opened has told its users so already.
    await handle?.then(
      (file) => file.close(),
      () => undefined,
    )
  }

  /** @throws `data-loss`/`LogCorrupted` */
  async header(): Promise<SegmentHeader> {
    this.#header ??= await this.use(async (file) => {
      const header = decodeSegmentHeader(await readFully(file, 0, SEGMENT_HEADER_BYTES))
      if (header?.firstIndex !== this.firstIndex) throw this.corrupted('its header is damaged', 0)
      return header
    })
    return this.#header
  }

  /** Of the sound part; of a file that is not written any more and was not looked at, all. */
  async storedBytes(): Promise<number> {
    if (this.#index !== null) return this.#index.sizeBytes
    this.#sizeBytes ??= (await this.use((file) => file.stat())).size
    return this.#sizeBytes
  }

  /** What the file holds, as far as it is sound. */
  async index(): Promise<SegmentIndex> {
    this.#index ??= await this.#loadIndex()
    return this.#index
  }

  /** Lets the index be collected; the next reader loads it again. */
  forgetIndex(): void {
    this.#index = null
  }

  async #loadIndex(): Promise<SegmentIndex> {
    const { latestArrivalBefore, salt } = await this.header()
    return this.use(async (file) => {
      const { size } = await file.stat()
      const saved = await readFile(this.#indexPath).catch(() => null) // a cache: any failure is a miss
      const known = saved && SegmentIndex.decode(saved, this.firstIndex, latestArrivalBefore)
      const index =
        known !== null && known.sizeBytes <= size
          ? known
          : new SegmentIndex(this.firstIndex, latestArrivalBefore)
      await scanInto(index, file, { sizeBytes: size, salt, onDamage: this.#onDamage })
      return index
    })
  }

  /** Not synced: it is a cache with a checksum, made again from the segment when it is not whole. */
  async saveIndex(): Promise<void> {
    const index = await this.index()
    this.#savedBytes = index.sizeBytes
    await writeFile(`${this.#indexPath}.new`, index.encode())
    await rename(`${this.#indexPath}.new`, this.#indexPath)
  }

  /** As {@link saveIndex}, now and then: what a start after a crash has to look at stays small. */
  async saveIndexOften(): Promise<void> {
    if ((await this.index()).sizeBytes - this.#savedBytes < SAVE_BYTES) return
    await this.saveIndex()
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true })
    await rm(this.#indexPath, { force: true })
  }

  corrupted(what: string, offset: number): ServiceError {
    return new ServiceError(
      'data-loss',
      'LogCorrupted',
      `A stored segment cannot be read: ${what}`,
      {
        context: { path: this.#path, offset },
      },
    )
  }
}

type Scan = {
  readonly sizeBytes: number
  readonly salt: number
  readonly onDamage: (damage: Damage) => void
}

/**
 * Continues `index` over the sound records that follow what it knows. Bytes that are no sound record
 * end it when nothing is behind them that was written later: a torn tail, which nobody was told is
 * stored. Otherwise they are damage, and are passed over.
 */
async function scanInto(index: SegmentIndex, file: LogFile, scan: Scan): Promise<void> {
  for (;;) {
    await scanSoundInto(index, file, scan)
    const from = index.sizeBytes
    if (from >= scan.sizeBytes) return
    const rest = await readFully(file, from, scan.sizeBytes - from)
    const firstIndex = index.nextIndex
    const found = findGroupStart(rest, 1, { index: firstIndex, salt: scan.salt })
    if (found === null) return
    scan.onDamage({ firstIndex, records: found.index - firstIndex, bytes: found.offset })
    index.skipTo(found.index, from + found.offset)
  }
}

async function scanSoundInto(
  index: SegmentIndex,
  file: LogFile,
  { sizeBytes, salt }: Scan,
): Promise<void> {
  let windowBytes = SCAN_BYTES
  for (;;) {
    const from = index.sizeBytes
    const window = await readFully(file, from, Math.min(windowBytes, sizeBytes - from))
    let offset = 0
    for (;;) {
      const size = claimedRecordSize(window, offset)
      const place = { index: index.nextIndex, salt }
      if (size === null || !holdsRecord(window, offset, size, place)) break
      index.add(size, claimedArrival(window, offset))
      offset += size
    }
    if (from + window.length >= sizeBytes) return
    // The window ended inside a record, or the record is not sound: see all of the largest one.
    if (offset === 0 && windowBytes > SCAN_BYTES) return
    windowBytes = offset === 0 ? RECORD_HEADER_BYTES + MAX_RECORD_BODY_BYTES : SCAN_BYTES
  }
}

const SEGMENT_NAME = /^(\d{16})\.log$/

/** 16 digits hold every index below 2^53 and sort as numbers. */
function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(16, '0')}.log`
}

/** First index of the segment that has this file name, or `null` for another file. */
export function parseSegmentName(name: string): number | null {
  const digits = SEGMENT_NAME.exec(name)?.[1]
  return digits === undefined ? null : Number(digits)
}

function indexPathOf(segmentPath: string): string {
  return segmentPath.replace(/\.log$/, '.idx')
}
