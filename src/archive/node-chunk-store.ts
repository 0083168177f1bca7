import type { Dirent } from 'node:fs'
import { mkdir, open, readdir, rmdir, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isFileError, type ChunkStore, type ChunkStoreFile } from './chunk-store.ts'

/** The {@link ChunkStore} on the file system of this machine. */
export const nodeChunkStore: ChunkStore = {
  open: async (path, flags) => new NodeFile(await open(path, flags, 0o640)),

  makeDirectory: async (path) => {
    const first = await mkdir(path, { recursive: true })
    if (first === undefined) return
    for (let made = path; made.length >= first.length; made = dirname(made)) {
      await nodeChunkStore.syncDirectory(dirname(made))
    }
  },

  syncDirectory: async (path) => {
    const directory = await open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },

  unlink,

  removeEmptyDirectory: async (path) => {
    try {
      await rmdir(path)
    } catch (error) {
      if (!isFileError(error, 'ENOTEMPTY') && !isFileError(error, 'ENOENT')) throw error
    }
  },

  list: async function* (path) {
    for (const entry of await entriesOf(path)) {
      const below = join(path, entry.name)
      if (entry.isDirectory()) yield* nodeChunkStore.list(below)
      else if (entry.isFile()) yield below
    }
  },
}

async function entriesOf(path: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (isFileError(error, 'ENOENT')) return []
    throw error
  }
}

class NodeFile implements ChunkStoreFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let rest = [...parts]
    let at = position
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, at)
      at += bytesWritten
      rest = withoutFirst(rest, bytesWritten) // a short write goes on where it stopped
    }
  }

  async read(position: number, length: number, memory?: Buffer): Promise<Buffer> {
    const buffer = memory ?? Buffer.allocUnsafeSlow(length)
    let filled = 0
    while (filled < length) {
      const at = position + filled
      const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, at)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length)
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

function withoutFirst(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  const rest: Uint8Array[] = []
  for (const part of parts) {
    if (skip >= part.length) skip -= part.length
    else {
      rest.push(part.subarray(skip))
      skip = 0
    }
  }
  return rest
}
