import { readFile, stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Archive, FragmentWriter } from '../../src/archive/index.ts'
import { toSidecarPath } from '../../src/archive/chunk-layout.ts'
import type { ChunkStore } from '../../src/archive/chunk-store.ts'
import { decodeSidecar, ROW_BYTES, SIDECAR_HEADER_BYTES } from '../../src/archive/fragment-row.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import type { Fragment } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { checkChunk, chunkFiles } from '../support/chunk-check.ts'

const EVERY_MS = 2000
/** More than are in memory as the stream's newest; the sidecar has 32 of them. */
const FRAGMENTS = 40
/** Rows are written behind the acknowledgement. */
const PATIENTLY = { timeout: 30_000 }

/** Chunks of ten minutes. */
async function longChunks() {
  const place = await archiveWorkplace()
  place.retention.ms = 1000 * MINUTE_MS
  return place
}

async function writeSome(
  writer: FragmentWriter,
  from: number,
  to: number,
): Promise<readonly Fragment[]> {
  const written: Fragment[] = []
  for (let i = from; i < to; i++)
    written.push(await writeFragment(writer, { at: T + i * EVERY_MS }))
  return written
}

/** Every look-up, of each fragment. */
async function expectAll(archive: Archive, all: readonly Fragment[]): Promise<void> {
  const everything = { from: epochMs(T), to: epochMs(T * 2), limit: 999 }
  expect(await archive.list(YARD, { by: 'server', ...everything })).toEqual(all)
  expect(await archive.list(YARD, { by: 'producer', ...everything })).toEqual(all)
  expect(await archive.after(YARD, null, 999)).toEqual(all)
  for (const fragment of all) {
    expect(await archive.find(YARD, fragment.fragmentNumber)).toEqual(fragment)
    expect((await archive.read(fragment)).bytes).toHaveLength(fragment.sizeBytes)
  }
}

async function rowsInSidecar(media: string): Promise<number> {
  const path = toSidecarPath((await chunkFiles(media))[0]!)
  return Math.max((await stat(path)).size - SIDECAR_HEADER_BYTES, 0) / ROW_BYTES
}

test('rows go to the sidecar 16 at a time, and every look-up knows those that wait', async () => {
  const { open, media } = await longChunks()
  const archive = await open()
  const writer = await archive.openWriter(YARD)
  const all: Fragment[] = []
  const counts = new Set<number>()

  for (let i = 0; i < FRAGMENTS; i++) {
    all.push(...(await writeSome(writer, i, i + 1)))
    counts.add(await rowsInSidecar(media))
    if (i % 13 === 0) await expectAll(archive, all)
  }

  expect([...counts]).toEqual([0, 16, 32])
  await expectAll(archive, all)
  await writer[Symbol.asyncDispose]()
  expect(await rowsInSidecar(media)).toBe(FRAGMENTS)
  await expectAll(archive, all)
})

test('large fragments do not wait for 16: a start after a crash would read them all', async () => {
  const { open, media } = await longChunks()
  const archive = await open({}, { maxQueuedBytes: 1 << 24, maxChunkBytes: 1 << 28 })
  const writer = await archive.openWriter(YARD)

  for (let i = 0; i < 3; i++) {
    await writeFragment(writer, { at: T + i * EVERY_MS, frames: 1, frameBytes: 3 * 1024 * 1024 })
  }

  await expect.poll(() => rowsInSidecar(media), PATIENTLY).toBe(3)
  await writer[Symbol.asyncDispose]()
})

test('a range deletion marks rows in the sidecar and rows that wait', async () => {
  const { open, media } = await longChunks()
  const archive = await open()
  const writer = await archive.openWriter(YARD)
  const all = await writeSome(writer, 0, FRAGMENTS)
  const [from, to] = [28, 36]

  await archive.deleteRange(YARD, {
    ...{ by: 'server', from: T + from * EVERY_MS, to: T + to * EVERY_MS },
  })

  const kept = all.filter((_, i) => i < from || i >= to)
  await expectAll(archive, kept)
  kept.push(...(await writeSome(writer, FRAGMENTS, FRAGMENTS + 9)))
  await expect.poll(() => rowsInSidecar(media), PATIENTLY).toBe(48)
  await expectAll(archive, kept)
  await writer[Symbol.asyncDispose]()
  await expectAll(archive, kept)
  const [path] = await chunkFiles(media)
  const rows = decodeSidecar(await readFile(toSidecarPath(path!)), Infinity)
  expect(rows.flatMap(({ deleted }, i) => (deleted ? [i] : []))).toEqual(
    Array.from({ length: to - from }, (_, i) => from + i),
  )
  await checkChunk(path!)
})

test('a sidecar that cannot be written costs no fragment, and is made good', async () => {
  const { open, media } = await longChunks()
  const sidecars = { work: false }
  const archive = await open({ files: withSidecars(sidecars) })
  const writer = await archive.openWriter(YARD)
  const all = [...(await writeSome(writer, 0, 20))]
  await expectAll(archive, all)
  expect(await rowsInSidecar(media)).toBe(0)

  sidecars.work = true
  all.push(...(await writeSome(writer, 20, 21)))
  await expect.poll(() => rowsInSidecar(media), PATIENTLY).toBe(21)
  all.push(...(await writeSome(writer, 21, 25)))
  sidecars.work = false
  await writer[Symbol.asyncDispose]()
  await expectAll(archive, all) // the chunk waits to be finished

  sidecars.work = true
  await archive.expire()
  expect(await rowsInSidecar(media)).toBe(25)
  await expectAll(archive, all)
  await checkChunk((await chunkFiles(media))[0]!)
})

/** Files of which the sidecars take no bytes while they do not work. */
function withSidecars(sidecars: { readonly work: boolean }): ChunkStore {
  return {
    ...nodeChunkStore,
    open: async (path, flags) => {
      const file = await nodeChunkStore.open(path, flags)
      if (!path.endsWith('.idx')) return file
      return {
        write: async (parts, position) => {
          if (!sidecars.work) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
          await file.write(parts, position)
        },
        read: (position, length) => file.read(position, length),
        size: () => file.size(),
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        close: () => file.close(),
      }
    },
  }
}
