import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ArchiveOptions } from '../../src/archive/index.ts'
import { openArchive } from '../../src/archive/index.ts'
import { type ChunkStore } from '../../src/archive/chunk-store.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { openLevelMetaStore, type MetaStore } from '../../src/platform/meta-store.ts'
import { writeFragment } from '../support/archive-media.ts'
import { chunkFiles } from '../support/chunk-check.ts'
import { FaultyDisk } from '../support/failing-files.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory } from '../support/scratch.ts'

const YARD = toStreamId('yard', 1)
const T = 1_700_000_000_000
const MINUTE_MS = 60_000

async function workplace() {
  const directory = await scratchDirectory()
  const meta = await openLevelMetaStore(join(directory, 'meta'))
  const clock = new ManualClock(T)
  const observed = createObserved()
  const retention = { ms: (12 * MINUTE_MS) as number | null }
  const options: ArchiveOptions = {
    retentionMsOf: () => retention.ms,
    nameOf: (streamId) => streamId,
    maxQueuedBytes: 1 << 20,
    maxChunkBytes: 1 << 20,
  }
  const media = join(directory, 'media')
  const open = (files: ChunkStore = nodeChunkStore, store: MetaStore = meta) =>
    openArchive({ directory: media, meta: store, clock, files, ...observed }, options)
  return { media, meta, clock, retention, open, recorder: observed.recorder }
}

type Workplace = Awaited<ReturnType<typeof workplace>>

/** One fragment a minute; at twelve minutes of retention each gets a chunk of its own. */
async function writeMinutes(place: Workplace, count: number): Promise<void> {
  await using archive = await place.open()
  await using writer = await archive.openWriter(YARD)
  for (let i = 0; i < count; i++) await writeFragment(writer, { at: T + i * MINUTE_MS })
}

test.each([
  { rule: 'keeps what is younger', ageMs: 12 * MINUTE_MS - 1, kept: 4 },
  { rule: 'removes a chunk at the age of its last fragment', ageMs: 12 * MINUTE_MS, kept: 3 },
  { rule: 'removes several', ageMs: 14 * MINUTE_MS, kept: 1 },
  { rule: 'removes all, and the empty folder', ageMs: 99 * MINUTE_MS, kept: 0 },
])('expiry $rule', async ({ ageMs, kept }) => {
  const place = await workplace()
  await writeMinutes(place, 4)
  const archive = await place.open()
  place.clock.advance(ageMs)

  await archive.expire()

  expect(await chunkFiles(place.media)).toHaveLength(kept)
  expect(await archive.usage(YARD)).toMatchObject({ chunks: kept })
  expect(await archive.after(YARD, null, 9)).toHaveLength(kept)
  const names = await readdir(place.media, { recursive: true })
  expect(names.filter((name) => name.endsWith('.idx'))).toHaveLength(kept)
  if (kept === 0) expect(names).toEqual([YARD])
  const removed = place.recorder.items.filter(({ name }) => name === 'chunkRemoved')
  expect(removed).toHaveLength(4 - kept)
  await archive[Symbol.asyncDispose]()
  await place.meta[Symbol.asyncDispose]()
})

test('expiry runs by itself every 30 s', async () => {
  const place = await workplace()
  await writeMinutes(place, 1)
  place.clock.advance(99 * MINUTE_MS)
  const archive = await place.open()
  await place.clock.sleeping(30_000)
  place.clock.advance(30_000)

  await place.recorder.first(({ name }) => name === 'chunkRemoved')

  expect(await chunkFiles(place.media)).toEqual([])
  await archive[Symbol.asyncDispose]()
  await place.meta[Symbol.asyncDispose]()
})

test('a stream that nobody knows is kept', async () => {
  const place = await workplace()
  await writeMinutes(place, 2)
  place.retention.ms = null
  const archive = await place.open()
  place.clock.advance(1e9)

  await archive.expire()

  expect(await chunkFiles(place.media)).toHaveLength(2)
  await archive[Symbol.asyncDispose]()
  await place.meta[Symbol.asyncDispose]()
})

test('what was removed does not come back when the retention is raised', async () => {
  const place = await workplace()
  await writeMinutes(place, 3)
  const archive = await place.open()
  expect(await archive.newest(YARD, 9)).toHaveLength(3)
  place.clock.advance(13 * MINUTE_MS)
  await archive.expire()
  place.retention.ms = 100 * MINUTE_MS

  expect(await archive.newest(YARD, 9)).toHaveLength(1)
  expect(await archive.after(YARD, null, 9)).toHaveLength(1)
  await archive[Symbol.asyncDispose]()
  await place.meta[Symbol.asyncDispose]()
})

test('a chunk that no fragment joins any more is ended at its age, and expires', async () => {
  const place = await workplace()
  const archive = await place.open()
  const writer = await archive.openWriter(YARD)
  await writeFragment(writer, { at: T })
  place.clock.advance(13 * MINUTE_MS)
  await archive.expire()
  await archive.openWriter(YARD).catch(() => undefined)
  await writer[Symbol.asyncDispose]()

  await archive.expire()

  expect(await chunkFiles(place.media)).toEqual([])
  await archive[Symbol.asyncDispose]()
  await place.meta[Symbol.asyncDispose]()
})

test('a death at any step of a removal leaves neither a file nor a row behind', async () => {
  const counting = new FaultyDisk()
  for (let step = 1; step <= Math.max(counting.steps, 1); step++) {
    const place = await workplace()
    await writeMinutes(place, 2)
    place.clock.advance(99 * MINUTE_MS)
    const disk = step === 1 ? counting : new FaultyDisk((now) => (now < step ? 'go' : 'fail'))
    const dying = await place.open(disk.files, disk.meta(place.meta)).catch(() => null)
    await dying?.expire().catch(() => undefined)
    await dying?.[Symbol.asyncDispose]()

    const archive = await place.open()
    await archive.expire()

    expect(await chunkFiles(place.media)).toEqual([])
    expect(await archive.usage(YARD)).toMatchObject({ chunks: 0, bytes: 0 })
    const rows: unknown[] = []
    for await (const { key } of place.meta.entries({ prefix: ['archive'] })) rows.push(key)
    expect(rows).toEqual([
      ['archive', 'gap', YARD],
      ['archive', 'stream', YARD],
    ])
    await archive[Symbol.asyncDispose]()
    await place.meta[Symbol.asyncDispose]()
  }
  expect(counting.steps).toBeGreaterThan(8)
})
