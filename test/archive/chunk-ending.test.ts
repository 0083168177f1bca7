import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { readChunkHeader, readEnding } from '../../src/archive/chunk-ending.ts'
import { RESERVE_BYTES } from '../../src/archive/chunk-layout.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import { fsck } from '../../src/archive/index.ts'
import { readFloat } from '../../src/media/matroska/value.ts'
import { readElementHead } from '../../src/media/matroska/vint.ts'
import { HEADER, writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'
import { FaultyDisk } from '../support/failing-files.ts'
import { isInstalled } from '../support/installed.ts'

const FRONT_BYTES = HEADER.length + RESERVE_BYTES

/** One chunk of `count` fragments of two seconds each. */
async function oneChunk(count = 5, disk = new FaultyDisk()) {
  const workplace = await archiveWorkplace()
  const archive = await workplace.open({ files: disk.files })
  const writer = await archive.openWriter(YARD)
  const from = disk.steps
  for (let i = 0; i < count; i++) await writeFragment(writer, { at: T + i * 2000 })
  const before = await chunkFiles(workplace.media)
  const grown = await readFile(before[0]!)
  const stepsBefore = disk.steps
  await writer[Symbol.asyncDispose]()
  const fragments = await archive.after(YARD, null, 100)
  const [path] = await chunkFiles(workplace.media)
  return { ...workplace, archive, fragments, path: path!, grown, disk, from, stepsBefore }
}

async function endingOf(path: string) {
  const file = await nodeChunkStore.open(path, 'r')
  try {
    return { ending: await readEnding(file), header: await readChunkHeader(file, HEADER.length) }
  } finally {
    await file.close()
  }
}

test('only the front changes, and what follows the last note', async () => {
  const { path, grown } = await oneChunk()

  const after = await readFile(path)

  expect(after.subarray(FRONT_BYTES, grown.length).equals(grown.subarray(FRONT_BYTES))).toBe(true)
  expect(after.subarray(0, FRONT_BYTES).equals(grown.subarray(0, FRONT_BYTES))).toBe(false)
  expect((await endingOf(path)).ending).toMatchObject({ mediaEnd: grown.length })
})

test('the header reads as the producer sent it, before, while and after', async () => {
  const { path, grown, archive, fragments } = await oneChunk()
  const after = await readFile(path)
  const [front, tail] = [after.subarray(0, FRONT_BYTES), after.subarray(grown.length)]
  const isHeader = async () => {
    expect(Buffer.from((await endingOf(path)).header).equals(HEADER)).toBe(true)
  }

  expect(Buffer.from((await archive.read(fragments[0]!)).header).equals(HEADER)).toBe(true)
  for (let cut = 0; cut < tail.length; cut++) {
    await writeFile(path, Buffer.concat([grown, tail.subarray(0, cut)]))
    await isHeader()
  }
  for (let torn = 0; torn <= FRONT_BYTES; torn++) {
    const mixed = Buffer.concat([front.subarray(0, torn), grown.subarray(torn), tail])
    await writeFile(path, mixed)
    await isHeader()
  }
})

test('Duration is from the first Cluster to the end of the last fragment', async () => {
  const { path } = await oneChunk(5)

  const bytes = await readFile(path)

  const duration = readElementHead(bytes, bytes.indexOf('448988', 0, 'hex'))!
  expect(readFloat(bytes, duration)).toBe(10_000)
})

test('a disk that takes no more leaves a finished chunk without an ending', async () => {
  const disk = new FaultyDisk()
  const first = await oneChunk(5, disk)
  const inSeal = first.disk.operations.slice(first.stepsBefore)
  const rows = inSeal.indexOf('write') // to the sidecar
  const cues = inSeal.indexOf('write', rows + 1)
  const full = new FaultyDisk()
  full.plan = (step) => (step === first.stepsBefore + cues + 1 ? 'fail-half-way' : 'go')

  const { path, grown, media, meta, archive } = await oneChunk(5, full)
  await archive[Symbol.asyncDispose]()

  expect((await readFile(path)).equals(grown)).toBe(true)
  const { findings, checked } = await fsck(
    { directory: media, meta },
    { depth: 'bytes', repair: 'nothing' },
  )
  expect(findings).toEqual([])
  expect(checked).toMatchObject({ chunks: 1, openChunks: 0 })
})

describe.skipIf(!isInstalled('mkvinfo'))('mkvinfo', () => {
  test('shows Duration, SeekHead and Cues', async () => {
    const { path } = await oneChunk(5)

    const printed = execFileSync('mkvinfo', ['-v', path], { encoding: 'utf8' })

    expect(printed).toMatch(/Duration: 00:00:10/)
    expect(printed).toMatch(/Seek head/)
    expect(printed).toMatch(/Cues/)
    expect(printed.toLowerCase()).not.toMatch(/error|invalid|corrupt/)
  })
})

describe.skipIf(!isInstalled('ffprobe', '-version'))('ffprobe', () => {
  test('shows the length of a finished chunk and finds its fragments by seeking', async () => {
    const { path } = await oneChunk(5)
    const probe = (...flags: string[]) =>
      execFileSync('ffprobe', ['-v', 'error', ...flags, '-of', 'csv=p=0', path], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'], // these frames are no H.264
      }).trim()

    expect(Number(probe('-show_entries', 'format=duration'))).toBeCloseTo(10)
    const at = (T + 6500) / 1000
    const packet = probe('-read_intervals', `${at}%+#1`, '-show_entries', 'packet=pts_time')
    expect(Number(packet.split('\n')[0]!.split(',')[0])).toBeCloseTo((T + 6000) / 1000)
  })
})

test('a chunk that is finished by its age has an ending too', async () => {
  const { archive, media, clock } = await oneChunk(1)
  const writer = await archive.openWriter(YARD)
  await writeFragment(writer, { at: clock.now() })
  clock.advance(2 * MINUTE_MS)
  await archive.expire()
  await writeFragment(writer, { at: clock.now() })

  const paths = (await chunkFiles(media)).toSorted()

  expect((await endingOf(paths[1]!)).ending).not.toBeNull()
  expect((await endingOf(paths[2]!)).ending).toBeNull()
})
