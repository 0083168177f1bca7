import { dirname, join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Catalogue } from './catalogue.ts'
import { toChunkPath } from './chunk-layout.ts'
import type { ChunkStore } from './chunk-store.ts'
import { parseChunkPath, toPathBelow } from './fsck/orphans.ts'

/**
 * Keeps a start from going on with a catalogue that is gone or older than the media, as when `meta/`
 * was lost or an old copy was put back: numbers would be given out again. A chunk's row comes before
 * its file, so that no crash leaves a file newer than its stream's newest row. Looked at are
 * the days of that row and of now; it takes a look-up and two folders per stream, however old it is.
 *
 * @throws ServiceError `data-loss`/`CatalogueIncomplete`
 */
export async function requireCatalogue(deps: {
  readonly directory: string
  readonly files: ChunkStore
  readonly catalogue: Catalogue
  readonly now: EpochMs
}): Promise<void> {
  const { directory, files, catalogue } = deps
  const garbage = new Set((await catalogue.garbage()).map(({ path }) => path))
  const streamIds = await catalogue.streamsWithChunks()
  const folders = streamIds.length === 0 ? [''] : []
  for (const streamId of streamIds) folders.push(...(await foldersToLookAt(deps, streamId)))
  for (const folder of folders) {
    for await (const path of files.list(join(directory, folder))) {
      const below = toPathBelow(directory, path)
      const place = below.endsWith('.mkv') && !garbage.has(below) ? parseChunkPath(below) : null
      if (place === null || catalogue.chunk(place.streamId, place.firstCounter) !== null) continue
      const { nextCounter } = catalogue.stream(place.streamId)
      if (place.firstCounter >= nextCounter) throw incomplete(join(directory, below))
    }
  }
}

async function foldersToLookAt(
  { catalogue, now }: { readonly catalogue: Catalogue; readonly now: EpochMs },
  streamId: StreamId,
): Promise<readonly string[]> {
  const today = dirname(toChunkPath(streamId, '', now))
  for await (const { path } of catalogue.chunksBackwards(streamId)) {
    return [...new Set([dirname(path), today])]
  }
  return [today]
}

function incomplete(path: string): ServiceError {
  return new ServiceError(
    'data-loss',
    'CatalogueIncomplete',
    `The catalogue in meta/ does not know ${path}: it was lost or is an older copy. ` +
      'Put back the newest copy, or make it again with `kinora fsck --rebuild`.',
  )
}
