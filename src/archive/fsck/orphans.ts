import { join, relative, sep } from 'node:path'
import type { StreamId } from '../../domain/stream.ts'
import type { Catalogue } from '../catalogue.ts'
import { firstCounterOf } from '../chunk-layout.ts'
import { isFileError, type ChunkStore } from '../chunk-store.ts'

/**
 * Files below the archive's directory that no row names, as paths below it. May run while chunks
 * come and go: a row comes before its file and goes before it, so a file is looked at again when it
 * has none.
 */
export async function* findOrphans(
  directory: string,
  files: ChunkStore,
  catalogue: Catalogue,
): AsyncGenerator<string> {
  for await (const path of files.list(directory)) {
    const below = toPathBelow(directory, path)
    if (isNamed(catalogue, below)) continue
    const garbage = await catalogue.garbage()
    if (garbage.some((row) => row.path === toChunkFile(below))) continue
    if (await isThere(files, join(directory, below))) yield below
  }
}

/** As the catalogue has it: `/` between the parts. */
export function toPathBelow(directory: string, path: string): string {
  return relative(directory, path).split(sep).join('/')
}

/** The chunk and the stream that a path tells; `null` when no chunk has such a path. */
export function parseChunkPath(
  below: string,
): { readonly streamId: StreamId; readonly chunkId: string; readonly firstCounter: number } | null {
  const match = /^([^/]+)\/\d{8,}\/(\d{16}-[0-9a-f]{12})\.(?:mkv|idx)$/.exec(below)
  if (match === null) return null
  const chunkId = match[2]!
  return { streamId: match[1] as StreamId, chunkId, firstCounter: firstCounterOf(chunkId) }
}

function isNamed(catalogue: Catalogue, below: string): boolean {
  const place = parseChunkPath(below)
  if (place === null) return false
  return catalogue.chunk(place.streamId, place.firstCounter)?.path === toChunkFile(below)
}

function toChunkFile(below: string): string {
  return below.replace(/\.idx$/, '.mkv')
}

async function isThere(files: ChunkStore, path: string): Promise<boolean> {
  try {
    await (await files.open(path, 'r')).close()
    return true
  } catch (error) {
    if (isFileError(error, 'ENOENT')) return false
    throw error
  }
}
