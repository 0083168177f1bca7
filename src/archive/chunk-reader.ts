import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import type { Fragment } from '../domain/fragment.ts'
import type { Track } from '../domain/track.ts'
import { parseWholeHeader } from '../media/matroska/header.ts'
import { parseTags } from '../media/matroska/tags.ts'
import { readElementHead } from '../media/matroska/vint.ts'
import { ElementId } from '../media/matroska/element-id.ts'
import { FRAGMENT_NUMBER_TAG } from '../media/matroska/writer.ts'
import type { BytePool } from '../platform/byte-pool.ts'
import type { StoredFragment } from './archive.ts'
import type { ChunkRow, FinishedChunk } from './catalogue.ts'
import { readChunkHeader } from './chunk-ending.ts'
import { toSidecarPath } from './chunk-layout.ts'
import type { ChunkStoreFile, ChunkStore } from './chunk-store.ts'
import { isFileError } from './chunk-store.ts'
import type { DamagedChunks } from './damaged-chunks.ts'
import { sidecarHeader } from './fragment-row.ts'
import type { FsckCode } from './fsck/finding.ts'
import type { LiveRowFacts } from './live-rows.ts'
import { scanRows, writeSidecar } from './recovery.ts'
import { SidecarCache, type ChunkRows } from './sidecar-cache.ts'
import { sidecarBytes, SidecarRows } from './sidecar-rows.ts'

/** Open chunk files kept for the next reader. The longest unused goes. */
const MAX_OPEN_FILES = 64

/** Chunks that were said to be damaged; then it is said again. */
const MAX_TOLD = 1000

export type ChunkReaderDeps = {
  readonly directory: string
  readonly files: ChunkStore
  readonly damaged: DamagedChunks
  /** A chunk's files are not as they were written; told once for a chunk. */
  readonly onDamaged: (chunk: ChunkRow, damage: ChunkDamage) => void
}

export type ChunkDamage = { readonly code: FsckCode; readonly detail: string }

/** Reads fragments and rows back from chunks. */
export class ChunkReader implements AsyncDisposable {
  readonly #directory: string
  readonly #files: ChunkStore
  readonly #damaged: DamagedChunks
  readonly #onDamaged: ChunkReaderDeps['onDamaged']
  readonly #openChunks = new Map<string, OpenChunk>()
  readonly #sidecars = new SidecarCache()
  /** Sidecars that are read and not closed yet. */
  readonly #closing = new Set<Promise<unknown>>()
  readonly #told = new Set<string>()

  constructor({ directory, files, damaged, onDamaged }: ChunkReaderDeps) {
    this.#directory = directory
    this.#files = files
    this.#damaged = damaged
    this.#onDamaged = onDamaged
  }

  /** @param memory for the bytes; they have their own without it */
  async readFragment(
    chunk: ChunkRow,
    fragment: Fragment,
    memory?: BytePool,
  ): Promise<StoredFragment> {
    const open = this.#acquire(chunk)
    try {
      const { file, header, tracks } = await open.opened
      const { place, sizeBytes } = fragment
      const bytes = await file.read(place.offset, sizeBytes, memory?.take(sizeBytes))
      if (bytes[0] === ElementId.Void) throw fragmentNotFound(fragment) // it was deleted
      if (bytes.length < fragment.sizeBytes || !beginsWith(bytes, fragment)) {
        throw unreadable(fragment, 'The chunk file disagrees with the index.')
      }
      return { header, tracks, bytes }
    } catch (error) {
      if (error instanceof ServiceError && error.kind === 'not-found') throw error
      const said = toUnreadable(fragment, error)
      const isMissing = isFileError(error, 'ENOENT')
      this.#tell(chunk, { code: isMissing ? 'chunk-missing' : 'unreadable', detail: said.message })
      throw said
    } finally {
      this.#release(open)
    }
  }

