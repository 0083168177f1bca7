import { mkdir, open, rmdir, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What the archive asks of a file system; a test puts a failing one in its place. */
export interface ArchiveFiles {
  /** `wx+` creates and fails when it exists; `r+` and `r` fail with ENOENT when it does not. */
  open(path: string, flags: 'wx+' | 'r+' | 'r'): Promise<ArchiveFile>
  /** With its parents; every name is on disk when it resolves. */
  makeDirectory(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Leaves a directory that is not empty or not there. */
  removeEmptyDirectory(path: string): Promise<void>
}

export interface ArchiveFile {
  /** All of the parts one after the other, in one call to the system as a rule. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>
  /** Shorter than `length` at the end of the file. */
  read(position: number, length: number): Promise<Buffer>
  size(): Promise<number>
  truncate(length: number): Promise<void>
  /** fdatasync: contents and length are on disk when it resolves. */
  sync(): Promise<void>
  close(): Promise<void>
}

export const nodeFiles: ArchiveFiles = {
  open: async (path, flags) => new NodeFile(await open(path, flags, 0o640)),

  makeDirectory: async (path) => {
    const first = await mkdir(path, { recursive: true })
    if (first === undefined) return
    for (let made = path; made.length >= first.length; made = dirname(made)) {
      await nodeFiles.syncDirectory(dirname(made))
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
}

export function isFileError(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}

class NodeFile implements ArchiveFile {
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

  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length)
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
