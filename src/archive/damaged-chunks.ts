import { join } from 'node:path'
import type { ChunkStore } from './chunk-store.ts'

/** Chunks that are remembered; the one that was found first goes, until it is found again. */
const MAX_CHUNKS = 10_000

/**
 * Chunks that a reader or a check found gone or damaged since the process started. Coverage looks at
 * the files of these, and of no others: what is there of them may have changed since.
 */
export class DamagedChunks {
  readonly #directory: string
  readonly #files: ChunkStore
  readonly #paths = new Set<string>()

  constructor({ directory, files }: { readonly directory: string; readonly files: ChunkStore }) {
    this.#directory = directory
    this.#files = files
  }

  note(chunkPath: string): void {
    this.#paths.add(chunkPath)
    const [first] = this.#paths
    if (this.#paths.size > MAX_CHUNKS) this.#paths.delete(first!)
  }

  has(chunkPath: string): boolean {
    return this.#paths.has(chunkPath)
  }

  /** It is whole again, or it is about to be unlinked. */
  forget(chunkPath: string): void {
    this.#paths.delete(chunkPath)
  }

  /** Bytes of its file; `null` when it is not there or cannot be opened. */
  async bytesOf(chunkPath: string): Promise<number | null> {
    try {
      const file = await this.#files.open(join(this.#directory, chunkPath), 'r')
      try {
        return await file.size()
      } finally {
        await file.close()
      }
    } catch {
      return null
    }
  }
}
