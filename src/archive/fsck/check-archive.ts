import { join } from 'node:path'
import { ServiceError } from '../../domain/errors.ts'
import type { StreamId } from '../../domain/stream.ts'
import type { Catalogue, FinishedChunk } from '../catalogue.ts'
import { toSidecarPath } from '../chunk-layout.ts'
import { isFileError, type ChunkStore } from '../chunk-store.ts'
import { decodeSidecar } from '../fragment-row.ts'
import { readSidecarFile, rebuildSidecar } from '../recovery.ts'
import { SidecarRows } from '../sidecar-rows.ts'
import { checkChunkBytes } from './check-chunk.ts'
import type { FsckFinding, FsckReport } from './finding.ts'
import { findOrphans, parseChunkPath } from './orphans.ts'

export type FsckDeps = {
  readonly directory: string
  readonly files: ChunkStore
  readonly catalogue: Catalogue
}

export type FsckOptions = {
  /** `presence`: rows, files and sidecars against each other. `bytes`: every byte of media too. */
  readonly depth: 'presence' | 'bytes'
  readonly repair: 'nothing' | 'index'
}

/**
 * Checks the archive, which nobody else may use meanwhile. Repair puts the index right: sidecars are
 * made again, rows without a file go, sums are added up anew. It changes and deletes no media.
 *
 * @throws ServiceError `unavailable`/`ArchiveDirectoryEmpty`: see {@link requireMedia}
 */
export async function checkArchive(deps: FsckDeps, options: FsckOptions): Promise<FsckReport> {
  if (options.repair !== 'nothing') await requireMedia(deps)
  const check = new ArchiveCheck(deps, options)
  await check.run()
  return check.report()
}

class ArchiveCheck {
  readonly #deps: FsckDeps
  readonly #options: FsckOptions
  readonly #findings: FsckFinding[] = []
  readonly #checked = { streams: 0, chunks: 0, openChunks: 0, fragments: 0, bytes: 0 }
  #repaired = 0

  constructor(deps: FsckDeps, options: FsckOptions) {
    this.#deps = deps
    this.#options = options
  }

  report(): FsckReport {
    return { checked: this.#checked, findings: this.#findings, repaired: this.#repaired }
  }

  async run(): Promise<void> {
    const { directory, files, catalogue } = this.#deps
    for (const streamId of await catalogue.streamsWithChunks()) await this.#checkStream(streamId)
    for await (const { key, chunk } of catalogue.openRows()) {
      if (chunk?.state === 'open') continue
      const [stream, counter] = [key[2] as StreamId, String(key[3])]
      await this.#find({ code: 'open-row', stream, chunk: counter, detail: 'no open chunk' }, () =>
        catalogue.forgetRows([key]),
      )
    }
    for await (const path of findOrphans(directory, files, catalogue)) {
      const stream = parseChunkPath(path)?.streamId ?? null
      await this.#find({ code: 'orphan-file', stream, chunk: path, detail: 'no row names it' })
    }
  }

