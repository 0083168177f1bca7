import { copyFile, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { fsck, rebuildIndex, type Archive, type FragmentWriter } from '../../src/archive/index.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import type { EpochMs } from '../../src/domain/time.ts'
import type { MetaKey, MetaStore } from '../../src/platform/meta-store.ts'
import { appendFragment, writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'
import { FaultyDisk } from '../support/failing-files.ts'

const GATE = toStreamId('gate', 2)
const turnOfTheLoop = setImmediate as () => Promise<void>

const deleteRows = async (meta: MetaStore, prefixes: readonly MetaKey[]) => {
  const keys: MetaKey[] = []
  for (const prefix of prefixes) {
    for await (const { key } of meta.entries({ prefix })) keys.push(key)
  }
  await meta.commit({ deletes: keys })
}

async function written(writer: FragmentWriter): Promise<void> {
  while (writer.queuedBytes > 0) await turnOfTheLoop()
}

/** Chunks of two streams: a gap, a clock that jumps, a lost and a recovered fragment. */
async function filledWorkplace() {
  const workplace = await archiveWorkplace()
  const { clock } = workplace
  const disk = new FaultyDisk()
  const archive = await workplace.open({ files: disk.files, meta: disk.meta(workplace.meta) })
  const gate = await archive.openWriter(GATE)
  for (let i = 0; i < 3; i++) {
    await writeFragment(gate, { at: clock.now() })
    clock.advance(2 * MINUTE_MS) // a gap, and another chunk
  }
  await gate[Symbol.asyncDispose]()
  const yard = await archive.openWriter(YARD)
  await writeFragment(yard, { at: clock.now(), producerTags: null })
  await writeFragment(yard, { at: clock.now() + 2000, producerAt: T - 400_000_000 })
  appendFragment(yard, { at: clock.now() + 4000 })
  clock.advance(1000)
  await written(yard)
  yard.abandon('stalled')
  await writeFragment(yard, { at: clock.now() + 6000, discontinuity: true })
  clock.advance(2 * MINUTE_MS)
  await writeFragment(yard, { at: clock.now() })
  appendFragment(yard, { at: clock.now() + 2000 })
  clock.advance(1000)
  await written(yard)
  disk.plan = () => 'fail' // the process dies
  await archive[Symbol.asyncDispose]().catch(() => undefined)
  await (await workplace.open())[Symbol.asyncDispose]()
  return workplace
}

async function answers(archive: Archive) {
  const all: unknown[] = []
  for (const streamId of [YARD, GATE]) {
    const after = await archive.after(streamId, null, 100)
    const range = { from: (T - 1e9) as EpochMs, to: (T + 1e9) as EpochMs, limit: 100 }
    all.push(after, await archive.newest(streamId, 100), await archive.usage(streamId))
    for (const by of ['server', 'producer'] as const) {
      all.push(await archive.list(streamId, { by, ...range }))
    }
    for (const fragment of after) {
      all.push(await archive.find(streamId, fragment.fragmentNumber))
      all.push(await archive.read(fragment))
    }
  }
  return all
}

const everyRow: readonly MetaKey[] = [['archive']]

test('with every sidecar and the catalogue gone, a rebuild gives the same answers', async () => {
  const { media, meta, open } = await filledWorkplace()
  const before = await open()
  const expected = await answers(before)
  const recovered = (await before.after(YARD, null, 100)).filter((fragment) => fragment.recovered)
  expect(recovered).toHaveLength(1)
  await before[Symbol.asyncDispose]()
  await deleteRows(meta, everyRow)
  for (const path of await chunkFiles(media)) await rm(path.replace('.mkv', '.idx'))

  const report = await rebuildIndex({ directory: media, meta })

  expect(report.findings).toEqual([])
  expect(await answers(await open())).toEqual(expected)
})

test('a deleted range stays deleted in a rebuild, and is no damage', async () => {
  const { media, meta, open } = await filledWorkplace()
  const before = await open()
  const [first, second] = await before.after(YARD, null, 2)
  const at = second!.serverTimestamp
  await before.deleteRange(YARD, { by: 'server', from: at, to: at + 1 })
  const expected = await answers(before)
  expect(expected[0]).toContainEqual(first)
  expect(expected[0]).not.toContainEqual(second)
  await before[Symbol.asyncDispose]()
  expect((await fsck({ directory: media, meta }, deep)).findings).toEqual([])
  await deleteRows(meta, everyRow)
  for (const path of await chunkFiles(media)) await rm(path.replace('.mkv', '.idx'))

  await rebuildIndex({ directory: media, meta })

  expect(await answers(await open())).toEqual(expected)
  expect((await fsck({ directory: media, meta }, deep)).findings).toEqual([])
})

test('a rebuild recovers what was never finished, and may be repeated', async () => {
  const { media, meta, open } = await filledWorkplace()
  const before = await open()
  const expected = await before.after(YARD, null, 100)
  await before[Symbol.asyncDispose]()
  const newest = (await chunkFiles(join(media, YARD))).toSorted().at(-1)!
  await truncate(newest, (await stat(newest)).size - 5) // its ending is torn
  await deleteRows(meta, everyRow)

  await rebuildIndex({ directory: media, meta })
  const report = await rebuildIndex({ directory: media, meta })

  expect(report.findings).toEqual([])
  expect(await (await open()).after(YARD, null, 100)).toEqual(expected)
  expect((await fsck({ directory: media, meta }, deep)).findings).toEqual([])
})

test('after a rebuild numbering goes on behind every number that the chunks know', async () => {
  const { media, meta, open, clock } = await filledWorkplace()
  await deleteRows(meta, everyRow)
  await rebuildIndex({ directory: media, meta })

  const archive = await open()
  await using writer = await archive.openWriter(YARD)
  await writeFragment(writer, { at: clock.now() })

  const numbers = (await archive.after(YARD, null, 100)).map(({ fragmentNumber }) => fragmentNumber)
  const sequences = (await archive.after(YARD, null, 100)).map(({ sequence }) => sequence)
  expect(numbers).toEqual(numbers.toSorted())
  expect(sequences).toEqual(sequences.map((_, i) => i))
})

const quick = { depth: 'presence', repair: 'nothing' } as const
const deep = { depth: 'bytes', repair: 'nothing' } as const
const repair = { depth: 'presence', repair: 'index' } as const

test('an archive in order has no findings, and all of it was looked at', async () => {
  const { media, meta } = await filledWorkplace()

  const { checked, findings, repaired } = await fsck({ directory: media, meta }, deep)

  expect(findings).toEqual([])
  expect(repaired).toBe(0)
  const files = await chunkFiles(media)
  const sizes = await Promise.all(files.map(async (path) => (await stat(path)).size))
  expect(checked).toMatchObject({ streams: 2, chunks: files.length, openChunks: 0, fragments: 8 })
  expect(checked.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0))
})

type Damage = (place: { media: string; meta: MetaStore; chunk: string }) => Promise<void>
const flip = async (path: string, at: number) => {
  const bytes = await readFile(path)
  bytes[at < 0 ? bytes.length + at : at]! ^= 0xff
  await writeFile(path, bytes)
}
const timeRow = async (
  meta: MetaStore,
  change: (key: MetaKey, value: unknown) => Promise<unknown>,
) => {
  for await (const { key, value } of meta.entries({
    prefix: ['archive', 'server', GATE],
    limit: 1,
  })) {
    await change(key, value)
  }
}

const DAMAGES: readonly { code: string; rule: string; options?: typeof deep; damage: Damage }[] = [
  { code: 'chunk-missing', rule: 'chunk gone', damage: ({ chunk }) => rm(chunk) },
  { code: 'chunk-length', rule: 'chunk cut', damage: ({ chunk }) => truncate(chunk, 500) },
  {
    code: 'sidecar-missing',
    rule: 'sidecar gone',
    damage: ({ chunk }) => rm(chunk.replace('.mkv', '.idx')),
  },
  {
    code: 'sidecar-damaged',
    rule: 'a bit of a row',
    damage: ({ chunk }) => flip(chunk.replace('.mkv', '.idx'), 20),
  },
  {
    code: 'time-row',
    rule: 'gone',
    damage: ({ meta }) => timeRow(meta, (key) => meta.commit({ deletes: [key] })),
  },
  {
    code: 'time-row',
    rule: 'of no chunk',
    damage: ({ meta }) =>
      timeRow(meta, (key, value) =>
        meta.commit({ puts: [{ key: [...key.slice(0, -1), 99], value }] }),
      ),
  },
  {
    code: 'open-row',
    rule: 'of no chunk',
    damage: async ({ meta }) => {
      await meta.commit({ puts: [{ key: ['archive', 'open', GATE, 77], value: true }] })
    },
  },
  {
    code: 'sums',
    rule: 'too many bytes',
    damage: async ({ meta }) => {
      const key = ['archive', 'stream', GATE]
      const value = { ...meta.get<object>(key), bytes: 1 }
      await meta.commit({ puts: [{ key, value }] })
    },
  },
  {
    code: 'orphan-file',
    rule: 'a copy of a chunk',
    damage: ({ chunk }) => copyFile(chunk, chunk.replace('/0000', '/0009')),
  },
  {
    code: 'checksum',
    rule: 'a bit of a frame',
    options: deep,
    damage: ({ chunk }) => flip(chunk, 900),
  },
  { code: 'media', rule: 'Segment start', options: deep, damage: ({ chunk }) => flip(chunk, 40) },
]

test.each(DAMAGES)('$code: $rule is found', async ({ code, options = quick, damage }) => {
  const { media, meta } = await filledWorkplace()
  const [chunk] = (await chunkFiles(join(media, GATE))).toSorted()
  await damage({ media, meta, chunk: chunk! })

  const { findings } = await fsck({ directory: media, meta }, options)

  expect([...new Set(findings.map((finding) => finding.code))]).toContain(code)
  expect(findings.every(({ stream }) => stream === GATE)).toBe(true)
})

test.each(
  DAMAGES.filter(
    ({ code }) => !['chunk-length', 'orphan-file', 'checksum', 'media'].includes(code),
  ),
)('$code: $rule is put right, once asked', async ({ damage }) => {
  const { media, meta } = await filledWorkplace()
  const [chunk] = (await chunkFiles(join(media, GATE))).toSorted()
  await damage({ media, meta, chunk: chunk! })
  const found = await fsck({ directory: media, meta }, quick)
  expect(found.repaired).toBe(0)

  const { repaired } = await fsck({ directory: media, meta }, repair)

  expect(repaired).toBeGreaterThan(0)
  expect((await fsck({ directory: media, meta }, deep)).findings.map(({ code }) => code)).toEqual(
    [],
  )
})

test('repair and rebuild forget nothing when the media is not mounted', async () => {
  const { media, meta } = await filledWorkplace()
  await rm(media, { recursive: true })

  const refusal = { code: 'ArchiveDirectoryEmpty' }
  await expect(fsck({ directory: media, meta }, repair)).rejects.toMatchObject(refusal)
  await expect(rebuildIndex({ directory: media, meta })).rejects.toMatchObject(refusal)
  expect((await fsck({ directory: media, meta }, quick)).findings).not.toEqual([])
})
