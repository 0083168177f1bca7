import { copyFile, readFile, stat, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'

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
