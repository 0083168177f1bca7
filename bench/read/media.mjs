// What write.mjs wrote: the archive and all of its fragments, and reads of their slices without it.
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { toChunkPath } from '../../dist/archive/chunk-layout.js'
import { toStreamId } from '../../dist/domain/stream.js'
import { openAt } from '../archive/open.mjs'

export const STREAMS = 8

export async function openMedia(directory) {
  const { archive, meta } = await openAt(directory)
  const fragments = []
  for (let i = 0; i < STREAMS; i++) {
    fragments.push(...(await archive.after(toStreamId(`cam-${i}`, 1), null, 1e6)))
  }
  const close = async () => {
    await archive[Symbol.asyncDispose]()
    await meta[Symbol.asyncDispose]()
  }
  return { archive, fragments, close }
}

export function sliceReader(directory) {
  const files = new Map()
  return {
    read: async ({ streamId, place, sizeBytes }, memory) => {
      const openedAt = Number.parseInt(place.chunkId.split('-')[1], 16)
      const path = join(directory, 'media', toChunkPath(streamId, place.chunkId, openedAt))
      if (!files.has(path)) files.set(path, open(path, 'r'))
      const bytes = memory.take(sizeBytes)
      await (await files.get(path)).read(bytes, 0, sizeBytes, place.offset)
      return bytes
    },
    close: async () => {
      for (const opening of files.values()) await (await opening).close()
    },
  }
}
