import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Fragment } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import {
  decodeRow,
  encodeRow,
  ROW_BYTES,
  sidecarHeader,
  type FragmentRow,
} from '../../src/archive/fragment-row.ts'
import { SidecarCache } from '../../src/archive/sidecar-cache.ts'
import { sidecarBytes, SidecarRows } from '../../src/archive/sidecar-rows.ts'
import { randomNumbers, writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'

const row = (counter: number): FragmentRow => ({
  ...{ counter, random28: 1, sequence: counter, discontinuitySequence: 0, sampleCount: 5 },
  ...{ producerTimestamp: epochMs(T), serverTimestamp: epochMs(T), durationMs: 2000 },
  ...{ arrivalSpanMs: 2000, offset: counter * 1000, length: 900, checksum: null },
  ...{ startsWithKey: true, discontinuity: false, recovered: false, deleted: false },
  hasProducerTags: false,
})

function sidecarOf(fragments: number, first = 1): Buffer {
  const rows = Array.from({ length: fragments }, (_, i) => encodeRow(row(first + i)))
  return Buffer.concat([sidecarHeader(), ...rows])
}

/** As a reader fills memory of the cache with a sidecar. */
function read(cache: SidecarCache, sidecar: Buffer) {
  const bytes = cache.take(sidecar.length)
  bytes.set(sidecar)
  const fragments = (sidecar.length - sidecarBytes(0)) / ROW_BYTES
  const { counter: lastCounter } = decodeRow(sidecar, sidecar.length - ROW_BYTES)!
  const facts = { fragments, lastCounter, chunkBytes: Infinity }
  return { rows: SidecarRows.parse(bytes, facts)!, isComplete: true }
}

const TEN = sidecarOf(10)
/** Takes 256 KiB of memory. */
const MANY = sidecarOf(3000)

const memoryOf = (cache: SidecarCache, path: string) => cache.get(path)?.rows.bytes.buffer

test('memory that was lent once is used again, and not while it is lent', () => {
  const cache = new SidecarCache()
  const first = read(cache, TEN)

  const during = cache.lendOnce(first, ({ rows }) => {
    const other = cache.take(sidecarBytes(10))
    expect(other.buffer).not.toBe(rows.bytes.buffer)
    return rows.last?.counter
  })

  expect(during).toBe(10)
  expect(cache.take(sidecarBytes(10)).buffer).toBe(first.rows.bytes.buffer)
  expect(cache.take(sidecarBytes(10)).buffer).not.toBe(first.rows.bytes.buffer) // taken again
})

test('memory comes back also when who got the rows throws', () => {
  const cache = new SidecarCache()
  const first = read(cache, TEN)

  expect(() =>
    cache.lendOnce(first, () => {
      throw new Error('damaged')
    }),
  ).toThrow('damaged')
  expect(cache.take(sidecarBytes(10)).buffer).toBe(first.rows.bytes.buffer)
})

test('kept rows stay as they are while others are read, and give their memory back when forgotten', () => {
  const cache = new SidecarCache()
  const kept = read(cache, TEN)
  cache.lend('a', { read: kept, forgetsBefore: cache.forgets }, () => undefined)

  for (let i = 0; i < 50; i++) cache.lendOnce(read(cache, sidecarOf(10, 100 + i)), () => undefined)
  expect(cache.get('a')?.rows.all()).toEqual(kept.rows.all())
  expect(cache.get('a')?.rows.last?.counter).toBe(10)

  cache.forget('a')
  expect(cache.get('a')).toBeUndefined()
  cache.forget('a') // its memory comes back once
  const [one, other] = [cache.take(sidecarBytes(10)), cache.take(sidecarBytes(10))]
  expect(one.buffer).not.toBe(other.buffer)
})

test('kept rows are bounded, by the memory they are in; the longest unused goes', () => {
  const cache = new SidecarCache()
  const paths = Array.from({ length: 40 }, (_, i) => `chunk-${i}`)
  for (const path of paths) {
    const { forgets: forgetsBefore } = cache
    cache.lend(path, { read: read(cache, MANY), forgetsBefore }, () => undefined)
    cache.get('chunk-0')
  }

  const kept = paths.filter((path) => cache.get(path) !== undefined)
  expect(kept).toEqual(['chunk-0', ...paths.slice(-15)]) // 16 * 256 KiB are 4 MiB
})

test('what is larger than all that is kept is kept alone, until the next', () => {
  const cache = new SidecarCache()
  const keep = (path: string, sidecar: Buffer) =>
    cache.lend(path, { read: read(cache, sidecar), forgetsBefore: cache.forgets }, () => undefined)
  keep('small', TEN)
  keep('large', sidecarOf(65_536))

  expect([cache.get('small'), cache.get('large')?.rows.length]).toEqual([undefined, 65_536])
  keep('small', TEN)
  expect([cache.get('small')?.rows.length, cache.get('large')]).toEqual([10, undefined])
})

test('rows that were read before anything was forgotten are lent, and not kept', () => {
  const cache = new SidecarCache()
  const { forgets: forgetsBefore } = cache
  const early = read(cache, TEN)
  cache.forget('a')

  expect(cache.lend('a', { read: early, forgetsBefore }, ({ rows }) => rows.length)).toBe(10)
  expect(cache.get('a')).toBeUndefined()
  expect(cache.take(sidecarBytes(10)).buffer).toBe(early.rows.bytes.buffer)
})

test('of two who read the same chunk at once, one keeps it and the other gives its memory back', () => {
  const cache = new SidecarCache()
  const { forgets: forgetsBefore } = cache
  const [first, second] = [read(cache, MANY), read(cache, MANY)]
  cache.lend('a', { read: first, forgetsBefore }, () => undefined)
  cache.lend('a', { read: second, forgetsBefore }, () => undefined)

  expect(memoryOf(cache, 'a')).toBe(first.rows.bytes.buffer)
  expect(cache.take(sidecarBytes(3000)).buffer).toBe(second.rows.bytes.buffer)
  // It is counted once: 16 fit.
  for (let i = 0; i < 15; i++) {
    cache.lend(`other-${i}`, { read: read(cache, MANY), forgetsBefore }, () => undefined)
  }
  expect(cache.get('a')).toBeDefined()
})

const CHUNKS = 40
const PER_CHUNK = 5
const ALL = { by: 'server', from: epochMs(T), to: epochMs(T + CHUNKS * MINUTE_MS) } as const
const minutes = (from: number, to: number) =>
  ({ ...ALL, from: epochMs(T + from * MINUTE_MS), to: epochMs(T + to * MINUTE_MS) }) as const

test('many readers at once, while ranges are deleted, chunks expire and sidecars go: every answer is right', async () => {
  const place = await archiveWorkplace()
  place.retention.ms = 1000 * MINUTE_MS
  const writing = await place.open()
  const all: Fragment[] = []
  for (let minute = 0; minute < CHUNKS; minute++) {
    await using writer = await writing.openWriter(YARD)
    for (let i = 0; i < PER_CHUNK; i++) {
      all.push(await writeFragment(writer, { at: T + minute * MINUTE_MS + i * 2000 }))
    }
  }
  await writing[Symbol.asyncDispose]()
  const archive = await place.open()
  place.clock.advance(CHUNKS * MINUTE_MS)
  /** Fragments that may be gone, from the moment that it is asked for; and those that are. */
  const leaving = new Set<string>()
  const gone = new Set<string>()
  const pick = randomNumbers(7)
  const wrong: string[] = []
  const isDone = { yes: false }

  const check = (
    found: readonly Fragment[],
    expected: readonly Fragment[],
    goneAtFirst: Set<string>,
  ) => {
    const byNumber = new Map(found.map((fragment) => [fragment.fragmentNumber, fragment]))
    if (byNumber.size !== found.length) wrong.push('twice the same')
    for (const fragment of expected) {
      const { fragmentNumber } = fragment
      const answer = byNumber.get(fragmentNumber)
      byNumber.delete(fragmentNumber)
      if (answer === undefined && !leaving.has(fragmentNumber)) wrong.push(`not found`)
      if (answer !== undefined && goneAtFirst.has(fragmentNumber)) wrong.push('deleted and found')
      if (answer !== undefined && JSON.stringify(answer) !== JSON.stringify(fragment)) {
        wrong.push(`another: ${JSON.stringify(answer)}`)
      }
    }
    if (byNumber.size > 0) wrong.push('found what was not asked for')
  }
  const reader = async () => {
    do {
      const goneAtFirst = new Set(gone)
      const from = pick(CHUNKS)
      const to = Math.min(from + 1 + pick(4), CHUNKS)
      const inRange = all.slice(from * PER_CHUNK, to * PER_CHUNK)
      const by = pick(2) === 0 ? 'producer' : 'server'
      check(
        await archive.list(YARD, { ...minutes(from, to), by, limit: 999 }),
        inRange,
        goneAtFirst,
      )
      const one = all[pick(all.length)]!
      const found = await archive.find(YARD, one.fragmentNumber)
      check(found === null ? [] : [found], [one], goneAtFirst)
      const { spans } = await archive.coverage(YARD, { ...minutes(from, to), by })
      const fragments = spans.reduce((sum, span) => sum + span.fragments, 0)
      const certain = inRange.filter(({ fragmentNumber }) => !leaving.has(fragmentNumber)).length
      const possible = inRange.filter(
        ({ fragmentNumber }) => !goneAtFirst.has(fragmentNumber),
      ).length
      if (fragments < certain || fragments > possible) wrong.push(`covers ${fragments}`)
    } while (!isDone.yes)
  }
  const change = async (from: number, to: number, action: () => Promise<unknown>) => {
    const numbers = all
      .filter((fragment) => fragment.serverTimestamp + 2000 > T + from * MINUTE_MS)
      .filter((fragment) => fragment.serverTimestamp < T + to * MINUTE_MS)
      .map(({ fragmentNumber }) => fragmentNumber)
    for (const number of numbers) leaving.add(number)
    await action()
    for (const number of numbers) gone.add(number)
  }
  const sidecars = (await chunkFiles(place.media)).map((path) => path.replace('.mkv', '.idx'))

  const readers = Array.from({ length: 8 }, reader)
  try {
    for (let minute = 2; minute < CHUNKS; minute += 3) {
      const range = minutes(minute + 0.04, minute + 0.08) // within a chunk
      await change(minute + 0.04, minute + 0.08, () => archive.deleteRange(YARD, range))
      await rm(sidecars[minute + 1] ?? '', { force: true }) // made again from the notes
      if (minute % 2 === 0) {
        await change(minute - 1, minute - 0.5, () =>
          archive.deleteRange(YARD, minutes(minute - 1, minute - 0.5)),
        )
      }
    }
    place.retention.ms = (CHUNKS + 0.5) * MINUTE_MS
    await change(0, 6, async () => {
      place.clock.advance(6.3 * MINUTE_MS) // what began in the first 5.8 minutes is over it
      await archive.expire()
    })
  } finally {
    isDone.yes = true
    await Promise.all(readers)
  }
  for (let i = 0; i < 20; i++) await reader()

  expect(wrong).toEqual([])
  expect(gone.size).toBeGreaterThan(60)
}, 120_000)
