import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openArchive, rebuildIndex, type Archive } from '../../src/archive/index.ts'
import { epochMs } from '../../src/domain/time.ts'
import { saveDamagedLevel } from '../../src/platform/level/save.ts'
import { openLevelMetaStore, type MetaStore } from '../../src/platform/meta-store.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory } from '../support/scratch.ts'

const AT = new Date(T)
const ALL = {
  by: 'server',
  from: epochMs(T),
  to: epochMs(T + 999 * MINUTE_MS),
  limit: 999,
} as const

async function openAt(directory: string) {
  const meta = await openLevelMetaStore(join(directory, 'meta'))
  const archive = await openIn(directory, meta).catch(async (error: unknown) => {
    await meta[Symbol.asyncDispose]()
    throw error
  })
  const close = async () => {
    await archive[Symbol.asyncDispose]()
    await meta[Symbol.asyncDispose]()
  }
  return { archive, meta, close }
}

function openIn(directory: string, meta: MetaStore) {
  return openArchive(
    { directory: join(directory, 'archive'), meta, clock: new ManualClock(T), ...createObserved() },
    {
      retentionMsOf: () => 999 * MINUTE_MS,
      nameOf: (streamId) => streamId,
      maxQueuedBytes: 1 << 20,
      maxChunkBytes: 1 << 20,
    },
  )
}

async function writeChunks(archive: Archive, from: number, count: number) {
  for (let i = from; i < from + count; i++) {
    await using writer = await archive.openWriter(YARD)
    await writeFragment(writer, { at: T + i * MINUTE_MS })
  }
}

/** Two starts, so that there are rows in a table and in a log. */
async function filled() {
  const directory = await scratchDirectory()
  for (const round of [0, 1]) {
    const { archive, meta, close } = await openAt(directory)
    await writeChunks(archive, round * 12, 12)
    await meta.commit({ puts: [{ key: ['registry', round], value: 'a camera' }] })
    await close()
  }
  const { archive, close } = await openAt(directory)
  const all = await archive.list(YARD, ALL)
  expect(all).toHaveLength(24)
  await close()
  return { directory, all }
}

async function registryRows(directory: string): Promise<unknown[]> {
  await using meta = await openLevelMetaStore(join(directory, 'meta'))
  const rows: unknown[] = []
  for await (const { key } of meta.entries({ prefix: ['registry'] })) rows.push(key[1])
  return rows
}

async function fileOf(directory: string, pattern: RegExp): Promise<string> {
  const names = await readdir(join(directory, 'meta'))
  return join(
    directory,
    'meta',
    names.find((name) => pattern.test(name))!,
  )
}

describe('metadata that is damaged', () => {
  test.each([
    { what: 'a table', harm: (path: string) => rm(path), pattern: /\.ldb$/ },
    { what: 'CURRENT', harm: (path: string) => rm(path), pattern: /^CURRENT$/ },
    { what: 'the MANIFEST', harm: (path: string) => writeFile(path, 'x'), pattern: /^MANIFEST/ },
    {
      what: 'a block of a table',
      harm: async (path: string) => {
        const bytes = await readFile(path)
        bytes[40]! ^= 4
        await writeFile(path, bytes)
      },
      pattern: /\.ldb$/,
    },
  ])('$what: saved as far as it goes, and rebuilt, every fragment is listed', async (damage) => {
    const { directory, all } = await filled()
    await damage.harm(await fileOf(directory, damage.pattern))

    const saved = await saveDamagedLevel(join(directory, 'meta'), AT)
    const meta = await openLevelMetaStore(join(directory, 'meta'))
    await rebuildIndex({ directory: join(directory, 'archive'), meta })
    await meta[Symbol.asyncDispose]()

    const rest = damage.what === 'a table' ? [1] : [0, 1] // with the table went what was in it alone
    expect(await registryRows(directory)).toEqual(rest)
    expect(await readdir(dirname(saved!.copy))).toContain('meta-damaged-20231114T221320Z')
    const { archive, close } = await openAt(directory)
    expect(await archive.list(YARD, ALL)).toEqual(all)
    await writeChunks(archive, 30, 1)
    expect(await archive.newest(YARD, 1)).toMatchObject([{ sequence: 24 }])
    await close()
  })

  test('nothing is changed where nothing is wrong', async () => {
    const { directory } = await filled()
    const before = await readdir(join(directory, 'meta'))

    expect(await saveDamagedLevel(join(directory, 'meta'), AT)).toBeNull()
    expect(await readdir(join(directory, 'meta'))).toEqual(before)
  })
})

describe('a start is refused', () => {
  test('when meta/ is gone and chunks are there', async () => {
    const { directory, all } = await filled()
    await rm(join(directory, 'meta'), { recursive: true })

    const meta = await openLevelMetaStore(join(directory, 'meta'))
    await meta[Symbol.asyncDispose]()
    await expect(openAt(directory)).rejects.toMatchObject({
      kind: 'data-loss',
      code: 'CatalogueIncomplete',
      message: expect.stringContaining('fsck --rebuild') as string,
    })
    const again = await openLevelMetaStore(join(directory, 'meta'))
    await rebuildIndex({ directory: join(directory, 'archive'), meta: again })
    await again[Symbol.asyncDispose]()
    const { archive, close } = await openAt(directory)
    expect(await archive.list(YARD, ALL)).toEqual(all)
    await close()
  })

  test('when meta/ is an older copy, whose numbers were given out since', async () => {
    const { directory } = await filled()
    const copy = join(directory, 'copy')
    await cp(join(directory, 'meta'), copy, { recursive: true })
    const { archive, close } = await openAt(directory)
    await writeChunks(archive, 24, 2)
    const all = await archive.list(YARD, ALL)
    await close()
    await rm(join(directory, 'meta'), { recursive: true })
    await cp(copy, join(directory, 'meta'), { recursive: true })

    await expect(openAt(directory)).rejects.toMatchObject({ code: 'CatalogueIncomplete' })
    const meta = await openLevelMetaStore(join(directory, 'meta'))
    await rebuildIndex({ directory: join(directory, 'archive'), meta })
    await meta[Symbol.asyncDispose]()
    const again = await openAt(directory)
    expect(await again.archive.list(YARD, ALL)).toEqual(all)
    await again.close()
  })
})

test('a stream that was removed, and its files with it, stops no start', async () => {
  const place = await archiveWorkplace()
  const archive = await place.open()
  await writeChunks(archive, 0, 2)
  await archive.remove(YARD)
  await archive[Symbol.asyncDispose]()

  await place.open()
})
