import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import type { Fragment } from '../domain/fragment.ts'
import type { Track } from '../domain/track.ts'
import { parseWholeHeader } from '../media/matroska/header.ts'
import { parseTags } from '../media/matroska/tags.ts'
import { readElementHead } from '../media/matroska/vint.ts'
import { ElementId } from '../media/matroska/element-id.ts'
import { FRAGMENT_NUMBER_TAG } from '../media/matroska/writer.ts'
import type { StoredFragment } from './archive.ts'
import type { ChunkRow, FinishedChunk } from './catalogue.ts'
import { readChunkHeader } from './chunk-ending.ts'
import { toSidecarPath } from './chunk-layout.ts'
import type { ChunkStoreFile, ChunkStore } from './chunk-store.ts'
import { isFileError } from './chunk-store.ts'
import { decodeRow, decodeSidecar, ROW_BYTES, SIDECAR_HEADER_BYTES } from './fragment-row.ts'
import type { FragmentRow } from './fragment-row.ts'
import { readSidecarFile, rebuildSidecar } from './recovery.ts'

/** Open chunk files, and sidecars in memory, kept for the next reader. The longest unused goes. */
const MAX_OPEN_FILES = 64
const MAX_SIDECARS = 64

/** Reads fragments and rows back from chunks. */
export class ChunkReader implements AsyncDisposable {
  readonly #directory: string
  readonly #files: ChunkStore
  readonly #openChunks = new Map<string, OpenChunk>()
  readonly #sidecars = new Map<string, readonly FragmentRow[]>()

  constructor(directory: string, files: ChunkStore) {
    this.#directory = directory
    this.#files = files
  }

  async readFragment(chunk: ChunkRow, fragment: Fragment): Promise<StoredFragment> {
    const open = this.#acquire(chunk)
    try {
      const { file, header, tracks } = await open.opened
      const bytes = await file.read(fragment.place.offset, fragment.sizeBytes)
      if (bytes[0] === ElementId.Void) throw fragmentNotFound(fragment) // it was deleted
      if (bytes.length < fragment.sizeBytes || !beginsWith(bytes, fragment)) {
        throw unreadable(fragment, 'The chunk file disagrees with the index.')
      }
      return { header, tracks, bytes }
    } catch (error) {
      const isSaid = error instanceof ServiceError && error.kind !== 'malformed-media'
      if (isSaid) throw error
      if (isFileError(error, 'ENOENT')) throw fragmentNotFound(fragment)
      throw unreadable(fragment, 'The chunk file cannot be read.', error)
    } finally {
      this.#release(open)
    }
  }

  /** The rows of a finished chunk; made again from the chunk when its sidecar is gone or damaged. */
  async finishedRows(chunk: FinishedChunk): Promise<readonly FragmentRow[]> {
    const cached = this.#sidecars.get(chunk.path)
    if (cached !== undefined) {
      this.#sidecars.delete(chunk.path)
      this.#sidecars.set(chunk.path, cached)
      return cached
    }
    const bytes = await readSidecarFile(this.#files, this.#sidecarOf(chunk))
    let rows = bytes === null ? [] : decodeSidecar(bytes, chunk.bytes)
    if (rows.length !== chunk.span.fragments) {
      const place = { directory: this.#directory, files: this.#files }
      rows = (await rebuildSidecar(chunk, place)) ?? []
    }
    this.#sidecars.set(chunk.path, rows)
    const [oldest] = this.#sidecars.keys()
    if (this.#sidecars.size > MAX_SIDECARS) this.#sidecars.delete(oldest!)
    return rows
  }

  /** The first `count` rows of a chunk that grows. */
  async liveRows(chunk: ChunkRow, count: number): Promise<readonly FragmentRow[]> {
    if (count === 0) return []
    const bytes = await readSidecarFile(this.#files, this.#sidecarOf(chunk))
    const rows: FragmentRow[] = []
    for (let i = 0; bytes !== null && i < count; i++) {
      const row = decodeRow(bytes, SIDECAR_HEADER_BYTES + i * ROW_BYTES)
      if (row === null) break
      rows.push(row)
    }
    return rows
  }

  /** Lets go of a chunk whose files are about to be unlinked. */
  forget(path: string): void {
    this.#sidecars.delete(path)
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
    await Promise.all(closing)
  }

  #sidecarOf(chunk: ChunkRow): string {
    return toSidecarPath(join(this.#directory, chunk.path))
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
    if (open.evicted && open.users === 0) this.#close(open)
  }

  /** Its file is closed when the last read of it is done. */
  #evict(open: OpenChunk): void {
    open.evicted = true
    if (open.users === 0) this.#close(open)
  }

  #close(open: OpenChunk): void {
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
