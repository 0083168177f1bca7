import { randomBytes } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import { Semaphore } from '../platform/semaphore.ts'
import { AppendQueue } from './append-queue.ts'
import { createDirectory, nodeDisk, writeFully, type LogDisk } from './log-disk.ts'
import { SEGMENT_HEADER_BYTES } from './record-format.ts'
import { parseSegmentName, SegmentFile, type Damage } from './segment-file.ts'
import { SegmentReader } from './segment-reader.ts'
import type { LogEntry, LogEntryToAppend, ShardLog } from './shard-log.ts'

export type SegmentLogOptions = {
  /** A segment that has this many bytes is followed by a new one. */
  readonly maxSegmentBytes: number
  /** A segment whose first record is this old, compared with the record to append, likewise. */
  readonly maxSegmentAgeMs: number
  /** Appends wait for the disk until this many bytes wait; then they are refused. */
  readonly maxQueuedBytes: number
  readonly disk: LogDisk
  /**
   * Of the logs that share it, so many write and sync at once. What comes while a log waits for its turn joins
   * the group: when many are busy, they make fewer and larger writes. Default: a log does not wait.
   */
  readonly commits: Semaphore
  /** Called after each group commit. */
  readonly onSync: (seconds: number) => void
  /** Called when the tail of the last segment was not sound and was cut off. */
  readonly onCut: (cut: { cutBytes: number; nextIndex: number }) => void
  /** Called when acknowledged records were found damaged; those behind them are kept. */
  readonly onDamage: (damage: Damage) => void
}

const DEFAULTS: Omit<SegmentLogOptions, 'commits'> = {
  maxSegmentBytes: 64 * 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  disk: nodeDisk,
  onSync: () => undefined,
  onCut: () => undefined,
  onDamage: () => undefined,
}

const SEAL_FILE = 'sealed'

/**
 * The default {@link ShardLog}: append-only segment files in one folder, read with positional reads.
 * Layout: record-format.ts; the whole story: docs/design/datastream.md.
 *
 * Invariants:
 * 1. `nextIndex` moves only after `fdatasync`: what a reader sees and what an append resolved with
 *    is on disk.
 * 2. Only the last segment is written, only behind its last durable byte, by one writer at a time.
 * 3. Segment n+1 is created when segment n is durable, and starts at the index where n ends.
 * 4. Bytes behind the last durable byte belong to nobody: a failure cuts them off, and so does the
 *    next start.
 *
 * The folder appears with the first append, so an unused log costs nothing.
 */
export async function openSegmentLog(
  directory: string,
  options: Partial<SegmentLogOptions> = {},
): Promise<ShardLog> {
  const settings = { ...DEFAULTS, commits: new Semaphore(1), ...options }
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return new Array<string>()
    throw error
  })
  const segments = names
    .map(parseSegmentName)
    .filter((firstIndex) => firstIndex !== null)
    .sort((a, b) => a - b)
    .map((firstIndex) => new SegmentFile(settings, directory, firstIndex))
  await dropUnbornSegment(segments)
  const log = new SegmentLog(directory, settings, segments, names.includes(SEAL_FILE))
  await log.recover()
  return log
}

/** A crash while a segment was created leaves no more than a part of its header. */
async function dropUnbornSegment(segments: SegmentFile[]): Promise<void> {
  const last = segments.at(-1)
  if (last === undefined) return
  const { size } = await last.use((file) => file.stat())
  const born = size > SEGMENT_HEADER_BYTES || (await last.header().catch(() => null)) !== null
  if (born) return
  await last.remove()
  segments.pop()
}

class SegmentLog implements ShardLog {
  readonly #directory: string
  readonly #options: SegmentLogOptions
  /** In order of their first index; the last one is written to. */
  #segments: SegmentFile[]
  readonly #reader = new SegmentReader(this)
  readonly #queue: AppendQueue
  #committing = false
  /** Whoever changes the segments does it alone and in turn. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Bytes behind the last durable one may be in the file: cut them before writing. */
  #tailDirty = false
  #sealed: boolean
  #closed = false
  #nextIndex = 0
  #firstArrivalOfLast: number | null = null

