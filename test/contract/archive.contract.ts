import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Archive, ArchiveOptions, FragmentWriter } from '../../src/archive/index.ts'
import {
  parseFragmentNumber,
  type Fragment,
  type FragmentNumber,
} from '../../src/domain/fragment.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import { toSamples } from '../../src/media/matroska/scanner.ts'
import { parseTags } from '../../src/media/matroska/tags.ts'
import { readElementHead } from '../../src/media/matroska/vint.ts'
import { tagsElement, toMatroskaHeader } from '../../src/media/matroska/writer.ts'
import {
  appendFragment,
  clusterParts,
  fragmentStart,
  HEADER,
  randomNumbers,
  VIDEO_TRACK,
  writeFragment,
  type MadeFragment,
} from '../support/archive-media.ts'
import type { ManualClock } from '../support/manual-clock.ts'

/** An engine under test: `open` is called again on the same place to see what survived. */
export type ArchiveEngine = {
  readonly clock: ManualClock
  open(options: ArchiveOptions): Promise<Archive>
  [Symbol.asyncDispose](): Promise<void>
}

const YARD = toStreamId('yard', 1)
const GATE = toStreamId('gate', 2)
const HOUR_MS = 3_600_000
const T = 1_700_000_000_000

/** What every {@link Archive} promises. */
export function archiveContract(name: string, start: () => Promise<ArchiveEngine>): void {
  describe(`${name}: archive contract`, () => {
    let engine: ArchiveEngine
    let archive: Archive
    let retentionMs: number | null
    const options: ArchiveOptions = {
      retentionMsOf: () => retentionMs,
      nameOf: (streamId) => streamId,
      maxQueuedBytes: 64 * 1024,
      maxChunkBytes: 4 * 1024,
    }

    beforeEach(async () => {
      retentionMs = 24 * HOUR_MS
      engine = await start()
      archive = await engine.open(options)
    })
    afterEach(async () => {
      await archive[Symbol.asyncDispose]()
      await engine[Symbol.asyncDispose]()
    })

    async function reopen(): Promise<void> {
      await archive[Symbol.asyncDispose]()
      archive = await engine.open(options)
    }

    /** Writes fragments two seconds apart, all persisted, and closes the writer. */
    async function fill(fragments: readonly MadeFragment[], streamId = YARD) {
      await using writer = await archive.openWriter(streamId)
      const written: Fragment[] = []
      for (const fragment of fragments) written.push(await writeFragment(writer, fragment))
      return written
    }

    const every2s = (count: number, from = T) =>
      Array.from({ length: count }, (_, i) => ({ at: from + i * 2000 }))
    const numbersOf = (fragments: readonly Fragment[]) => fragments.map((f) => f.fragmentNumber)
    const countersOf = (fragments: readonly Fragment[]) =>
      fragments.map((f) => parseFragmentNumber(f.fragmentNumber)!.counter)

    describe('a fragment', () => {
      test('comes back as it went in, between its Tags and the producer’s', async () => {
        const made = { at: T, producerAt: T - 700, durationMs: 1960, frames: 49 }
        const producerTags = tagsElement([['gate', 'open']])
        await using writer = await archive.openWriter(YARD)
        const number = appendFragment(writer, made)

        const fragment = await writer.end(producerTags)
        const stored = await archive.read(fragment)

        expect(fragment).toMatchObject({
          ...{ streamId: YARD, fragmentNumber: number, sampleCount: 49, sequence: 0 },
          ...{ producerTimestamp: T - 700, serverTimestamp: T, durationMs: 1960 },
          ...{ arrivalSpanMs: 1960, startsWithKey: true, recovered: false, discontinuity: false },
        })
        expect(fragment.sizeBytes).toBe(stored.bytes.length)
        expect(Buffer.from(stored.header)).toEqual(Buffer.from(HEADER))
        expect(stored.tracks).toEqual([VIDEO_TRACK])
        const tags = readElementHead(stored.bytes, 0)!
        expect(parseTags(stored.bytes, tags)).toEqual([
          { name: 'AWS_KINESISVIDEO_FRAGMENT_NUMBER', value: number },
          { name: 'AWS_KINESISVIDEO_SERVER_TIMESTAMP', value: '1700000000.000' },
          { name: 'AWS_KINESISVIDEO_PRODUCER_TIMESTAMP', value: '1699999999.300' },
        ])
        const media = Buffer.concat([...clusterParts(made), producerTags])
        expect(Buffer.from(stored.bytes.subarray(tags.dataOffset + tags.size))).toEqual(media)
        expect(toSamples(stored.bytes, stored.tracks)).toHaveLength(49)
      })

      test('is not there before it is persisted, and everywhere from then on', async () => {
        await using writer = await archive.openWriter(YARD)
        const number = appendFragment(writer, { at: T })
        const range = { by: 'server', from: epochMs(0), to: epochMs(T * 2), limit: 9 } as const
        const answers = async () => [
          await archive.list(YARD, range),
          await archive.after(YARD, null, 9),
          await archive.newest(YARD, 9),
          [await archive.find(YARD, number)].filter((found) => found !== null),
        ]

        expect(await answers()).toEqual([[], [], [], []])
        const fragment = await writer.end(null)
        expect(await answers()).toEqual([[fragment], [fragment], [fragment], [fragment]])
      })

      test('that was given up leaves a gap in numbers, none in sequence, and a discontinuity', async () => {
        await using writer = await archive.openWriter(YARD)
        await writeFragment(writer, { at: T })
        appendFragment(writer, { at: T + 2000 })
        writer.abandon('stalled')
        const next = await writeFragment(writer, { at: T + 4000 })

        const all = await archive.after(YARD, null, 9)

        expect(countersOf(all)).toEqual([1, 3])
        expect(next).toMatchObject({ sequence: 1, discontinuity: true, discontinuitySequence: 1 })
        expect((await archive.read(next)).bytes.length).toBe(next.sizeBytes)
      })

      test.each([
        { rule: 'Tracks', header: HEADER.subarray(0, 60), code: 'MalformedMedia' },
        { rule: 'an open Segment', header: closedHeader(), code: 'SegmentSizeKnown' },
        { rule: 'bytes', header: new Uint8Array(0), code: 'MalformedMedia' },
      ])('needs a header with $rule', async ({ header, code }) => {
        await using writer = await archive.openWriter(YARD)
        const begin = () => writer.begin(fragmentStart({ at: T, header }))

        expect(begin).toThrow(expect.objectContaining({ code }))
        await expect(writeFragment(writer, { at: T })).resolves.toMatchObject({ sequence: 0 })
      })

      function closedHeader() {
        const header = Buffer.from(HEADER)
        header.write('0100000000ffffff', header.indexOf('01ffffffffffffff', 0, 'hex'), 'hex')
        return header
      }

      test('whose timestamps no index can hold is refused', async () => {
        await using writer = await archive.openWriter(YARD)
        const begin = () => writer.begin(fragmentStart({ at: T, producerAt: 2 ** 51 }))

        expect(begin).toThrow(expect.objectContaining({ code: 'InvalidTimestamp' }))
      })
    })

    describe('a writer', () => {
      test('is the only one of its stream, until it is closed', async () => {
        const writer = await archive.openWriter(YARD)

        await expect(archive.openWriter(YARD)).rejects.toMatchObject({ code: 'StreamBusy' })
        await using _other = await archive.openWriter(GATE)
        await writer[Symbol.asyncDispose]()
        await writer[Symbol.asyncDispose]()
        await using _again = await archive.openWriter(YARD)
      })

      test('takes the next fragment before the last one is persisted', async () => {
        await using writer = await archive.openWriter(YARD)
        const ends = every2s(20).map((fragment) => writeFragment(writer, fragment))

        const fragments = await Promise.all(ends)

        expect(fragments.map(({ sequence }) => sequence)).toEqual(fragments.map((_, i) => i))
        for (const fragment of fragments) {
          expect(toSamples((await archive.read(fragment)).bytes, [VIDEO_TRACK])).toHaveLength(5)
        }
      })

      test('begins another chunk when the header changes and keeps each header', async () => {
        const other = toMatroskaHeader([{ ...VIDEO_TRACK, codecPrivate: Uint8Array.of(1, 2) }])
        const fragments = await fill([{ at: T }, { at: T + 2000, header: other }])

        const stored = await Promise.all(fragments.map((fragment) => archive.read(fragment)))

        expect(stored.map(({ header }) => Buffer.from(header))).toEqual(
          [HEADER, other].map((bytes) => Buffer.from(bytes)),
        )
        expect(fragments[0]!.place.chunkId < fragments[1]!.place.chunkId).toBe(true)
        expect(await archive.usage(YARD)).toMatchObject({ chunks: 2 })
      })

      test('gives up its open fragment when it is closed', async () => {
        const writer = await archive.openWriter(YARD)
        appendFragment(writer, { at: T })
        await writer[Symbol.asyncDispose]()

        expect(await archive.after(YARD, null, 9)).toEqual([])
      })

      test('gives the fragment up and says so when the queue is full; the next one goes on', async () => {
        await using writer = await archive.openWriter(YARD)
        writer.begin(fragmentStart({ at: T }))
        const info = { samples: 1, producerEnd: epochMs(T), arrivedAt: epochMs(T) }
        const [cluster, ...blocks] = clusterParts({ at: T, frames: 1, frameBytes: 20_000 })
        writer.append([cluster!], info)
        const flood = () => {
          for (let i = 0; i < 4; i++) writer.append(blocks, info)
        }

        expect(flood).toThrow(
          expect.objectContaining({ kind: 'unavailable', code: 'ArchiveQueueFull' }),
        )
        expect(() => writer.append(blocks, info)).toThrow(
          expect.objectContaining({ code: 'ArchiveQueueFull' }),
        )
        await expect(writer.end(null)).rejects.toMatchObject({ code: 'ArchiveQueueFull' })
        await expect(writeFragment(writer, { at: T + 2000 })).resolves.toMatchObject({
          sequence: 0,
        })
        expect(writer.queuedBytes).toBe(0)
      })
    })

    describe('numbers', () => {
      test('go on exactly after a restart', async () => {
        await fill(every2s(3))
        await reopen()
        const [fragment] = await fill([{ at: T + 6000 }])

        expect(countersOf(await archive.after(YARD, null, 9))).toEqual([1, 2, 3, 4])
        expect(fragment).toMatchObject({ sequence: 3, discontinuity: false })
      })

      test('go on when everything was removed by retention', async () => {
        retentionMs = HOUR_MS
        const before = await fill(every2s(3))
        engine.clock.advance(3 * HOUR_MS)
        await reopen() // a jump within one process is not believed at once
        engine.clock.advance(30_000)
        await reopen()
        expect(await archive.usage(YARD)).toMatchObject({ chunks: 0, bytes: 0 })
        const [after] = await fill([{ at: engine.clock.now(), discontinuity: true }])

        expect(after).toMatchObject({ sequence: 3, discontinuitySequence: 1 })
        expect(after!.fragmentNumber > before.at(-1)!.fragmentNumber).toBe(true)
        expect(countersOf([after!])).toEqual([4])
      })

      test('are each stream’s own', async () => {
        await fill(every2s(2), YARD)
        const [fragment] = await fill(every2s(1), GATE)

        expect(fragment).toMatchObject({ streamId: GATE, sequence: 0 })
        expect(
          await archive.find(GATE, (await archive.newest(YARD, 1))[0]!.fragmentNumber),
        ).toBeNull()
      })
    })

    describe('by number', () => {
      let all: readonly Fragment[]

      beforeEach(async () => {
        all = await fill(every2s(100))
      })

      test.each(['in the same process', 'after a restart'])(
        'finds every fragment %s',
        async (when) => {
          if (when === 'after a restart') await reopen()

          for (const fragment of all) {
            expect(await archive.find(YARD, fragment.fragmentNumber)).toEqual(fragment)
          }
          const [first] = all
          const other = first!.fragmentNumber.replace(/.$/, (d) => (d === '0' ? '1' : '0'))
          expect(await archive.find(YARD, other as FragmentNumber)).toBeNull()
          expect(await archive.find(YARD, 'x' as FragmentNumber)).toBeNull()
        },
      )

      test.each(['in the same process', 'after a restart'])(
        'pages from any place %s',
        async (when) => {
          if (when === 'after a restart') await reopen()
          const pages: Fragment[] = []
          for (let last: Fragment | null = null; ;) {
            const page: readonly Fragment[] = await archive.after(
              YARD,
              last?.fragmentNumber ?? null,
              7,
            )
            pages.push(...page)
            last = page.at(-1) ?? null
            if (last === null) break
          }

          expect(pages).toEqual(all)
          expect(await archive.after(YARD, all[40]!.fragmentNumber, 3)).toEqual(all.slice(41, 44))
          expect(await archive.after(YARD, all[98]!.fragmentNumber, 3)).toEqual(all.slice(99))
        },
      )

      test.each([0, 1, 31, 32, 33, 99, 100, 1000])('gives the newest %i', async (count) => {
        const expected = count === 0 ? [] : numbersOf(all.slice(-count))

        expect(numbersOf(await archive.newest(YARD, count))).toEqual(expected)
        await reopen()
        expect(numbersOf(await archive.newest(YARD, count))).toEqual(expected)
      })

      test('refuses what is no fragment number', async () => {
        await expect(archive.after(YARD, '12' as FragmentNumber, 1)).rejects.toMatchObject({
          code: 'InvalidFragmentNumber',
        })
      })
    })

    describe('by time', () => {
      test.each([
        { rule: 'a fragment lasts from its start', from: 0, to: 1, found: [0] },
        { rule: 'to its end, exclusive', from: 2000, to: 2001, found: [1] },
        { rule: 'the end of the range is exclusive', from: -10, to: 0, found: [] },
        { rule: 'overlapping ones count', from: 1999, to: 2001, found: [0, 1] },
        { rule: 'an empty range has none', from: 500, to: 500, found: [] },
        { rule: 'at most the limit, earliest first', from: -1e6, to: 1e6, found: [0, 1, 2] },
      ])('$rule', async ({ from, to, found }) => {
        const all = await fill(every2s(6))
        const range = { from: epochMs(T + from), to: epochMs(T + to), limit: 3 }

        for (const by of ['server', 'producer'] as const) {
          expect(await archive.list(YARD, { by, ...range })).toEqual(found.map((i) => all[i]))
        }
      })

      test('is right whatever the producer’s clock did', async () => {
        const random = randomNumbers(7)
        let producerAt = T
        const jumps = [0, 0, 0, 0, 0, -1000, 500, 86_400_000, -86_400_000, 1e12, -1e12, -1.69e12]
        const made = Array.from({ length: 150 }, (_, i): MadeFragment => {
          producerAt = Math.max(producerAt + 2000 + jumps[random(jumps.length)]!, 0)
          const durationMs = [0, 1, 1960, 2000, 20_000][random(5)]!
          return { at: T + i * 2000, producerAt, durationMs, frames: 1 + random(3) }
        })
        const all = [...(await fill(made.slice(0, 80)))]
        await reopen()
        await using writer = await archive.openWriter(YARD)
        for (const fragment of made.slice(80)) all.push(await writeFragment(writer, fragment))

        for (let round = 0; round < 300; round++) {
          const by = random(2) === 0 ? 'producer' : 'server'
          const about = all[random(all.length)]![`${by}Timestamp`] + random(5000) - 2500
          const length = [1, 1000, 10_000, 86_400_000, 2e12][random(5)]!
          const limit = [1, 3, 1000][random(3)]!
          const range = { by, from: epochMs(about), to: epochMs(about + length), limit } as const

          const listed = await archive.list(YARD, range)

          expect(numbersOf(listed), JSON.stringify(range)).toEqual(
            numbersOf(expectedIn(all, range)),
          )
        }
      })

      test.each([
        { rule: 'the one that was sent last', lengths: [2000, 2000], at: 500, listed: [1] },
        { rule: 'a longer one', lengths: [1000, 4000], at: 500, listed: [1] },
        { rule: 'what it makes longer', lengths: [1000, 4000], at: 3000, listed: [1] },
        { rule: 'nothing where it is shorter', lengths: [4000, 1000], at: 3000, listed: [] },
        { rule: 'the third of three', lengths: [4000, 1000, 5000], at: 3000, listed: [2] },
      ])('sent again from one instant, lists $rule', async ({ lengths, at, listed }) => {
        const again = lengths.map((durationMs, i) => ({
          ...{ at: T + i * 600_000, producerAt: T, durationMs },
        }))
        const all = await fill(again)
        const range = { from: epochMs(T + at), to: epochMs(T + at + 1), limit: 9 }

        expect(await archive.list(YARD, { by: 'producer', ...range })).toEqual(
          listed.map((i) => all[i]),
        )
        expect(await archive.after(YARD, null, 9)).toEqual(all)
        const byServer = { from: epochMs(T), to: epochMs(T + 1e9), limit: 9 }
        expect(await archive.list(YARD, { by: 'server', ...byServer })).toEqual(all)
      })

      test('overlapping sessions all stay where they begin at other times', async () => {
        const first = await fill(every2s(3))
        const second = await fill(
          [1, 3, 5].map((s) => ({ at: T + 60_000, producerAt: T + s * 1000 })),
        )
        const range = { by: 'producer', from: epochMs(T), to: epochMs(T + 7000), limit: 9 } as const

        const listed = await archive.list(YARD, range)

        const [a, b, c] = first
        const [d, e, f] = second
        expect(numbersOf(listed)).toEqual(numbersOf([a!, d!, b!, e!, c!, f!]))
      })

      test('a stream without media for months answers from both sides of them', async () => {
        const later = T + 120 * 86_400_000
        retentionMs = 200 * 24 * HOUR_MS
        const before = await fill(every2s(2))
        const after = await fill(every2s(2, later))
        await reopen()
        const list = (from: number, to: number) =>
          archive.list(YARD, { by: 'producer', from: epochMs(from), to: epochMs(to), limit: 9 })

        expect(await list(T, later + 10_000)).toEqual([...before, ...after])
        expect(await list(T + 10_000, later)).toEqual([])
        expect(await archive.after(YARD, before[1]!.fragmentNumber, 1)).toEqual([after[0]])
      })

      function expectedIn(
        all: readonly Fragment[],
        range: { by: 'producer' | 'server'; from: number; to: number; limit: number },
      ) {
        const startOf = (f: Fragment) => f[`${range.by}Timestamp`]
        const lengthOf = (f: Fragment) => (range.by === 'producer' ? f.durationMs : f.arrivalSpanMs)
        const isReplaced = (f: Fragment) =>
          range.by === 'producer' &&
          all.some((g) => startOf(g) === startOf(f) && g.fragmentNumber > f.fragmentNumber)
        return all
          .filter((f) => !isReplaced(f))
          .filter(
            (f) => startOf(f) < range.to && startOf(f) + Math.max(lengthOf(f), 1) > range.from,
          )
          .sort((a, b) => startOf(a) - startOf(b) || (a.fragmentNumber < b.fragmentNumber ? -1 : 1))
          .slice(0, range.limit)
      }
    })

    describe('retention', () => {
      test.each([
        { rule: 'shows what is younger', ageMs: HOUR_MS - 1, hours: 1, visible: true },
        { rule: 'hides at the retention exactly', ageMs: HOUR_MS, hours: 1, visible: false },
        { rule: 'hides behind a live buffer at 0', ageMs: 300_000, hours: 0, visible: false },
        { rule: 'shows ten years', ageMs: 87_599 * HOUR_MS, hours: 87_600, visible: true },
        { rule: 'hides after ten years', ageMs: 87_600 * HOUR_MS, hours: 87_600, visible: false },
        { rule: 'hides a stream that nobody knows', ageMs: 0, hours: null, visible: false },
      ])('$rule', async ({ ageMs, hours, visible }) => {
        const at = engine.clock.now() - ageMs
        const [fragment] = await fill([{ at }])
        retentionMs = hours === null ? null : hours * HOUR_MS
        const { fragmentNumber } = fragment!
        const range = { by: 'server', from: epochMs(at), to: epochMs(at + 1), limit: 1 } as const

        const expected = visible ? [fragment] : []
        expect(await archive.list(YARD, range)).toEqual(expected)
        expect(await archive.after(YARD, null, 1)).toEqual(expected)
        expect(await archive.newest(YARD, 1)).toEqual(expected)
        expect(await archive.find(YARD, fragmentNumber)).toEqual(expected[0] ?? null)
        const read = archive.read(fragment!)
        if (visible) await expect(read).resolves.toMatchObject({ tracks: [VIDEO_TRACK] })
        else
          await expect(read).rejects.toMatchObject({ kind: 'not-found', code: 'FragmentNotFound' })
      })

      test('keeps a live buffer at 0, of which no range is listed', async () => {
        const at = engine.clock.now() - 299_999
        const [fragment] = await fill([{ at }])
        retentionMs = 0

        expect(await archive.after(YARD, null, 1)).toEqual([fragment])
        expect(await archive.newest(YARD, 1)).toEqual([fragment])
        expect(await archive.find(YARD, fragment!.fragmentNumber)).toEqual(fragment)
        const range = { by: 'server', from: epochMs(at), to: epochMs(at + 1), limit: 1 } as const
        expect(await archive.list(YARD, range)).toEqual([])
      })

      test('shows again what is still there when it is raised in time', async () => {
        const [fragment] = await fill([{ at: engine.clock.now() - 2 * HOUR_MS }])
        retentionMs = HOUR_MS
        expect(await archive.newest(YARD, 1)).toEqual([])
        retentionMs = 3 * HOUR_MS
        expect(await archive.newest(YARD, 1)).toEqual([fragment])
      })
    })

    describe('waitAfter', () => {
      test('resolves at once when there is a later one', async () => {
        const [first] = await fill(every2s(2))

        await archive.waitAfter(YARD, null, signal())
        await archive.waitAfter(YARD, first!.fragmentNumber, signal())
      })

      test('resolves when one is persisted, for everyone who waits', async () => {
        const [first] = await fill(every2s(1))
        const waits = [
          archive.waitAfter(YARD, first!.fragmentNumber, signal()),
          archive.waitAfter(YARD, first!.fragmentNumber, signal()),
          archive.waitAfter(GATE, null, signal()),
        ]

        const [second] = await fill([{ at: T + 2000 }])
        await fill([{ at: T }], GATE)
        await Promise.all(waits)

        expect(await archive.after(YARD, first!.fragmentNumber, 9)).toEqual([second])
      })

      test('rejects with the signal’s reason', async () => {
        const stop = new AbortController()
        const wait = archive.waitAfter(YARD, null, stop.signal)
        const reason = new Error('viewer left')
        stop.abort(reason)

        await expect(wait).rejects.toBe(reason)
        await expect(archive.waitAfter(YARD, null, stop.signal)).rejects.toBe(reason)
      })

      test('rejects when the archive closes', async () => {
        const wait = archive.waitAfter(YARD, null, signal())
        const rejected = expect(wait).rejects.toMatchObject({ code: 'ArchiveClosed' })
        await archive.usage(YARD)
        await archive[Symbol.asyncDispose]()

        await rejected
      })

      const signal = () => new AbortController().signal
    })

    describe('usage and removal', () => {
      test('usage counts chunks and bytes and knows both ends', async () => {
        expect(await archive.usage(YARD)).toEqual({
          chunks: 0,
          bytes: 0,
          oldest: null,
          newest: null,
        })
        const all = await fill(every2s(50))
        const closed = await archive.usage(YARD)
        const media = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

        expect(closed).toMatchObject({ oldest: T, newest: T + 98_000 })
        expect(closed.chunks).toBeGreaterThan(3)
        expect(closed.bytes).toBeGreaterThan(media)
        await reopen()
        expect(await archive.usage(YARD)).toEqual(closed)
      })

      test('a removed stream is gone, and its name may be used again', async () => {
        const all = await fill(every2s(40))
        await fill(every2s(1), GATE)
        await archive.remove(YARD)

        expect(await archive.after(YARD, null, 99)).toEqual([])
        expect(await archive.usage(YARD)).toMatchObject({ chunks: 0, bytes: 0 })
        await expect(archive.read(all[0]!)).rejects.toMatchObject({ code: 'FragmentNotFound' })
        expect(await archive.newest(GATE, 9)).toHaveLength(1)
        await reopen()
        expect(await archive.newest(YARD, 9)).toEqual([])
        expect(await fill(every2s(1))).toMatchObject([{ sequence: 0 }])
      })

      test('a stream that is being written is not removed', async () => {
        await using writer: FragmentWriter = await archive.openWriter(YARD)
        void writer

        await expect(archive.remove(YARD)).rejects.toMatchObject({ code: 'StreamBusy' })
      })
    })
  })
}
