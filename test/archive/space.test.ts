import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Archive } from '../../src/archive/index.ts'
import { SPACE_INTERVAL_MS } from '../../src/archive/space-guard.ts'
import { toStreamId, type StreamId } from '../../src/domain/stream.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'

const GATE = toStreamId('gate', 2)
const CHUNK_BYTES = 100_000

/** A place whose disk holds no more than `settings.capacity` bytes of chunks. */
async function smallDisk() {
  const place = await archiveWorkplace()
  place.retention.ms = 12 * MINUTE_MS
  const settings = { capacity: 1e9, minFree: 0, quotas: new Map<StreamId, number>() }
  const readDiskSize = async () => {
    let used = 0
    for (const path of await chunkFiles(place.media)) used += (await stat(path)).size
    return { totalBytes: settings.capacity, freeBytes: settings.capacity - used }
  }
  const open = () =>
    place.open(
      { readDiskSize },
      {
        minFreeBytes: settings.minFree,
        quotaBytesOf: (streamId) => settings.quotas.get(streamId) ?? null,
      },
    )
  return { ...place, settings, open }
}

/** One fragment of about 100 kB a minute, each in a chunk of its own, all of them finished. */
async function fill(archive: Archive, streamId: StreamId, count: number, from = 0) {
  await using writer = await archive.openWriter(streamId)
  for (let i = from; i < from + count; i++) {
    await writeFragment(writer, { at: T + i * MINUTE_MS, frames: 1, frameBytes: CHUNK_BYTES })
  }
}

async function shown(archive: Archive, streamId: StreamId): Promise<number[]> {
  const fragments = await archive.after(streamId, null, 99)
  return fragments.map(({ serverTimestamp }) => (serverTimestamp - T) / MINUTE_MS)
}

test('a stream over its quota loses its own oldest; the quota may change at any time', async () => {
  const place = await smallDisk()
  const archive = await place.open()
  await fill(archive, YARD, 8)
  await fill(archive, GATE, 8)

  place.settings.quotas.set(YARD, 5.5 * CHUNK_BYTES)
  await archive.checkSpace()
  expect(await shown(archive, YARD)).toEqual([3, 4, 5, 6, 7])
  place.settings.quotas.set(YARD, 2.5 * CHUNK_BYTES)
  await archive.checkSpace()
  expect(await shown(archive, YARD)).toEqual([6, 7])
  place.settings.quotas.delete(YARD)
  await archive.checkSpace()

  expect(await shown(archive, YARD)).toEqual([6, 7])
  expect(await shown(archive, GATE)).toHaveLength(8)
  expect(await chunkFiles(place.media)).toHaveLength(10)
  expect((await archive.usage(YARD)).bytes).toBeLessThan(2.5 * CHUNK_BYTES)
  const evicted = place.recorder.items.filter(({ name }) => name === 'chunkEvicted')
  expect(evicted).toHaveLength(6)
  expect(evicted[0]!.fields).toMatchObject({ stream: YARD, reason: 'quota', upTo: T })
})

test('below the minimum of free space the largest stream gives its oldest', async () => {
  const place = await smallDisk()
  const archive = await place.open()
  await fill(archive, YARD, 4)
  await fill(archive, GATE, 8, 10)
  await archive[Symbol.asyncDispose]()
  place.settings.capacity = 12.5 * CHUNK_BYTES
  place.settings.minFree = 4.2 * CHUNK_BYTES

  const again = await place.open() // it looks before it lets anybody write

  expect(await shown(again, YARD)).toHaveLength(4)
  expect(await shown(again, GATE)).toEqual([14, 15, 16, 17])
  expect((await again.space()).disk).toMatchObject({ state: 'ok' })
})

