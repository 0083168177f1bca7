import fs, { type Dirent } from 'node:fs'
import { mkdir, open, readdir, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createDeferred } from '../platform/deferred.ts'
import { isFileError, type ChunkStore, type ChunkStoreFile } from './chunk-store.ts'

/** The {@link ChunkStore} on the file system of this machine. */
export const nodeChunkStore: ChunkStore = {
  open: (path, flags) =>
    new Promise((resolve, reject) => {
      fs.open(path, flags, 0o640, (error, descriptor) => {
        if (error === null) resolve(new NodeFile(descriptor))
        else reject(error)
      })
    }),

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

/**
 * A file by its descriptor and calls that answer by callback: a FileHandle's promise costs the event
 * loop twice as much as the whole call. Who closes it while a call is under way waits for that, as
 * the system may give the descriptor to another file at once.
 */
class NodeFile implements ChunkStoreFile {
  readonly #descriptor: number
  readonly #idle = createDeferred<void>()
  #underWay = 0
  #isClosing = false

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let rest = parts
    let at = position
    while (rest.length > 0) {
      const written = await this.#call<number>((fd, done) => fs.writev(fd, rest, at, done))
      at += written
      rest = withoutFirst(rest, written) // a short write goes on where it stopped
    }
  }

  async read(position: number, length: number, memory?: Buffer): Promise<Buffer> {
    const buffer = memory ?? Buffer.allocUnsafeSlow(length)
    let filled = 0
    while (filled < length) {
      const [from, at] = [filled, position + filled]
      const bytesRead = await this.#call<number>((fd, done) =>
        fs.read(fd, buffer, from, length - from, at, done),
      )
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  async size(): Promise<number> {
    return (await this.#call<fs.Stats>((fd, done) => fs.fstat(fd, done))).size
  }

  truncate(length: number): Promise<void> {
    return this.#call((fd, done) => fs.ftruncate(fd, length, done))
  }

  sync(): Promise<void> {
    return this.#call((fd, done) => fs.fdatasync(fd, done))
  }

  async close(): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    if (this.#underWay > 0) await this.#idle.promise
    await new Promise<void>((resolve, reject) => {
      fs.close(this.#descriptor, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  #call<T>(
    start: (fd: number, done: (error: Error | null, result?: T) => void) => void,
  ): Promise<T> {
    if (this.#isClosing) return Promise.reject(closedFile())
    return new Promise<T>((resolve, reject) => {
      start(this.#descriptor, (error, result) => {
        if (--this.#underWay === 0 && this.#isClosing) this.#idle.resolve()
        if (error === null) resolve(result as T)
        else reject(error)
      })
      this.#underWay++
    })
  }
}

function closedFile(): Error {
  return Object.assign(new Error('EBADF: the file is closed'), { code: 'EBADF' })
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
