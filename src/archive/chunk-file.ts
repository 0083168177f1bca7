import { dirname, join } from 'node:path'
import type { OpenChunkRow } from './catalogue.ts'
import { writeEnding } from './chunk-ending.ts'
import { RESERVE_BYTES, reserveElement, toSidecarPath } from './chunk-layout.ts'
import { withFragment, type ChunkSpan } from './chunk-span.ts'
import { isFileError, type ChunkStoreFile, type ChunkStore } from './chunk-store.ts'
import { decodeSidecar, type FragmentRow } from './fragment-row.ts'
import { LiveRows, type LiveRowFacts, type RowInPlace } from './live-rows.ts'

/**
 * One chunk while it grows: its file, its sidecar, and how far both are good. Calls are made one
 * after the other; the stream's writer sees to that.
 */
export class ChunkFile {
  readonly header: Uint8Array
  #row: OpenChunkRow
  readonly #files: ChunkStore
  readonly #path: string
  readonly #onWrite: () => void
  #media: ChunkStoreFile | null = null
  #index: ChunkStoreFile | null = null
  #length: number
  #persistedLength: number
  #headerWritten = false
  readonly #rows = new LiveRows()
  #span: ChunkSpan | null = null
  #failed = false
  #cut = false
  #endedBytes: number | null = null
  #ended = false

  /** @param onWrite called for every write call */
  constructor(options: {
    readonly files: ChunkStore
    readonly directory: string
    readonly row: OpenChunkRow
    readonly header: Uint8Array
    readonly onWrite: () => void
  }) {
    this.#row = options.row
    this.header = options.header
    this.#files = options.files
    this.#path = join(options.directory, options.row.path)
    this.#onWrite = options.onWrite
    this.#length = options.header.length + RESERVE_BYTES
    this.#persistedLength = this.#length
  }

  get row(): OpenChunkRow {
    return this.#row
  }

  /** Before it is created: what its first persisted fragment continues. */
  numberFrom(firstSequence: number, discontinuitiesBefore: number): void {
    this.#row = { ...this.#row, firstSequence, discontinuitiesBefore }
  }

  /** Bytes written, kept or not; the header counts from the start. */
  get length(): number {
    return this.#length
  }

  /** Bytes of the fragments that are persisted, the header and what lies between. */
  get persistedLength(): number {
    return this.#persistedLength
  }

  /** Rows of the persisted fragments, for who reads them. */
  get rows(): LiveRowFacts {
    return this.#rows.facts
  }

  get span(): ChunkSpan | null {
    return this.#span
  }

  /** Its fragments do not follow each other any more: one was deleted. */
  forgetOutline(): void {
    if (this.#span === null) return
    const { outline: _, ...span } = this.#span
    this.#span = span
  }

  /** After a failure nothing more is written. */
  get failed(): boolean {
    return this.#failed
  }

  /**
   * Creates both files; their names are on disk when it resolves. Their headers come with what
   * follows, in one write: a chunk of a header alone opens in no player.
   */
  async create(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      if (!isFileError(error, 'ENOENT')) throw error
      await this.#open() // expiry removed the day's empty directory in between
    }
    await this.#files.syncDirectory(dirname(this.#path))
  }

  /** Appends; a failure leaves bytes behind that {@link seal} cuts off. */
  async append(parts: readonly Uint8Array[], byteLength: number): Promise<void> {
    if (this.#headerWritten) await this.#write(this.#media!, parts, this.#length)
    else await this.#write(this.#media!, [this.header, reserveElement(), ...parts], 0)
    this.#headerWritten = true
    this.#length += byteLength
  }

  /** Overwrites bytes that were appended before. */
  async patch(bytes: Uint8Array, position: number): Promise<void> {
    await this.#write(this.#media!, [bytes], position)
  }

  /** Puts what was appended on disk. From then on these are persisted, and their rows known. */
  async persist(rows: readonly FragmentRow[]): Promise<void> {
    await this.#media!.sync()
    this.#persistedLength = this.#length
    this.#rows.add(rows)
    this.#span = rows.reduce<ChunkSpan | null>(withFragment, this.#span)
  }

  /**
   * Writes rows that wait to the sidecar when there are enough of them. A failure loses nothing: they
   * are written with the next ones, or made from the notes at the next start.
   */
  async writeDueRows(): Promise<void> {
    if (!this.#rows.areDue || this.#index === null) return
    this.#onWrite()
    await this.#rows.writeTo(this.#index).catch(() => undefined)
  }

  /**
   * Rows of deleted fragments; those that wait for the sidecar are changed where they wait.
   *
   * @returns those that are to be changed in the sidecar
   */
  replaceRows(changed: readonly RowInPlace[]): Promise<readonly RowInPlace[]> {
    return this.#rows.replace(changed)
  }

  fail(): void {
    this.#failed = true
  }

  /** Nothing more will be appended; it waits to be sealed and catalogued. */
  get ended(): boolean {
    return this.#ended
  }

  end(): void {
    this.#ended = true
  }

  /** Of the file; once sealed, its ending counts too. */
  get fileBytes(): number {
    return this.#endedBytes ?? this.#length
  }

  /**
   * Makes both files final and closes them: see {@link writeEnding}. After a failure everything
   * behind the last persisted fragment is cut off. May be called again when it failed.
   */
  async seal(): Promise<void> {
    if (this.#failed && !this.#cut) {
      await this.#media?.truncate(this.#headerWritten ? this.#persistedLength : 0)
      this.#length = this.#persistedLength
      this.#cut = true
    }
    await this.#media?.sync()
    await this.#writeRows()
    await this.#writeEnding()
    await this.close()
  }

  /** Without {@link seal}: recovery at the next start makes the files final. */
  async close(): Promise<void> {
    const [media, index] = [this.#media, this.#index]
    this.#media = null
    this.#index = null
    await media?.close()
    await index?.close()
  }

  async #open(): Promise<void> {
    await this.#files.makeDirectory(dirname(this.#path))
    this.#media ??= await this.#files.open(this.#path, 'wx+')
    this.#index ??= await this.#files.open(toSidecarPath(this.#path), 'wx+')
  }

  async #writeRows(): Promise<void> {
    const index = this.#index
    if (index === null) return
    await this.#rows.writeTo(index)
    // Behind them may be a part of rows whose write failed.
    if ((await index.size()) > this.#rows.sidecarBytes)
      await index.truncate(this.#rows.sidecarBytes)
    await index.sync()
  }

  async #writeEnding(): Promise<void> {
    const [media, index] = [this.#media, this.#index]
    if (media === null || index === null || this.#span === null) return
    const rows = decodeSidecar(await index.read(0, await index.size()), this.#length)
    const { header } = this
    this.#endedBytes = await writeEnding(media, { header, rows, mediaEnd: this.#length })
  }

  async #write(
    file: ChunkStoreFile,
    parts: readonly Uint8Array[],
    position: number,
  ): Promise<void> {
    this.#onWrite()
    await file.write(parts, position)
  }
}