test('it looks every two seconds by itself', async () => {
  const place = await smallDisk()
  const archive = await place.open()
  await fill(archive, YARD, 4)
  place.settings.quotas.set(YARD, 2.5 * CHUNK_BYTES)
  await place.clock.sleeping(SPACE_INTERVAL_MS)
  place.clock.advance(SPACE_INTERVAL_MS)

  await place.recorder.first(({ name, fields }) => name === 'chunkEvicted' && fields.upTo !== T)
})

test('held media and the live edge stay whatever the space, and what nobody knows does too', async () => {
  const place = await smallDisk()
  const archive = await place.open()
  await fill(archive, YARD, 4)
  const range = { by: 'server' as const, from: T + MINUTE_MS, to: T + 2 * MINUTE_MS }
  await archive.hold(YARD, range, { name: 'case', reason: 'asked for' })
  place.settings.quotas.set(YARD, 1)
  await archive.checkSpace()

  expect(await shown(archive, YARD)).toEqual([1, 3]) // 3 is seconds old: somebody may watch it
  place.retention.ms = null
  place.settings.quotas.delete(YARD)
  place.settings.capacity = 0
  await archive.checkSpace()
  expect(await chunkFiles(place.media)).toHaveLength(2)
})

test('without anything to give, what comes is given up until there is space again', async () => {
  const place = await smallDisk()
  place.settings.minFree = 2 * CHUNK_BYTES
  const archive = await place.open()
  await using writer = await archive.openWriter(YARD)
  const write = (minute: number) =>
    writeFragment(writer, { at: T + minute * MINUTE_MS, frames: 1, frameBytes: CHUNK_BYTES })
  const first = await write(0) // its chunk is open and may not go

  place.settings.capacity = 1.5 * CHUNK_BYTES
  await archive.checkSpace()
  await expect(write(1)).rejects.toMatchObject({
    code: 'ArchiveWriteFailed',
    cause: { code: 'ArchiveDiskFull' },
  })
  expect(await archive.newest(YARD, 9)).toEqual([first])
  expect((await archive.read(first)).bytes).toHaveLength(first.sizeBytes)
  expect((await archive.space()).disk).toMatchObject({ state: 'full', fullInSeconds: 0 })

  place.settings.capacity = 1e9
  await archive.checkSpace()
  await expect(write(2)).resolves.toMatchObject({ sequence: 1, discontinuity: true })
  const states = place.recorder.items.filter(({ name }) => name === 'archiveSpace')
  expect(states.map(({ fields }) => fields.state)).toEqual(['full', 'ok'])
})

test('a disk that says nothing of itself stops nobody', async () => {
  const place = await archiveWorkplace()
  const archive = await place.open({ readDiskSize: () => Promise.reject(new Error('no statfs')) })
  await fill(archive, YARD, 2)

  expect(await shown(archive, YARD)).toEqual([0, 1])
  expect(await archive.space()).toMatchObject({ disk: null, streams: [{ streamId: YARD }] })
})

test('space is forecast from what was written lately', async () => {
  const place = await smallDisk()
  place.settings.minFree = CHUNK_BYTES
  place.settings.capacity = 100 * CHUNK_BYTES
  place.settings.quotas.set(YARD, 1e9)
  place.retention.ms = 600 * MINUTE_MS
  const archive = await place.open()
  await using writer = await archive.openWriter(YARD)
  for (let i = 0; i < 5; i++) {
    await writeFragment(writer, { at: place.clock.now(), frames: 1, frameBytes: CHUNK_BYTES })
    await archive.checkSpace()
    place.clock.advance(10_000)
  }

  const { disk, streams } = await archive.space()

  const [yard] = streams
  expect(yard!.writeBytesPerSecond).toBeGreaterThan(CHUNK_BYTES / 10)
  expect(yard!.writeBytesPerSecond).toBeLessThan(CHUNK_BYTES / 9.9)
  expect(yard!.retentionReachedInSeconds).toBe(600 * 60 - 50)
  expect(disk!.fullInSeconds).toBeGreaterThan(900)
  expect(disk!.fullInSeconds).toBeLessThan(950)
})