  constructor(
    directory: string,
    options: SegmentLogOptions,
    segments: SegmentFile[],
    sealed: boolean,
  ) {
    this.#directory = directory
    this.#options = options
    this.#queue = new AppendQueue(options.maxQueuedBytes)
    this.#segments = segments
    this.#sealed = sealed
  }

  get segments(): readonly SegmentFile[] {
    return this.#segments
  }

  get firstIndex(): number {
    return this.#segments[0]?.firstIndex ?? 0
  }

  get nextIndex(): number {
    return this.#nextIndex
  }

  async recover(): Promise<void> {
    const last = this.#segments.at(-1)
    if (last === undefined) return
    await last.acquire()
    try {
      await this.#recoverFrom(last)
    } catch (error) {
      await last.release()
      throw error
    }
  }

  async #recoverFrom(last: SegmentFile): Promise<void> {
    const { nextIndex, sizeBytes } = await last.index()
    this.#nextIndex = nextIndex
    const { size } = await last.use((file) => file.stat())
    if (size > sizeBytes) {
      await this.#cutTail(last)
      this.#options.onCut({ cutBytes: size - sizeBytes, nextIndex })
    }
    const [first] = await this.read(last.firstIndex, { maxEntries: 1, maxBytes: 1 })
    this.#firstArrivalOfLast = first?.arrivedAt ?? null
  }

  async append(batch: readonly LogEntryToAppend[]) {
    this.#refuseWhenEnded()
    const waiting = this.#queue.add(batch)
    if (!this.#committing) void this.#commitAll()
    return waiting.promise
  }

  #refuseWhenEnded(): void {
    if (this.#sealed) throw new ServiceError('conflict', 'LogSealed', 'The shard is closed.')
    if (this.#closed) throw logClosed()
  }

  /** What arrives while one group is written and synced makes up the next group. */
  async #commitAll(): Promise<void> {
    this.#committing = true
    while (!this.#queue.isEmpty) await this.#inTurn(() => this.#commitInTurn())
    this.#committing = false
  }

  async #commitInTurn(): Promise<void> {
    await this.#options.commits.run(() => this.#commitGroup())
  }

  /** Never rejects: each appender hears about its own batch. */
  async #commitGroup(): Promise<void> {
    const group = this.#queue.takeGroup()
    if (group.length === 0) return
    try {
      const segment = await this.#segmentFor(group[0]!.batch[0]!)
      const index = await segment.index()
      const { salt } = await segment.header()
      const { bytes, sizes } = this.#queue.encode(group, { index: this.#nextIndex, salt })
      await this.#writeDurably(segment, bytes, index.sizeBytes)
      // Durable. Now, and only now, readers may see it.
      let at = 0
      for (const { batch, resolve } of group) {
        const first = this.#nextIndex
        for (const entry of batch) index.add(sizes[at++]!, entry.arrivedAt)
        this.#firstArrivalOfLast ??= batch[0]!.arrivedAt
        this.#nextIndex = index.nextIndex
        resolve({ first, last: this.#nextIndex - 1 })
      }
      await segment.saveIndexOften().catch(() => undefined) // a cache
    } catch (cause) {
      const error = new ServiceError(
        'unavailable',
        'LogWriteFailed',
        'The record was not stored.',
        {
          cause,
        },
      )
      for (const { reject } of group) reject(error)
    } finally {
      this.#queue.release(group)
    }
  }

  async #writeDurably(segment: SegmentFile, bytes: Buffer, position: number): Promise<void> {
    await segment.use(async (file) => {
      if (this.#tailDirty) await this.#cutTail(segment)
      const startedAt = performance.now()
      try {
        await writeFully(file, bytes, position)
        await file.datasync()
      } catch (error) {
        this.#tailDirty = true
        // At once, so that a full disk gets its bytes back; when even this fails, before the next.
        await this.#cutTail(segment).catch(() => undefined)
        throw error
      }
      this.#options.onSync((performance.now() - startedAt) / 1000)
    })
  }

  async #cutTail(segment: SegmentFile): Promise<void> {
    const { sizeBytes } = await segment.index()
    await segment.use(async (file) => {
      await file.truncate(sizeBytes)
      await file.datasync()
    })
    this.#tailDirty = false
  }

  /** The segment that takes `next`: the last one, or a new one when that is full or old. */
  async #segmentFor(next: LogEntryToAppend): Promise<SegmentFile> {
    const last = this.#segments.at(-1)
    if (last === undefined) return this.#startSegment(0)
    const { sizeBytes, latestArrival } = await last.index()
    const ageMs = this.#firstArrivalOfLast === null ? 0 : next.arrivedAt - this.#firstArrivalOfLast
    const ended =
      this.#firstArrivalOfLast !== null &&
      (sizeBytes >= this.#options.maxSegmentBytes || ageMs >= this.#options.maxSegmentAgeMs)
    return ended ? this.#startSegment(latestArrival) : last
  }

  /**
   * 1. the header is on disk; 2. the name is on disk; 3. records may follow. A file left by an
   * attempt that failed holds nothing acknowledged: it is written over.
   */
  async #startSegment(latestArrivalBefore: number): Promise<SegmentFile> {
    const previous = this.#segments.at(-1)
    if (previous !== undefined && this.#tailDirty) await this.#cutTail(previous)
    const { disk } = this.#options
    await createDirectory(disk, this.#directory)
    const segment = new SegmentFile(this.#options, this.#directory, this.#nextIndex)
    const salt = randomBytes(4).readUInt32BE()
    await segment.create({ firstIndex: this.#nextIndex, latestArrivalBefore, salt })
    try {
      await disk.syncDirectory(this.#directory)
    } catch (error) {
      await segment.release()
      throw error
    }
    this.#segments = [...this.#segments, segment]
    this.#firstArrivalOfLast = null
    if (previous !== undefined) {
      await previous.saveIndex().catch(() => undefined) // a cache
      await this.#reader.indexOf(previous) // counts among the kept ones from now on
      await previous.release()
    }
    return segment
  }

  async read(
    index: number,
    limits: { maxEntries: number; maxBytes: number },
  ): Promise<readonly LogEntry[]> {
    return this.#unlessTrimmed(() => this.#reader.read(index, limits))
  }

  /** A segment may be trimmed away under a reader: it reads again, from what is there then. */
  async #unlessTrimmed<T>(job: () => Promise<T>): Promise<T> {
    for (;;) {
      const { firstIndex } = this
      try {
        if (this.#closed) throw logClosed()
        return await job()
      } catch (error) {
        if (this.firstIndex === firstIndex) throw error
      }
    }
  }

  async seekTime(time: EpochMs): Promise<number> {
    return this.#unlessTrimmed(() => this.#reader.seekTime(time))
  }

  async trimBefore(time: EpochMs): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#closed) throw logClosed()
      const last = this.#segments.at(-1)
      if (last === undefined) return
      const { latestArrival } = await last.index()
      // All of it is too old: end it, so that it can go too. The new one keeps the numbering.
      if (latestArrival < time && this.#nextIndex > last.firstIndex) {
        await this.#startSegment(latestArrival)
      }
      while (this.#segments.length > 1) {
        if ((await this.#segments[1]!.header()).latestArrivalBefore >= time) return
        const oldest = this.#segments[0]!
        this.#segments = this.#segments.slice(1)
        await oldest.remove()
      }
    })
  }

  async storedBytes(): Promise<number> {
    return this.#unlessTrimmed(async () => {
      let bytes = 0
      for (const segment of this.#segments) bytes += await segment.storedBytes()
      return bytes
    })
  }

  async seal(): Promise<void> {
    if (this.#closed) throw logClosed()
    this.#sealed = true
    await this.#drain()
    await createDirectory(this.#options.disk, this.#directory)
    await writeFile(join(this.#directory, SEAL_FILE), '')
    await this.#options.disk.syncDirectory(this.#directory)
  }

  async #inTurn<T>(job: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(job)
    this.#turn = mine.catch(() => undefined) // its caller sees the failure; the next still runs
    return mine
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#drain()
    await this.#inTurn(async () => {
      const last = this.#segments.at(-1)
      await last?.saveIndex().catch(() => undefined) // a cache: the next start scans instead
      await last?.release()
    })
  }

  /** Whoever waits already is served. */
  async #drain(): Promise<void> {
    while (!this.#queue.isEmpty) await this.#inTurn(() => this.#commitInTurn())
    await this.#turn
  }
}

function logClosed(): ServiceError {
  return new ServiceError('unavailable', 'LogClosed', 'The log is closed.')
}
