import { statfs } from 'node:fs/promises'

export type DiskSize = { readonly totalBytes: number; readonly freeBytes: number }

/** Of the file system that a path is on; free is what this process may use. */
export async function readDiskSize(path: string): Promise<DiskSize> {
  const { bsize, blocks, bavail } = await statfs(path)
  return { totalBytes: bsize * blocks, freeBytes: bsize * bavail }
}
