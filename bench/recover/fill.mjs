// fill.mjs FOLDER CHUNKS: a catalogue of finished chunks of 10 streams, by the archive's own code.
// Their files are not there: a start does not look at them, or this benchmark would fail.
import { join } from 'node:path'
import { Catalogue } from '../../dist/archive/catalogue.js'
import { toChunkId, toChunkPath } from '../../dist/archive/chunk-layout.js'
import { toChunkSpan } from '../../dist/archive/chunk-span.js'
import { toStreamId } from '../../dist/domain/stream.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

const FRAGMENTS = 300
const CHUNK_MS = 600_000
const [directory, chunks] = process.argv.slice(2)
const streams = 10
const meta = await openLevelMetaStore(join(directory, 'meta'))
const catalogue = new Catalogue(meta)
await Promise.all(Array.from({ length: streams }, (_, i) => fillStream(toStreamId(`old-${i}`, 1))))
await meta[Symbol.asyncDispose]()
console.log('{}')

async function fillStream(streamId) {
  const count = Number(chunks) / streams
  const from = Date.now() - count * CHUNK_MS
  for (let i = 0; i < count; i++) await catalogue.finishChunk(streamId, toChunk(streamId, from, i))
}

function toChunk(streamId, from, i) {
  const openedAt = Math.floor(from + i * CHUNK_MS)
  const firstCounter = i * FRAGMENTS + 1
  const chunkId = toChunkId(firstCounter, openedAt)
  const rows = [0, FRAGMENTS - 1].map((n) => ({
    ...{ counter: firstCounter + n, sequence: firstCounter + n - 1, discontinuitySequence: 0 },
    ...{ producerTimestamp: openedAt + n * 2000, serverTimestamp: openedAt + n * 2000 },
    ...{ durationMs: 2000, arrivalSpanMs: 2000, offset: 1000 + n * 250_000, length: 250_000 },
    ...{ discontinuity: false, recovered: false, deleted: false, sampleCount: 50, checksum: null },
  }))
  return {
    ...{ state: 'finished', chunkId, path: toChunkPath(streamId, chunkId, openedAt), firstCounter },
    ...{ firstSequence: firstCounter - 1, discontinuitiesBefore: 0, openedAt, headerBytes: 500 },
    ...{ bytes: 75_000_000, span: toChunkSpan(rows) },
  }
}
