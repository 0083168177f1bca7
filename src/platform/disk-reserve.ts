import { randomFillSync } from 'node:crypto'
import { open, rm, stat } from 'node:fs/promises'

const PIECE_BYTES = 1024 * 1024

/**
 * Bytes on disk that nobody uses. A store that has to write before it can be opened gives them up
 * when the disk is full, and takes them back when it is open.
 */
export async function keepReserve(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'a')
  try {
    const { size } = await file.stat()
    // Not zeros: a file system that compresses would keep nothing for them.
    const piece = randomFillSync(Buffer.alloc(PIECE_BYTES))
    for (let length = size; length < sizeBytes;) {
      const { bytesWritten } = await file.write(piece, 0, Math.min(PIECE_BYTES, sizeBytes - length))
      length += bytesWritten
    }
  } catch (error) {
    if (!isDiskFull(error)) throw error
    // Smaller then.
  } finally {
    await file.close()
  }
}

/** @returns how many bytes it gave back, 0 when there was none */
export async function releaseReserve(path: string): Promise<number> {
  try {
    const { size } = await stat(path)
    await rm(path)
    return size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}

function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}
