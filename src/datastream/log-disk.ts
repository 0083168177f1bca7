import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What the log needs of a file. The slice of Node's FileHandle that its durability rests on. */
export type LogFile = Pick<
  FileHandle,
  'read' | 'write' | 'datasync' | 'truncate' | 'stat' | 'close'
>

/** The disk under a log. Tests put a disk here that fills up, fails to sync, or counts. */
export type LogDisk = {
  readonly open: (path: string, flags: 'r' | 'r+' | 'w+') => Promise<LogFile>
  /** Makes names created in or removed from the directory durable. */
  readonly syncDirectory: (path: string) => Promise<void>
}

export const nodeDisk: LogDisk = {
  open: (path, flags) => open(path, flags),
  syncDirectory: async (path) => {
    const directory = await open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
}

/** Makes a folder and those above it, durably: a name is on disk once its parent is synced. */
export async function createDirectory(disk: LogDisk, path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true })
  if (firstMade === undefined) return
  for (let made = path; made.length >= firstMade.length; made = dirname(made)) {
    await disk.syncDirectory(dirname(made))
  }
}

/** Writes all of `bytes`; a write call may take only a part of them. */
export async function writeFully(file: LogFile, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

/** Reads up to `length` bytes; fewer only at the end of the file. */
export async function readFully(file: LogFile, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length) // not from the pool: records keep views of it
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return bytes.subarray(0, done)
}
