import { type ChunkStoreFile, type ChunkStore } from '../../src/archive/chunk-store.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import type { MetaBatch, MetaStore } from '../../src/platform/meta-store.ts'

/** What happens at each change to the disk; a read is none. */
export type FaultPlan = (step: number, operation: string) => 'go' | 'fail' | 'fail-half-way'

/**
 * A file system and a MetaStore that fail where a plan says, as a full disk or the end of the
 * process would. `steps` counts what was asked of both.
 */
export class FaultyDisk {
  steps = 0
  readonly operations: string[] = []
  plan: FaultPlan

  constructor(plan: FaultPlan = () => 'go') {
    this.plan = plan
  }

  readonly files: ChunkStore = {
    open: async (path, flags) => {
      if (flags !== 'r') this.#step(`open ${flags}`)
      return this.#wrap(await nodeChunkStore.open(path, flags))
    },
    makeDirectory: (path) => this.#do('makeDirectory', () => nodeChunkStore.makeDirectory(path)),
    syncDirectory: (path) => this.#do('syncDirectory', () => nodeChunkStore.syncDirectory(path)),
    unlink: (path) => this.#do('unlink', () => nodeChunkStore.unlink(path)),
    list: (path) => nodeChunkStore.list(path),
    removeEmptyDirectory: (path) =>
      this.#do('removeEmptyDirectory', () => nodeChunkStore.removeEmptyDirectory(path)),
  }

  meta(meta: MetaStore): MetaStore {
    return {
      get: (key) => meta.get(key),
      entries: (range) => meta.entries(range),
      commit: (batch: MetaBatch) => this.#do('commit', () => meta.commit(batch)),
      [Symbol.asyncDispose]: () => meta[Symbol.asyncDispose](),
    }
  }

  async #do<T>(operation: string, action: () => Promise<T>): Promise<T> {
    this.#step(operation)
    return action()
  }

  #step(operation: string): void {
    if (this.#verdict(operation) !== 'go') throw noSpace()
  }

  #verdict(operation: string) {
    this.steps++
    this.operations.push(operation)
    return this.plan(this.steps, operation)
  }

  #wrap(file: ChunkStoreFile): ChunkStoreFile {
    return {
      write: async (parts, position) => {
        const verdict = this.#verdict('write')
        if (verdict === 'fail-half-way') {
          const whole = Buffer.concat(parts)
          await file.write([whole.subarray(0, whole.length >> 1)], position)
        }
        if (verdict !== 'go') throw noSpace()
        await file.write(parts, position)
      },
      read: (position, length, memory) => file.read(position, length, memory),
      size: () => file.size(),
      truncate: (length) => this.#do('truncate', () => file.truncate(length)),
      sync: () => this.#do('sync', () => file.sync()),
      close: () => file.close(),
    }
  }
}

function noSpace(): Error {
  return Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
}
