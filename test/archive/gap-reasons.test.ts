import { describe, expect, test } from 'vitest'
import { Catalogue } from '../../src/archive/catalogue.ts'
import { fsck, rebuildIndex, type Archive } from '../../src/archive/index.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import { epochMs } from '../../src/domain/time.ts'
import type { MetaStore } from '../../src/platform/meta-store.ts'
import { appendFragment, writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'

const HOUR_MS = 60 * MINUTE_MS

/** Reasons that outlive the process that noted them. */
async function workplace() {
  const place = await archiveWorkplace()
  place.retention.ms = 1000 * HOUR_MS
  return place
}

async function gapsOf(archive: Archive, to: number, by: 'server' | 'producer' = 'server') {
  const { gaps } = await archive.coverage(YARD, { by, from: epochMs(T), to: epochMs(T + to) })
  return gaps.map(({ from, to: end, reason, detail }) => [
    ...[from - T, end - T, reason],
    ...(detail === undefined ? [] : [detail]),
  ])
}

/** A MetaStore of a process that can be killed: from then on nothing of it is stored. */
function mortal(meta: MetaStore) {
  const state = { killed: false }
  const view: MetaStore = {
    get: (key) => meta.get(key),
    entries: (range) => meta.entries(range),
    commit: (batch) => {
      return state.killed ? Promise.reject(new Error('killed')) : meta.commit(batch)
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
  return { view, state }
}

/** A disk that refuses to write media while told so. */
function refusingFiles() {
  const state = { refuses: false }
  const files = {
    ...nodeChunkStore,
    open: async (path: string, flags: 'wx+' | 'r+' | 'r') => {
      const file = await nodeChunkStore.open(path, flags)
      const write = file.write.bind(file)
      file.write = async (parts, position) => {
        if (state.refuses && path.endsWith('.mkv')) throw new Error('refused')
        await write(parts, position)
      }
      return file
    },
  }
  return { files, state }
}

describe('a process that is killed', () => {
  test('does not take a reason along that a round of expiry has stored', async () => {
    const place = await workplace()
    const { files, state } = refusingFiles()
    const { view, state: process } = mortal(place.meta)
    const archive = await place.open({ files, meta: view })
    const writer = await archive.openWriter(YARD)
    await writeFragment(writer, { at: T })
    state.refuses = true
    await expect(writeFragment(writer, { at: T + 2000 })).rejects.toThrow()
    place.clock.advance(4000)
    await archive.expire()
    process.killed = true
    state.refuses = false
    place.clock.advance(30_000)

    const again = await place.open() // nothing of the first was closed

    expect(await gapsOf(again, 34_000)).toEqual([
      [2000, 34_000, 'crash', 'it began as write-failed'],
    ])
  })

  test('after a loss that was over: the loss and the crash have their own reasons', async () => {
    const place = await workplace()
    const { view, state: process } = mortal(place.meta)
    const archive = await place.open({ meta: view }, { maxQueuedBytes: 2000 })
    const writer = await archive.openWriter(YARD)
    await writeFragment(writer, { at: T })
    const long = { at: T + 2000, frames: 1, frameBytes: 3000 }
    expect(() => appendFragment(writer, long)).toThrow('slower')
    await archive.expire()
    await writeFragment(writer, { at: T + 10_000 })
    process.killed = true
    place.clock.advance(MINUTE_MS)

    const again = await place.open()

    expect(await gapsOf(again, MINUTE_MS)).toEqual([
      [2000, 10_000, 'queue-full'],
      [12_000, MINUTE_MS, 'crash'],
    ])
  })

  test('before anything was stored: numbers that are missing within a chunk were given up', async () => {
    const place = await workplace()
    const { view, state: process } = mortal(place.meta)
    const archive = await place.open({ meta: view })
    const writer = await archive.openWriter(YARD)
    await writeFragment(writer, { at: T })
    for (const at of [T + 2000, T + 4000]) {
      appendFragment(writer, { at })
      writer.abandon('too-long')
    }
    await writeFragment(writer, { at: T + 6000 })
    process.killed = true
    place.clock.advance(8000)

    const again = await place.open()

    expect(await gapsOf(again, 8000)).toEqual([
      [2000, 6000, 'lost', '2 given up; why was not recorded'],
    ])
  })

  test('in a session without an open chunk: what follows its last media is the crash', async () => {
    const place = await workplace()
    const { view, state: process } = mortal(place.meta)
    const archive = await place.open({ meta: view })
    const writer = await archive.openWriter(YARD)
    await writeFragment(writer, { at: T })
    place.clock.advance(20 * MINUTE_MS)
    await archive.expire() // ends the idle chunk
    process.killed = true
    place.clock.advance(10 * MINUTE_MS)

    const again = await place.open()
    place.clock.advance(MINUTE_MS)

    expect(await gapsOf(again, 31 * MINUTE_MS)).toEqual([
      [2000, 30 * MINUTE_MS, 'crash'],
      [30 * MINUTE_MS, 31 * MINUTE_MS, 'no-publisher'],
    ])
  })

  test('after its session ended: nobody published, whatever the process did', async () => {
    const place = await workplace()
    const archive = await place.open()
    {
      await using writer = await archive.openWriter(YARD)
      await writeFragment(writer, { at: T })
    }
    place.clock.advance(HOUR_MS)

    const again = await place.open()

    expect(await gapsOf(again, HOUR_MS)).toEqual([[2000, HOUR_MS, 'no-publisher']])
  })
})

describe('media that went for lack of space', () => {
  async function evicting() {
    const place = await workplace()
    const quota = { bytes: null as number | null }
    const archive = await place.open({}, { quotaBytesOf: () => quota.bytes })
    const write = async (minute: number) => {
      await using writer = await archive.openWriter(YARD)
      const at = T + minute * MINUTE_MS
      await writeFragment(writer, { at, durationMs: MINUTE_MS, frames: 1, frameBytes: 100_000 })
    }
    const marks = async () => {
      const rows = []
      for await (const { value } of place.meta.entries({ prefix: ['archive', 'gap-server'] })) {
        rows.push(value)
      }
      return rows as { readonly reason: string }[]
    }
    return { ...place, archive, quota, write, marks }
  }

  test('says so, in one mark for all of it, and other reasons stay', async () => {
    const { archive, clock, meta, quota, write, marks } = await evicting()
    for (const minute of [0, 1, 2, 10, 11, 12, 13]) await write(minute)
    clock.advance(14 * MINUTE_MS)
    for (const bytes of [600_000, 500_000, 300_000]) {
      quota.bytes = bytes
      await archive.checkSpace()
    }

    const over = 'over the quota of the stream'
    expect(await gapsOf(archive, 14 * MINUTE_MS)).toEqual([
      [0, 3 * MINUTE_MS, 'evicted', over],
      [3 * MINUTE_MS, 10 * MINUTE_MS, 'no-publisher'],
      [10 * MINUTE_MS, 12 * MINUTE_MS, 'evicted', over],
    ])
    expect((await marks()).filter(({ reason }) => reason === 'evicted')).toHaveLength(1)
    expect(new Catalogue(meta).stream(YARD).gaps).toBe((await marks()).length)
  })

  test('a mark that is over the retention goes, and the next is another', async () => {
    const { archive, clock, quota, retention, write, marks } = await evicting()
    for (const minute of [0, 1, 2]) await write(minute)
    clock.advance(3 * MINUTE_MS)
    quota.bytes = 150_000
    await archive.checkSpace()
    retention.ms = HOUR_MS
    clock.advance(2 * HOUR_MS)
    await archive.expire()
    expect((await marks()).filter(({ reason }) => reason === 'evicted')).toEqual([])
    for (const minute of [122, 123]) await write(minute)

    clock.advance(MINUTE_MS)
    await archive.checkSpace()

    expect(await marks()).toContainEqual(
      expect.objectContaining({
        reason: 'evicted',
        server: { from: T, to: T + 123 * MINUTE_MS },
      }),
    )
  })
})

test('a rebuild knows no reasons, and the next start claims no crash', async () => {
  const place = await workplace()
  {
    await using archive = await place.open()
    await using writer = await archive.openWriter(YARD)
    await writeFragment(writer, { at: T })
  }
  const keys = []
  for await (const { key } of place.meta.entries({ prefix: ['archive'] })) keys.push(key)
  await place.meta.commit({ deletes: keys })
  await rebuildIndex({ directory: place.media, meta: place.meta })
  place.clock.advance(HOUR_MS)

  const again = await place.open()

  expect(await gapsOf(again, HOUR_MS)).toEqual([[2000, HOUR_MS, 'unknown']])
})

test('a stream whose row was lost: found by fsck, and put right with its numbering', async () => {
  const place = await workplace()
  {
    await using archive = await place.open()
    for (let i = 0; i < 3; i++) {
      await using writer = await archive.openWriter(YARD)
      await writeFragment(writer, { at: T + i * 2000 })
    }
  }
  await place.meta.commit({ deletes: [['archive', 'stream', YARD]] })
  const target = { directory: place.media, meta: place.meta }

  const found = await fsck(target, { depth: 'presence', repair: 'index' })

  expect(found.findings).toMatchObject([{ code: 'sums', stream: YARD }])
  const again = await fsck(target, { depth: 'presence', repair: 'nothing' })
  expect(again.findings).toEqual([])
  const archive = await place.open()
  const range = { by: 'producer', from: epochMs(T), to: epochMs(T + 9000), limit: 9 } as const
  expect(await archive.list(YARD, range)).toHaveLength(3)
  await using writer = await archive.openWriter(YARD)
  expect(await writeFragment(writer, { at: T + 8000 })).toMatchObject({ sequence: 3 })
})