  async #checkStream(streamId: StreamId): Promise<void> {
    const { catalogue } = this.#deps
    this.#checked.streams++
    const sums = { chunks: 0, bytes: 0 }
    let last: FinishedChunk | null = null
    for await (const chunk of catalogue.chunksFrom(streamId, 0)) {
      if (chunk.state === 'open') this.#checked.openChunks++
      else if (await this.#checkChunk(streamId, chunk)) {
        sums.chunks++
        sums.bytes += chunk.bytes
        last = chunk
      }
    }
    for (const by of ['server', 'producer'] as const) {
      for await (const { key, isRight } of catalogue.timeRows(streamId, by)) {
        if (isRight) continue
        const chunk = String(key.at(-1))
        const detail = `${by} row that no chunk explains`
        await this.#find({ code: 'time-row', stream: streamId, chunk, detail }, () =>
          catalogue.forgetRows([key]),
        )
      }
    }
    const { chunks, bytes } = catalogue.stream(streamId)
    const isThere = catalogue.hasStream(streamId)
    if (isThere && chunks === sums.chunks && bytes === sums.bytes) return
    const found = isThere ? `${chunks} chunks of ${bytes} bytes` : 'no row'
    const detail = `${found}; there are ${sums.chunks} chunks of ${sums.bytes} bytes`
    await this.#find({ code: 'sums', stream: streamId, chunk: null, detail }, () =>
      catalogue.correctStream(streamId, sums, last?.span ?? null),
    )
  }

  /** Answers whether the chunk stays in the catalogue. */
  async #checkChunk(streamId: StreamId, chunk: FinishedChunk): Promise<boolean> {
    const { directory, files, catalogue } = this.#deps
    this.#checked.chunks++
    this.#checked.fragments += chunk.span.fragments
    const path = join(directory, chunk.path)
    const about = { stream: streamId, chunk: chunk.chunkId }
    const size = await sizeOf(files, path)
    if (size === null) {
      await this.#find({ code: 'chunk-missing', ...about, detail: chunk.path }, async () => {
        await unlinkIfThere(files, toSidecarPath(path))
        const garbage = await catalogue.dropChunk(streamId, chunk.firstCounter)
        if (garbage !== null) await catalogue.forgetGarbage(garbage)
      })
      return this.#options.repair === 'nothing'
    }
    if (size !== chunk.bytes) {
      const detail = `${size} bytes; the catalogue says ${chunk.bytes}`
      await this.#find({ code: 'chunk-length', ...about, detail })
    }
    if (!catalogue.hasTimeRows(streamId, chunk)) {
      await this.#find({ code: 'time-row', ...about, detail: 'missing' }, () =>
        catalogue.restoreTimeRows(streamId, chunk),
      )
    }
    await this.#checkSidecar(chunk, about)
    if (this.#options.depth === 'bytes') await this.#checkBytes(path, about)
    return true
  }

  async #checkSidecar(chunk: FinishedChunk, about: About): Promise<void> {
    const { directory, files } = this.#deps
    const bytes = await readSidecarFile(files, toSidecarPath(join(directory, chunk.path)))
    const make = async () => {
      await rebuildSidecar(chunk, { directory, files })
    }
    if (bytes === null) {
      await this.#find({ code: 'sidecar-missing', ...about, detail: 'no such file' }, make)
      return
    }
    const { fragments, lastCounter } = chunk.span
    const facts = { fragments, lastCounter, chunkBytes: chunk.bytes }
    if (SidecarRows.parse(bytes, facts) !== null) return
    const rows = decodeSidecar(bytes, chunk.bytes)
    const detail = `${rows.length} good rows in ${bytes.length} bytes of ${fragments}`
    await this.#find({ code: 'sidecar-damaged', ...about, detail }, make)
  }

  async #checkBytes(path: string, about: About): Promise<void> {
    const media = await this.#deps.files.open(path, 'r')
    try {
      this.#checked.bytes += await media.size()
      const { findings } = await checkChunkBytes(media)
      for (const finding of findings) await this.#find({ ...finding, ...about })
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      await this.#find({ code: 'unreadable', ...about, detail })
    } finally {
      await media.close()
    }
  }

  async #find(finding: FsckFinding, repair?: () => Promise<unknown>): Promise<void> {
    this.#findings.push(finding)
    if (this.#options.repair === 'nothing' || repair === undefined) return
    await repair()
    this.#repaired++
  }
}

/**
 * Keeps repair and rebuild from forgetting everything because a volume is not mounted.
 *
 * @throws ServiceError `unavailable`/`ArchiveDirectoryEmpty` when chunks are catalogued and no file
 *   is there
 */
export async function requireMedia({ directory, files, catalogue }: FsckDeps): Promise<void> {
  for await (const path of files.list(directory)) if (path !== '') return
  for (const streamId of await catalogue.streams()) {
    if (catalogue.stream(streamId).chunks === 0) continue
    throw new ServiceError(
      'unavailable',
      'ArchiveDirectoryEmpty',
      `There is no file in ${directory}, and there should be chunks. Is it mounted?`,
    )
  }
}

async function unlinkIfThere(files: ChunkStore, path: string): Promise<void> {
  try {
    await files.unlink(path)
  } catch (error) {
    if (!isFileError(error, 'ENOENT')) throw error
  }
}

type About = { readonly stream: StreamId; readonly chunk: string }

async function sizeOf(files: ChunkStore, path: string): Promise<number | null> {
  try {
    const file = await files.open(path, 'r')
    try {
      return await file.size()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isFileError(error, 'ENOENT')) return null
    throw error
  }
}