  /**
   * Made again from the chunk when its sidecar is gone or damaged. Rejects only with what `use`
   * throws.
   *
   * @param use the rows are lent: done with them when it returns
   */
  async finishedRows<T>(chunk: FinishedChunk, use: (read: ChunkRows) => T): Promise<T> {
    const kept = this.#sidecars.get(chunk.path)
    if (kept !== undefined) return use(kept)
    const forgetsBefore = this.#sidecars.forgets
    const { fragments, lastCounter } = chunk.span
    const facts = { fragments, lastCounter, waiting: [] }
    const rows = await this.#readSidecar(chunk, facts, chunk.bytes)
    if (rows !== null) {
      const read = { rows, isComplete: true }
      return this.#sidecars.lend(chunk.path, { read, forgetsBefore }, use)
    }
    const read = await this.#rowsFromMedia(chunk, fragments)
    if (!read.isComplete) return use(read)
    const path = toSidecarPath(join(this.#directory, chunk.path))
    // On a full disk it is made again each time.
    await writeSidecar(this.#files, path, read.rows.all()).catch(() => undefined)
    if (this.#sidecars.forgets !== forgetsBefore) {
      // The chunk may have been removed, or a range of it deleted, after its notes were read.
      await this.#files.unlink(path).catch(() => undefined)
    }
    return this.#sidecars.lend(chunk.path, { read, forgetsBefore }, use)
  }

  /** Of a chunk that grows; from its notes when its sidecar is gone or damaged. As finished ones. */
  async liveRows<T>(chunk: ChunkRow, facts: LiveRowFacts, use: (read: ChunkRows) => T): Promise<T> {
    const { fragments } = facts
    if (fragments === 0) return use(NO_ROWS)
    const rows = await this.#readSidecar(chunk, facts, Infinity)
    if (rows !== null) return this.#sidecars.lendOnce({ rows, isComplete: true }, use)
    return use(await this.#rowsFromMedia(chunk, fragments))
  }

  /** Tells when a chunk's file is not there: somebody may have unlinked it while it grew. */
  async lookFor(chunk: ChunkRow): Promise<void> {
    try {
      await (await this.#files.open(join(this.#directory, chunk.path), 'r')).close()
    } catch (error) {
      const isMissing = isFileError(error, 'ENOENT')
      const code = isMissing ? 'chunk-missing' : 'unreadable'
      this.#tell(chunk, { code, detail: toMessage(error) })
    }
  }

  /** Lets go of a chunk whose files are about to be unlinked. */
  forget(path: string): void {
    this.#sidecars.forget(path)
    this.#damaged.forget(path)
    this.#told.delete(path)
    const open = this.#openChunks.get(path)
    if (open === undefined) return
    this.#openChunks.delete(path)
    this.#evict(open)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = [...this.#openChunks.values()].map((open) => {
      this.#evict(open)
      return open.closed
    })
    this.#openChunks.clear()
    await Promise.all([...closing, ...this.#closing])
  }

  /** `null` when it is not there, or not as these facts say. */
  async #readSidecar(
    chunk: ChunkRow,
    { fragments, lastCounter, waiting }: LiveRowFacts,
    chunkBytes: number,
  ): Promise<SidecarRows | null> {
    const written = fragments - waiting.length
    const bytes = this.#sidecars.take(sidecarBytes(fragments))
    try {
      if (written > 0) await this.#fillFromSidecar(chunk, bytes.subarray(0, sidecarBytes(written)))
      else bytes.set(sidecarHeader())
      let at = sidecarBytes(written)
      for (const row of waiting) {
        bytes.set(row, at)
        at += row.length
      }
      const rows = SidecarRows.parse(bytes, { fragments, lastCounter, chunkBytes })
      if (rows === null) this.#sidecars.giveBack(bytes)
      return rows
    } catch (error) {
      this.#sidecars.giveBack(bytes)
      if (isFileError(error, 'ENOENT')) return null
      this.#tell(chunk, { code: 'unreadable', detail: `sidecar: ${toMessage(error)}` })
      return null
    }
  }

  /** What the file is too short for is left as zeros, which no row is. */
  async #fillFromSidecar(chunk: ChunkRow, bytes: Buffer): Promise<void> {
    const file = await this.#files.open(toSidecarPath(join(this.#directory, chunk.path)), 'r')
    try {
      const read = await file.read(0, bytes.length, bytes)
      if (read.buffer !== bytes.buffer) bytes.set(read) // an engine may have memory of its own
      bytes.fill(0, read.length)
    } finally {
      this.#close(file) // a look-up does not wait for it
    }
  }

  #close(file: ChunkStoreFile): void {
    const closing = file.close().catch(() => undefined) // nothing was written through it
    this.#closing.add(closing)
    void closing.then(() => this.#closing.delete(closing))
  }

  async #rowsFromMedia(chunk: ChunkRow, fragments: number): Promise<ChunkRows> {
    try {
      const place = { directory: this.#directory, files: this.#files }
      const rows = await scanRows(chunk, place)
      if (rows === null) {
        this.#tell(chunk, { code: 'chunk-missing', detail: `${chunk.path}, nor its sidecar` })
        return LOST_ROWS
      }
      const isComplete = rows.length >= fragments
      const detail = `no sidecar, and only ${rows.length} of ${fragments} fragments can be found`
      if (!isComplete) this.#tell(chunk, { code: 'media', detail })
      return { rows: SidecarRows.of(rows.slice(0, fragments)), isComplete }
    } catch (error) {
      this.#tell(chunk, { code: 'unreadable', detail: toMessage(error) })
      return LOST_ROWS
    }
  }

  #tell(chunk: ChunkRow, damage: ChunkDamage): void {
    this.#damaged.note(chunk.path)
    if (this.#told.has(chunk.path)) return
    if (this.#told.size >= MAX_TOLD) this.#told.clear()
    this.#told.add(chunk.path)
    this.#onDamaged(chunk, damage)
  }

  #acquire(chunk: ChunkRow): OpenChunk {
    let open = this.#openChunks.get(chunk.path)
    if (open === undefined) open = this.#open(chunk)
    else this.#openChunks.delete(chunk.path)
    this.#openChunks.set(chunk.path, open)
    open.users++
    for (const [path, oldest] of this.#openChunks) {
      if (this.#openChunks.size <= MAX_OPEN_FILES) break
      this.#openChunks.delete(path)
      this.#evict(oldest)
    }
    return open
  }

  #open(chunk: ChunkRow): OpenChunk {
    const opened = this.#openFile(chunk)
    const open: OpenChunk = { opened, users: 0, evicted: false, closed: Promise.resolve() }
    opened.catch(() => {
      if (this.#openChunks.get(chunk.path) === open) this.#openChunks.delete(chunk.path)
    })
    return open
  }

  async #openFile(chunk: ChunkRow): Promise<OpenedChunk> {
    const file = await this.#files.open(join(this.#directory, chunk.path), 'r')
    try {
      const header = await readChunkHeader(file, chunk.headerBytes)
      return { file, header, tracks: parseWholeHeader(header).tracks }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  #release(open: OpenChunk): void {
    open.users--
    if (open.evicted && open.users === 0) this.#closeChunk(open)
  }

  /** Its file is closed when the last read of it is done. */
  #evict(open: OpenChunk): void {
    open.evicted = true
    if (open.users === 0) this.#closeChunk(open)
  }

  #closeChunk(open: OpenChunk): void {
    open.closed = open.opened.then(
      ({ file }) => file.close(),
      () => undefined, // it never was open
    )
    open.closed.catch(() => undefined) // nothing was written through it
  }
}

type OpenedChunk = {
  readonly file: ChunkStoreFile
  readonly header: Uint8Array
  readonly tracks: readonly Track[]
}

type OpenChunk = {
  readonly opened: Promise<OpenedChunk>
  users: number
  evicted: boolean
  closed: Promise<void>
}

/** Whether the slice starts with the Tags that carry this fragment's number. */
function beginsWith(bytes: Uint8Array, { fragmentNumber }: Fragment): boolean {
  try {
    const head = readElementHead(bytes, 0)
    if (head?.id !== ElementId.Tags || head.dataOffset + head.size > bytes.length) return false
    const pairs = parseTags(bytes, head)
    return pairs.some(({ name, value }) => name === FRAGMENT_NUMBER_TAG && value === fragmentNumber)
  } catch {
    return false
  }
}

export function fragmentNotFound({
  fragmentNumber,
}: Pick<Fragment, 'fragmentNumber'>): ServiceError {
  return new ServiceError(
    'not-found',
    'FragmentNotFound',
    `Fragment ${fragmentNumber} is not in the archive.`,
  )
}

const NO_ROWS: ChunkRows = { rows: SidecarRows.of([]), isComplete: true }
const LOST_ROWS: ChunkRows = { ...NO_ROWS, isComplete: false }

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function toUnreadable(fragment: Fragment, error: unknown): ServiceError {
  if (error instanceof ServiceError && error.kind !== 'malformed-media') return error
  const isMissing = isFileError(error, 'ENOENT')
  const why = isMissing ? 'The chunk file is missing.' : 'The chunk file cannot be read.'
  return unreadable(fragment, why, error)
}

function unreadable(
  { fragmentNumber, place }: Fragment,
  why: string,
  cause?: unknown,
): ServiceError {
  return new ServiceError('data-loss', 'FragmentUnreadable', `Fragment ${fragmentNumber}: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    context: { ...place },
  })
}
