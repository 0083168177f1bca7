// Makes an archive of any age: its catalogue by the archive's own code, in large commits, and the
// sidecars of the chunks that will be looked into. The media is not there.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Catalogue } from '../../dist/archive/catalogue.js'
import { toChunkId, toChunkPath, toSidecarPath } from '../../dist/archive/chunk-layout.js'
import { toChunkSpan } from '../../dist/archive/chunk-span.js'
import { encodeRow, sidecarHeader, toFragment } from '../../dist/archive/fragment-row.js'
import { toStreamId } from '../../dist/domain/stream.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

export const STREAM = toStreamId('bench', 1)
export const CHUNKS_PER_DAY = 144
export const FRAGMENTS_PER_CHUNK = 300
export const FRAGMENT_MS = 2000
export const START_MS = Date.UTC(1990, 0, 1)
const CHUNK_MS = FRAGMENTS_PER_CHUNK * FRAGMENT_MS
const FRAGMENT_BYTES = 250_000
const CHUNKS_PER_COMMIT = 4000

export function endOf(chunks) {
  return START_MS + chunks * CHUNK_MS
}

/** Fixed numbers that look random (xorshift32). */
export function randomNumbers(seed) {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Writes `plan.json` beside it: what to look for. */
export async function fillArchive(directory, { chunks, lookUps }) {
  mkdirSync(directory, { recursive: true })
  const meta = await openLevelMetaStore(join(directory, 'meta'))
  const gathered = new GatheringStore(meta)
  const catalogue = new Catalogue(gathered)
  const first = toRows(0)
  const template = toChunkSpan(first)
  for (let index = 0; index < chunks; index++) {
    await catalogue.finishChunk(STREAM, toChunk(index, template))
    if ((index + 1) % CHUNKS_PER_COMMIT === 0) await gathered.flush()
  }
  await gathered.flush()
  await meta[Symbol.asyncDispose]()

  const random = randomNumbers(4711)
  const plan = { chunks, fragments: [], days: [] }
  const wanted = new Set([0, chunks - 1])
  for (let i = 0; i < lookUps; i++) {
    const index = random(chunks)
    const row = random(FRAGMENTS_PER_CHUNK)
    wanted.add(index)
    const fragment = toFragment(toRow(index, row), STREAM, 'not asked for')
    const { fragmentNumber, producerTimestamp, serverTimestamp } = fragment
    plan.fragments.push({ fragmentNumber, producerTimestamp, serverTimestamp })
  }
  // Days that begin and end within chunks, which then have to be looked into.
  for (let i = 0; i < 200 && chunks > CHUNKS_PER_DAY; i++) {
    const index = random(chunks - CHUNKS_PER_DAY)
    const from = START_MS + index * CHUNK_MS + random(CHUNK_MS)
    wanted.add(index).add(index + CHUNKS_PER_DAY)
    plan.days.push({ from, to: from + CHUNKS_PER_DAY * CHUNK_MS })
  }
  if (plan.days.length === 0) plan.days.push({ from: START_MS + 1000, to: endOf(chunks) - 1000 })
  for (const index of wanted) writeSidecar(directory, index, template)
  writeFileSync(join(directory, 'plan.json'), JSON.stringify(plan))
}

function toRows(index) {
  return Array.from({ length: FRAGMENTS_PER_CHUNK }, (_, i) => toRow(index, i))
}

function toRow(index, i) {
  const counter = index * FRAGMENTS_PER_CHUNK + i + 1
  const producerTimestamp = START_MS + (counter - 1) * FRAGMENT_MS
  return {
    ...{ counter, producerTimestamp, serverTimestamp: producerTimestamp + 37, random28: 7 },
    ...{ discontinuity: false, recovered: false, startsWithKey: true, hasProducerTags: false },
    ...{ deleted: false, offset: 1000 + i * (FRAGMENT_BYTES + 90), length: FRAGMENT_BYTES },
    ...{ durationMs: FRAGMENT_MS, arrivalSpanMs: FRAGMENT_MS - 40, sampleCount: 50 },
    ...{ sequence: counter - 1, discontinuitySequence: 0, checksum: null },
  }
}

function toChunk(index, template) {
  const firstCounter = index * FRAGMENTS_PER_CHUNK + 1
  const laterMs = index * CHUNK_MS
  const later = ({ from, to }) => ({ from: from + laterMs, to: to + laterMs })
  const openedAt = START_MS + laterMs + 37
  const chunkId = toChunkId(firstCounter, openedAt)
  const { outline } = template
  return {
    ...{ state: 'finished', chunkId, path: toChunkPath(STREAM, chunkId, openedAt), firstCounter },
    ...{ firstSequence: firstCounter - 1, discontinuitiesBefore: 0, openedAt, headerBytes: 500 },
    bytes: 1000 + FRAGMENTS_PER_CHUNK * (FRAGMENT_BYTES + 90),
    span: {
      ...template,
      lastCounter: firstCounter + FRAGMENTS_PER_CHUNK - 1,
      lastSequence: firstCounter + FRAGMENTS_PER_CHUNK - 2,
      server: later(template.server),
      producer: later(template.producer),
      lastServerTimestamp: template.lastServerTimestamp + laterMs,
      outline: {
        ...outline,
        lastStart: {
          server: outline.lastStart.server + laterMs,
          producer: outline.lastStart.producer + laterMs,
        },
      },
    },
  }
}

function writeSidecar(directory, index, template) {
  const path = join(directory, 'archive', toSidecarPath(toChunk(index, template).path))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, Buffer.concat([sidecarHeader(), ...toRows(index).map(encodeRow)]))
}

/** A MetaStore whose commits wait for a flush: one sync for thousands of chunks. */
class GatheringStore {
  #store
  #waiting = []
  #stream = null

  constructor(store) {
    this.#store = store
  }

  /** The catalogue asks for nothing but the stream's sums while chunks are finished. */
  get(key) {
    if (key[1] !== 'stream') throw new Error(`asked for ${key.join(' ')}`)
    return this.#stream
  }

  async commit({ puts }) {
    for (const put of puts) {
      if (put.key[1] === 'stream') this.#stream = put.value
      else this.#waiting.push(put)
    }
    return true
  }

  async flush() {
    const stream = { key: ['archive', 'stream', STREAM], value: this.#stream }
    await this.#store.commit({ puts: [...this.#waiting, stream] })
    this.#waiting = []
  }
}
