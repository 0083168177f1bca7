import { copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { Catalogue } from '../../src/archive/catalogue.ts'
import { DamagedChunks } from '../../src/archive/damaged-chunks.ts'
import { BackgroundCheck } from '../../src/archive/fsck/background-check.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'
import { createObserved } from '../support/observed.ts'

async function oneFinishedChunk() {
  const workplace = await archiveWorkplace()
  const archive = await workplace.open()
  const writer = await archive.openWriter(YARD)
  for (let i = 0; i < 3; i++) await writeFragment(writer, { at: T + i * 2000, frameBytes: 10_000 })
  await archive[Symbol.asyncDispose]()
  const [path] = await chunkFiles(workplace.media)
  return { ...workplace, path: path! }
}

test('damage in a finished chunk is told, and nothing is changed', async () => {
  const { path, open, recorder, clock } = await oneFinishedChunk()
  const bytes = await readFile(path)
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(path, bytes)

  await open({}, { checkBytesPerSecond: 1 << 20 })
  const told = recorder.first(({ name }) => name === 'archiveDamaged')
  const stop = setInterval(() => clock.advance(1000), 1)
  const { fields } = await told.finally(() => clearInterval(stop))

  expect(fields).toMatchObject({ stream: YARD, code: 'checksum' })
  expect((await readFile(path)).equals(bytes)).toBe(true)
})

test('damage is told once, however often it is found, and again when it is another', async () => {
  const { media, meta, path } = await oneFinishedChunk()
  const bytes = await readFile(path)
  const { recorder, ...observed } = createObserved()
  const check = new BackgroundCheck({
    ...{ directory: media, files: nodeChunkStore, catalogue: new Catalogue(meta), ...observed },
    damaged: new DamagedChunks({ directory: media, files: nodeChunkStore }),
    ...{ clock: { ...systemClock, sleep: async () => undefined }, nameOf: String },
    bytesPerSecond: 1,
  })
  const round = () => check.checkRound(new AbortController().signal)
  const codes = () =>
    recorder.items.flatMap(({ name, fields }) => (name === 'archiveDamaged' ? [fields.code] : []))

  await rm(path)
  for (let i = 0; i < 6; i++) await round()
  expect(codes()).toEqual(['chunk-missing'])
  await writeFile(path, bytes)
  for (let i = 0; i < 4; i++) await round()
  expect(codes()).toHaveLength(1)
  await rm(path)
  for (let i = 0; i < 4; i++) await round()
  expect(codes()).toEqual(['chunk-missing', 'chunk-missing'])
})

test('it reads no faster than it may', async () => {
  const { path, open, clock } = await oneFinishedChunk()
  const { size } = await stat(path)

  await open({}, { checkBytesPerSecond: size })
  await clock.sleeping(1000) // all of it was read, in one piece
})

test('a file that no row names is told at the start, and stays', async () => {
  const { path, open, recorder } = await oneFinishedChunk()
  const orphan = path.replace('.mkv', '-old.mkv')
  await copyFile(path, orphan)

  await open()

  const { fields } = await recorder.first(
    ({ name, fields }) => name === 'orphanFiles' && fields.count !== 0,
  )
  expect(fields).toMatchObject({ count: 1, examples: [expect.stringContaining('-old.mkv')] })
  expect((await stat(orphan)).isFile()).toBe(true)
})
