import { open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { fsck, type Archive } from '../../src/archive/index.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'

const GATE = toStreamId('gate', 1)
const FRAGMENTS = 4
const ALL = { by: 'server', from: epochMs(T), to: epochMs(T + 999 * MINUTE_MS), limit: 99 } as const
const minutes = (from: number, to: number) =>
  ({ ...ALL, from: epochMs(T + from * MINUTE_MS), to: epochMs(T + to * MINUTE_MS) }) as const

/** Three chunks of four fragments in the first three minutes of each stream; the archive is open. */
async function running() {
  const place = await archiveWorkplace()
  place.retention.ms = 1000 * MINUTE_MS
  const writing = await place.open()
  for (const streamId of [YARD, GATE]) {
    for (let minute = 0; minute < 3; minute++) {
      await using writer = await writing.openWriter(streamId)
      for (let i = 0; i < FRAGMENTS; i++) {
        await writeFragment(writer, { at: T + minute * MINUTE_MS + i * 2000 })
      }
    }
  }
  await writing[Symbol.asyncDispose]()
  place.clock.advance(10 * MINUTE_MS)
  const archive = await place.open() // nothing of the files is in memory
  const yard = await archive.after(YARD, null, 99)
  await archive[Symbol.asyncDispose]()
  const again = await place.open()
  const [, media] = (await chunkFiles(place.media)).filter((path) => path.includes(YARD))
  return { ...place, archive: again, yard, media: media!, sidecar: media!.replace('.mkv', '.idx') }
}

const codes = async (reads: readonly Promise<unknown>[]) => {
  const outcomes = await Promise.allSettled(reads)
  return outcomes.map((outcome) => {
    return outcome.status === 'fulfilled' ? 'read' : (outcome.reason as { code: string }).code
  })
}

/** The minutes beside the damage, and the other stream, answer as if nothing had happened. */
async function expectOthersUndisturbed(archive: Archive) {
  for (const range of [minutes(0, 1), minutes(2, 3)]) {
    const found = await archive.list(YARD, range)
    expect(found).toHaveLength(FRAGMENTS)
    expect(await codes(found.map((fragment) => archive.read(fragment)))).toEqual(
      found.map(() => 'read'),
    )
  }
  const gate = await archive.list(GATE, ALL)
  expect(gate).toHaveLength(3 * FRAGMENTS)
  for (const fragment of gate) await archive.read(fragment)
}

async function flip(path: string, at: number) {
  const file = await open(path, 'r+')
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.from([buffer[0]! ^ 0x40]), 0, 1, at)
  await file.close()
}

