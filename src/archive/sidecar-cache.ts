import { BytePool } from '../platform/byte-pool.ts'
import type { SidecarRows } from './sidecar-rows.ts'

/** Bytes of sidecars kept for the next reader. The longest unused goes. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024

/** Memory that waits for the next sidecar, and the smallest piece of it: fifty fragments. */
const MAX_SPARE_BYTES = 1024 * 1024
const MIN_PIECE_BYTES = 4 * 1024

/** Rows of a chunk; `isComplete` is false when some cannot be read, which come behind these. */
export type ChunkRows = { readonly rows: SidecarRows; readonly isComplete: boolean }

/**
 * Sidecars that were read, and the memory that they are read into, which is used again: fresh memory
 * for each look-up makes V8 mark the whole heap every few hundred of them, which is most of what the
 * slowest look-ups take. So rows are lent: who gets them is done with them when it returns.
 */
export class SidecarCache {
  readonly #memory = new BytePool(MAX_SPARE_BYTES, MIN_PIECE_BYTES)
  readonly #kept = new Map<string, ChunkRows>()
  #keptBytes = 0
  #forgets = 0

  /** How often something was forgotten: what was read before that may be as it was before. */
  get forgets(): number {
    return this.#forgets
  }

  /** Memory to read into; given back by {@link lend}, {@link lendOnce} or {@link giveBack}. */
  take(byteLength: number): Buffer {
    return this.#memory.take(byteLength)
  }

  giveBack(bytes: Uint8Array): void {
    this.#memory.giveBack(bytes)
  }

  /** Lent until something is awaited; `undefined` when they are not kept. */
  get(chunkPath: string): ChunkRows | undefined {
    const kept = this.#kept.get(chunkPath)
    if (kept === undefined) return undefined
    this.#kept.delete(chunkPath)
    this.#kept.set(chunkPath, kept)
    return kept
  }

  /** Keeps the rows for the next one, unless one was faster or a chunk was forgotten meanwhile. */
  lend<T>(
    chunkPath: string,
    { read, forgetsBefore }: { readonly read: ChunkRows; readonly forgetsBefore: number },
    use: (read: ChunkRows) => T,
  ): T {
    if (this.#kept.has(chunkPath) || this.#forgets !== forgetsBefore)
      return this.lendOnce(read, use)
    this.#kept.set(chunkPath, read)
    this.#keptBytes += memoryOf(read)
    for (const path of this.#kept.keys()) {
      if (this.#keptBytes <= MAX_KEPT_BYTES || path === chunkPath) break
      this.#drop(path)
    }
    return use(read)
  }

  lendOnce<T>(read: ChunkRows, use: (read: ChunkRows) => T): T {
    try {
      return use(read)
    } finally {
      this.#memory.giveBack(read.rows.bytes)
    }
  }

  forget(chunkPath: string): void {
    this.#forgets += 1
    this.#drop(chunkPath)
  }

  #drop(chunkPath: string): void {
    const dropped = this.#kept.get(chunkPath)
    if (dropped === undefined) return
    this.#kept.delete(chunkPath)
    this.#keptBytes -= memoryOf(dropped)
    this.#memory.giveBack(dropped.rows.bytes)
  }
}

function memoryOf({ rows }: ChunkRows): number {
  return rows.bytes.buffer.byteLength
}
