import { expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'

type Workplace = Awaited<ReturnType<typeof archiveWorkplace>>

/** One fragment a minute, each in a chunk of its own, an hour apart by the producer's clock. */
async function writeMinutes(place: Workplace, count: number) {
  await using archive = await place.open()
  await using writer = await archive.openWriter(YARD)
  for (let i = 0; i < count; i++) {
    const at = T + i * MINUTE_MS
    await writeFragment(writer, { at, producerAt: T + i * 60 * MINUTE_MS })
  }
}

const TERMS = { name: 'case 12', reason: 'asked for by the police' }
const minutes = (from: number, to: number) => ({
  by: 'server' as const,
  from: T + from * MINUTE_MS,
  to: T + to * MINUTE_MS,
})
const EVERYTHING = { by: 'server', from: epochMs(0), to: epochMs(T * 2), limit: 99 } as const

test.each([
  { rule: 'keeps what overlaps it', range: minutes(1, 3), kept: [1, 2] },
  { rule: 'its end is exclusive', range: minutes(1, 2), kept: [1] },
  { rule: 'a touch is enough', range: { ...minutes(0, 0), to: T + 1 }, kept: [0] },
  {
    rule: 'goes by the producer’s clock too',
    range: { by: 'producer' as const, from: T + 60 * MINUTE_MS, to: T + 121 * MINUTE_MS },
    kept: [1, 2],
  },
])('a hold $rule', async ({ range, kept }) => {
  const place = await archiveWorkplace()
  await writeMinutes(place, 5)
  const archive = await place.open()
  await archive.hold(YARD, range, TERMS)
  place.clock.advance(99 * MINUTE_MS)

  await archive.expire()

  expect(await chunkFiles(place.media)).toHaveLength(kept.length)
  const timestamps = kept.map((i) => T + i * MINUTE_MS)
  for (const found of [
    await archive.list(YARD, EVERYTHING),
    await archive.after(YARD, null, 9),
    await archive.newest(YARD, 9),
  ]) {
    expect(found.map(({ serverTimestamp }) => serverTimestamp)).toEqual(timestamps)
    for (const fragment of found) {
      expect(await archive.find(YARD, fragment.fragmentNumber)).toEqual(fragment)
      expect((await archive.read(fragment)).bytes).toHaveLength(fragment.sizeBytes)
    }
  }
})

test('a hold of part of a chunk keeps the chunk and shows only its range', async () => {
  const place = await archiveWorkplace()
  place.retention.ms = 120 * MINUTE_MS
  await writeMinutes(place, 5) // all in one chunk of ten minutes
  const archive = await place.open()
  await archive.hold(YARD, minutes(2, 3), TERMS)
  place.clock.advance(300 * MINUTE_MS)

  await archive.expire()

  expect(await chunkFiles(place.media)).toHaveLength(1)
  expect(await archive.after(YARD, null, 9)).toMatchObject([{ serverTimestamp: T + 2 * MINUTE_MS }])
})

test('a hold survives a restart and ends when it is released', async () => {
  const place = await archiveWorkplace()
  await writeMinutes(place, 3)
  const first = await place.open()
  const { id } = await first.hold(YARD, minutes(0, 1), TERMS)
  await first[Symbol.asyncDispose]()
  place.clock.advance(99 * MINUTE_MS)
  const archive = await place.open()
  await archive.expire()

  expect(archive.holds()).toMatchObject([{ id, streamId: YARD, ...minutes(0, 1), ...TERMS }])
  expect(await archive.newest(YARD, 9)).toHaveLength(1)
  await archive.releaseHold(id)

  expect(archive.holds()).toEqual([])
  expect(await archive.newest(YARD, 9)).toEqual([])
  await archive.expire()
  expect(await chunkFiles(place.media)).toEqual([])
  await expect(archive.releaseHold(id)).rejects.toMatchObject({ code: 'HoldNotFound' })
})

test('a hold with an end runs out by itself', async () => {
  const place = await archiveWorkplace()
  await writeMinutes(place, 2)
  const archive = await place.open()
  await archive.hold(YARD, minutes(0, 9), { ...TERMS, until: epochMs(T + 99 * MINUTE_MS) })
  place.clock.advance(99 * MINUTE_MS - 1)
  await archive.expire()

  expect(await archive.newest(YARD, 9)).toHaveLength(2)
  place.clock.advance(1)
  expect(await archive.newest(YARD, 9)).toEqual([])
  await archive.expire()
  expect(await chunkFiles(place.media)).toEqual([])
  expect(archive.holds()).toEqual([])
})

test('a stream with a hold is not removed', async () => {
  const place = await archiveWorkplace()
  await writeMinutes(place, 2)
  const archive = await place.open()
  const { id } = await archive.hold(YARD, minutes(0, 1), TERMS)

  await expect(archive.remove(YARD)).rejects.toMatchObject({ code: 'StreamHeld' })
  await archive.releaseHold(id)
  await archive.remove(YARD)

  expect(await chunkFiles(place.media)).toEqual([])
})

test.each([minutes(3, 3), minutes(3, 2), { ...minutes(0, 1), from: Number.NaN }])(
  'no hold of %o',
  async (range) => {
    const place = await archiveWorkplace()
    const archive = await place.open()

    await expect(archive.hold(YARD, range, TERMS)).rejects.toMatchObject({ code: 'InvalidRange' })
  },
)

test('retention obeys at once, in both directions, and shows again only what is still there', async () => {
  const place = await archiveWorkplace()
  await writeMinutes(place, 5)
  const archive = await place.open()
  place.clock.advance(5 * MINUTE_MS)
  const shown = async () => (await archive.after(YARD, null, 9)).length

  expect(await shown()).toBe(5)
  place.retention.ms = 3 * MINUTE_MS
  expect(await shown()).toBe(2) // those of minute 3 and 4
  place.retention.ms = 12 * MINUTE_MS
  expect(await shown()).toBe(5) // nothing went yet
  place.retention.ms = 3 * MINUTE_MS
  await archive.expire()
  place.retention.ms = 12 * MINUTE_MS
  expect(await shown()).toBe(2)
  expect(await archive.usage(YARD)).toMatchObject({ chunks: 2, oldest: T + 3 * MINUTE_MS })
})

test('a fragment is hidden in the millisecond in which it reaches the retention', async () => {
  const place = await archiveWorkplace()
  await writeMinutes(place, 1)
  const archive = await place.open()
  const [fragment] = await archive.newest(YARD, 1)
  place.clock.advance(12 * MINUTE_MS - 1)

  expect(await archive.find(YARD, fragment!.fragmentNumber)).not.toBeNull()
  place.clock.advance(1)
  expect(await archive.find(YARD, fragment!.fragmentNumber)).toBeNull()
  await expect(archive.read(fragment!)).rejects.toMatchObject({ code: 'FragmentNotFound' })
})

test('with retention 0 five minutes are there for live readers, and no archive', async () => {
  const place = await archiveWorkplace()
  place.retention.ms = 0
  const archive = await place.open()
  await using writer = await archive.openWriter(YARD)
  for (let i = 0; i < 8; i++) await writeFragment(writer, { at: T + i * MINUTE_MS })
  place.clock.advance(7 * MINUTE_MS)

  const buffered = await archive.newest(YARD, 99)
  expect(buffered.map(({ serverTimestamp }) => (serverTimestamp - T) / MINUTE_MS)).toEqual([
    3, 4, 5, 6, 7,
  ])
  expect(await archive.after(YARD, null, 99)).toEqual(buffered)
  expect((await archive.read(buffered[0]!)).bytes).toHaveLength(buffered[0]!.sizeBytes)
  expect(await archive.list(YARD, EVERYTHING)).toEqual([])
  await archive.expire()
  expect(await chunkFiles(place.media)).toHaveLength(5)
})