describe('while the service runs', () => {
  test('a deleted chunk file: its fragments are listed, and each is an error of its own', async () => {
    const { archive, media, yard, recorder } = await running()
    await rm(media)

    const listed = await archive.list(YARD, ALL)

    expect(listed).toEqual(yard)
    expect(await codes(listed.map((fragment) => archive.read(fragment)))).toEqual([
      ...Array<string>(4).fill('read'),
      ...Array<string>(4).fill('FragmentUnreadable'),
      ...Array<string>(4).fill('read'),
    ])
    await expectOthersUndisturbed(archive)
    const told = recorder.items.filter(({ name }) => name === 'archiveDamaged')
    expect(told.map(({ fields }) => fields)).toMatchObject([
      { stream: YARD, code: 'chunk-missing' },
    ])
  })

  test('a deleted sidecar: the same answers, from the media, and it is there again', async () => {
    const { archive, media, meta, sidecar, yard } = await running()
    await rm(sidecar)

    expect(await archive.list(YARD, ALL)).toEqual(yard)
    expect(await archive.after(YARD, null, 99)).toEqual(yard)
    await archive[Symbol.asyncDispose]()
    const directory = media.slice(0, media.indexOf(YARD))
    const report = await fsck({ directory, meta }, { depth: 'bytes', repair: 'nothing' })
    expect(report.findings).toEqual([])
  })

  test.each(['deleted', 'cut to nothing', 'flipped'])(
    'both files of a chunk are gone, the sidecar is %s: an error for that range alone',
    async (how) => {
      const { archive, media, sidecar, yard, recorder } = await running()
      await rm(media)
      if (how === 'deleted') await rm(sidecar)
      else if (how === 'flipped') await flip(sidecar, 50)
      else await truncate(sidecar, 0)

      for (const range of [ALL, minutes(1, 2), minutes(1, 1.01)]) {
        await expect(archive.list(YARD, range)).rejects.toMatchObject({
          kind: 'data-loss',
          code: 'ChunkDamaged',
        })
      }
      for (const { fragmentNumber } of yard.slice(4, 8)) {
        await expect(archive.find(YARD, fragmentNumber)).rejects.toMatchObject({
          code: 'ChunkDamaged',
        })
      }
      await expectOthersUndisturbed(archive)
      // Who follows the stream goes on behind it.
      expect(await archive.after(YARD, yard[3]!.fragmentNumber, 9)).toEqual(yard.slice(8))
      const told = recorder.items.filter(({ name }) => name === 'archiveDamaged')
      expect(told.map(({ fields }) => fields.code)).toEqual(['chunk-missing'])
    },
  )

  test('a chunk cut short: all is listed, what is left reads, the rest is an error', async () => {
    const { archive, media, yard } = await running()
    await truncate(media, yard[6]!.place.offset + 10)
    const expected = ['read', 'read', 'FragmentUnreadable', 'FragmentUnreadable']
    const inChunk = yard.slice(4, 8)

    expect(await archive.list(YARD, minutes(1, 2))).toEqual(inChunk)
    expect(await codes(inChunk.map((fragment) => archive.read(fragment)))).toEqual(expected)
    await expectOthersUndisturbed(archive)
  })

  test('a chunk cut short and no sidecar: what can be listed is, the rest is an error', async () => {
    const { archive, media, sidecar, yard } = await running()
    await truncate(media, yard[6]!.place.offset + 10)
    await rm(sidecar)
    const upTo = (ms: number) => ({ ...minutes(1, 2), to: epochMs(T + MINUTE_MS + ms) })

    expect(await archive.list(YARD, upTo(3000))).toEqual(yard.slice(4, 6))
    await expect(archive.list(YARD, upTo(5000))).rejects.toMatchObject({ code: 'ChunkDamaged' })
    expect(await archive.find(YARD, yard[5]!.fragmentNumber)).toEqual(yard[5])
    await expect(archive.find(YARD, yard[6]!.fragmentNumber)).rejects.toMatchObject({
      code: 'ChunkDamaged',
    })
    await expectOthersUndisturbed(archive)
  })

  test('a flipped bit in the media: read as it is, found by the check of bytes', async () => {
    const { archive, media, meta, yard } = await running()
    const { place, sizeBytes } = yard[5]!
    await flip(media, place.offset + sizeBytes - 3)

    await archive.read(yard[5]!)
    await expectOthersUndisturbed(archive)
    await archive[Symbol.asyncDispose]()
    const directory = media.slice(0, media.indexOf(YARD))
    const report = await fsck({ directory, meta }, { depth: 'bytes', repair: 'nothing' })
    expect(report.findings).toMatchObject([{ code: 'checksum', stream: YARD }])
  })

  test('a flipped bit in a fragment’s Tags: an error for that fragment', async () => {
    const { archive, media, yard } = await running()
    await flip(media, yard[5]!.place.offset + 30)

    expect(await codes(yard.slice(4, 8).map((fragment) => archive.read(fragment)))).toEqual([
      'read',
      'FragmentUnreadable',
      'read',
      'read',
    ])
    await expectOthersUndisturbed(archive)
  })

  test('the files of a chunk that grows: listed from its notes, and an error once both are gone', async () => {
    const place = await archiveWorkplace()
    const archive = await place.open()
    await using writer = await archive.openWriter(YARD)
    for (let i = 0; i < 25; i++) await writeFragment(writer, { at: T + i * 2000 })
    const all = await archive.after(YARD, null, 99)
    expect(all).toHaveLength(25)
    const [media] = await chunkFiles(place.media)

    await rm(media!.replace('.mkv', '.idx'))
    expect(await archive.list(YARD, ALL)).toEqual(all)
    await rm(media!)
    await expect(archive.list(YARD, ALL)).rejects.toMatchObject({ code: 'ChunkDamaged' })
    expect(await archive.newest(YARD, 5)).toEqual(all.slice(-5)) // known, and read from elsewhere
  })

  test('a chunk that is found unlinked when it is finished is said to be', async () => {
    const place = await archiveWorkplace()
    const archive = await place.open()
    {
      await using writer = await archive.openWriter(YARD)
      await writeFragment(writer, { at: T })
      const [media] = await chunkFiles(place.media)
      await rm(media!)
    }

    const told = place.recorder.items.filter(({ name }) => name === 'archiveDamaged')
    expect(told.map(({ fields }) => fields)).toMatchObject([
      { stream: YARD, code: 'chunk-missing' },
    ])
    const [fragment] = await archive.newest(YARD, 1)
    await expect(archive.read(fragment!)).rejects.toMatchObject({ code: 'FragmentUnreadable' })
  })
})

describe('coverage of a chunk whose files are found damaged', () => {
  const whole = [
    { from: T, to: T + 8000 },
    { from: T + MINUTE_MS, to: T + MINUTE_MS + 8000 },
    { from: T + 2 * MINUTE_MS, to: T + 2 * MINUTE_MS + 8000 },
  ]
  const covers = async (archive: Archive, by: 'producer' | 'server' = 'producer') => {
    const { spans, gaps } = await archive.coverage(YARD, { ...minutes(0, 3), by })
    return {
      spans: spans.map(({ from, to }) => ({ from, to })),
      unreadable: gaps.flatMap(({ from, to, reason }) =>
        reason === 'unreadable' ? [{ from, to }] : [],
      ),
      length: [...spans, ...gaps].reduce((sum, { from, to }) => sum + to - from, 0),
    }
  }
  const all = { spans: whole, unreadable: [], length: 3 * MINUTE_MS }

  test.each(['producer', 'server'] as const)(
    'by %s time: gone is a gap that says so as long as it is gone, and no longer',
    async (by) => {
      const { archive, media, yard } = await running()
      await rename(media, `${media}.away`)
      expect(await covers(archive, by)).toEqual(all) // nobody has looked yet

      await expect(archive.read(yard[5]!)).rejects.toMatchObject({ code: 'FragmentUnreadable' })
      const gone = { ...all, spans: [whole[0], whole[2]], unreadable: [whole[1]] }
      for (let i = 0; i < 3; i++) expect(await covers(archive, by)).toEqual(gone)
      const { gaps } = await archive.coverage(YARD, { ...minutes(1, 1.1), by })
      expect(gaps).toEqual([
        {
          ...{ from: T + MINUTE_MS, to: T + 1.1 * MINUTE_MS, reason: 'unreadable' },
          detail: 'a file is missing or cannot be opened',
        },
      ])

      await rename(`${media}.away`, media)
      expect(await covers(archive, by)).toEqual(all)
      await archive.read(yard[5]!)
    },
  )

  test('cut short: what is left counts, the rest does not', async () => {
    const { archive, media, yard } = await running()
    await truncate(media, yard[6]!.place.offset + 10)
    await codes([archive.read(yard[7]!)])
    const cut = T + MINUTE_MS + 4000

    expect(await covers(archive)).toEqual({
      ...all,
      spans: [whole[0], { from: whole[1]!.from, to: cut }, whole[2]],
      unreadable: [{ from: cut, to: whole[1]!.to }],
    })
  })

  test('with its sidecar: the look-up that misses it says so to coverage too', async () => {
    const { archive, media, sidecar } = await running()
    const kept = [await readFile(media), await readFile(sidecar)]
    await rm(media)
    await rm(sidecar)
    await expect(archive.list(YARD, minutes(1, 2))).rejects.toMatchObject({ code: 'ChunkDamaged' })

    expect(await covers(archive)).toMatchObject({ unreadable: [whole[1]] })
    await writeFile(media, kept[0]!)
    await writeFile(sidecar, kept[1]!)
    expect(await covers(archive)).toEqual(all)
  })

  test('the background check says it as well', async () => {
    const { archive, media, open: openAgain, recorder, clock } = await running()
    await archive[Symbol.asyncDispose]()
    await rm(media)
    const again = await openAgain({}, { checkBytesPerSecond: 1 << 20 })
    const told = recorder.first(({ name }) => name === 'archiveDamaged')
    const passing = setInterval(() => clock.advance(1000), 1)
    await told.finally(() => clearInterval(passing))

    expect(await covers(again)).toMatchObject({ unreadable: [whole[1]] })
  })

  test('a fragment that a lost one replaced does not stand in for it', async () => {
    const place = await archiveWorkplace()
    const archive = await place.open()
    for (let session = 0; session < 2; session++) {
      await using writer = await archive.openWriter(YARD)
      for (let i = 0; i < 3; i++) {
        const at = T + session * MINUTE_MS + i * 2000
        await writeFragment(writer, { at, producerAt: T + i * 2000 })
      }
    }
    place.clock.advance(3 * MINUTE_MS)
    const [, newer] = await chunkFiles(place.media)
    const listed = await archive.list(YARD, { ...minutes(0, 1), by: 'producer' })
    await rm(newer!)
    await codes(listed.map((fragment) => archive.read(fragment)))

    const { spans, gaps } = await archive.coverage(YARD, { ...minutes(0, 0.1), by: 'producer' })
    expect(spans).toEqual([])
    expect(gaps).toMatchObject([{ from: T, to: T + 6000, reason: 'unreadable' }])
  })
})
