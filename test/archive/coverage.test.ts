import { describe, expect, test } from 'vitest'
import type { Archive, Coverage } from '../../src/archive/index.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import { explainGap, joinPieces } from '../../src/archive/coverage.ts'
import { GapNotes } from '../../src/archive/gap-mark.ts'
import { epochMs } from '../../src/domain/time.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { appendFragment, writeFragment, type MadeFragment } from '../support/archive-media.ts'

const DAY_MS = 86_400_000

/** Fragments of 2 s behind each other. */
function run(from: number, count: number, change: Partial<MadeFragment> = {}): MadeFragment[] {
  return Array.from({ length: count }, (_, i) => ({ at: from + i * 2000, ...change }))
}

async function session(archive: Archive, fragments: readonly MadeFragment[]): Promise<void> {
  await using writer = await archive.openWriter(YARD)
  for (const [i, fragment] of fragments.entries()) {
    await writeFragment(writer, { discontinuity: i === 0, ...fragment })
  }
}

const shape = ({ spans, gaps }: Coverage) => ({
  spans: spans.map(({ from, to, fragments }) => [from - T, to - T, fragments]),
  gaps: gaps.map(({ from, to, reason }) => [from - T, to - T, reason]),
})

async function open(now: number) {
  const place = await archiveWorkplace()
  place.retention.ms = 400 * DAY_MS
  place.clock.advance(now)
  const reopen = async (archive: Archive) => {
    await archive[Symbol.asyncDispose]()
    return place.open()
  }
  return { ...place, archive: await place.open(), reopen }
}

const cover = (
  archive: Archive,
  from: number,
  to: number,
  by: 'producer' | 'server' = 'producer',
) => archive.coverage(YARD, { by, from: epochMs(T + from), to: epochMs(T + to) })

describe('coverage', () => {
  test.each(['producer', 'server'] as const)('joins chunks and sessions by %s time', async (by) => {
    const { archive, reopen } = await open(DAY_MS)
    await session(archive, run(T, 600)) // three chunks of ten minutes
    await session(archive, run(T + 1_200_000, 5)) // at once after it
    const expected = {
      spans: [[0, 1_210_000, 605]],
      gaps: [[1_210_000, 1_300_000, 'no-publisher']],
    }

    expect(shape(await cover(archive, 0, 1_300_000, by))).toEqual(expected)
    const again = await reopen(archive)
    expect(shape(await cover(again, 0, 1_300_000, by))).toEqual(expected)
  })

  test('is cut at the range, counts what reaches into it, and ends with now', async () => {
    const { archive } = await open(20_000)
    await session(archive, run(T, 5))

    const coverage = await cover(archive, 1000, DAY_MS)

    expect(shape(coverage)).toEqual({
      spans: [[1000, 10_000, 5]],
      gaps: [[10_000, 20_000, 'no-publisher']],
    })
    const all = await archive.after(YARD, null, 9)
    const bytes = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    expect(coverage.spans[0]!.bytes).toBe(bytes)
  })

  test('says when nobody was connected, for months and across restarts', async () => {
    const { archive, reopen } = await open(200 * DAY_MS)
    await session(archive, run(T, 3))
    const second = await reopen(archive)
    await session(second, run(T + 100 * DAY_MS, 3))
    const third = await reopen(second)

    expect(shape(await cover(third, -5000, 100 * DAY_MS + 9000))).toEqual({
      spans: [
        [0, 6000, 3],
        [100 * DAY_MS, 100 * DAY_MS + 6000, 3],
      ],
      gaps: [
        [-5000, 0, 'no-publisher'],
        [6000, 100 * DAY_MS, 'no-publisher'],
        [100 * DAY_MS + 6000, 100 * DAY_MS + 9000, 'no-publisher'],
      ],
    })
    expect(shape(await cover(third, 10 * DAY_MS, 11 * DAY_MS)).gaps).toEqual([
      [10 * DAY_MS, 11 * DAY_MS, 'no-publisher'],
    ])
  })

  test('tells a jump of media time from a session’s end', async () => {
    const { archive } = await open(DAY_MS)
    await session(archive, [
      ...run(T, 3),
      ...run(T + 6000, 3).map(({ at }, i) => {
        return { at, producerAt: at + 60_000, discontinuity: i === 0 }
      }),
    ])

    expect(shape(await cover(archive, 0, 72_000)).gaps).toEqual([[6000, 66_000, 'media-time-jump']])
    expect(shape(await cover(archive, 0, 12_000, 'server')).gaps).toEqual([])
  })

  test('a fragment that the disk was too slow for leaves a gap that says so', async () => {
    const { archive, reopen } = await open(DAY_MS)
    {
      await using writer = await archive.openWriter(YARD)
      for (const fragment of run(T, 3)) await writeFragment(writer, fragment)
      const tooMuch = { at: T + 6000, frames: 2, frameBytes: 1 << 20 }
      expect(() => appendFragment(writer, tooMuch)).toThrow()
      for (const fragment of run(T + 8000, 2)) await writeFragment(writer, fragment)
      expect(shape(await cover(archive, 0, 12_000)).gaps).toEqual([[6000, 8000, 'queue-full']])
    }
    const again = await reopen(archive)
    for (const by of ['producer', 'server'] as const) {
      expect(shape(await cover(again, 0, 12_000, by)).gaps).toEqual([[6000, 8000, 'queue-full']])
    }
  })

  test('a failed write and the end of the session after it are told apart', async () => {
    const place = await open(60_000)
    let failing = false
    const files = {
      ...nodeChunkStore,
      open: async (...args: Parameters<typeof nodeChunkStore.open>) => {
        const file = await nodeChunkStore.open(...args)
        return {
          read: (at: number, length: number) => file.read(at, length),
          size: () => file.size(),
          truncate: (length: number) => file.truncate(length),
          close: () => file.close(),
          sync: () => file.sync(),
          write: (parts: readonly Uint8Array[], at: number) =>
            failing ? Promise.reject(new Error('EIO')) : file.write(parts, at),
        }
      },
    }
    await place.archive[Symbol.asyncDispose]()
    const archive = await place.open({ files })
    {
      await using writer = await archive.openWriter(YARD)
      for (const fragment of run(T, 3)) await writeFragment(writer, fragment)
      failing = true
      await expect(writeFragment(writer, { at: T + 6000 })).rejects.toThrow()
      failing = false
    }
    place.clock.advance(60_000)

    expect(shape(await cover(archive, 0, 100_000)).gaps).toEqual([
      [6000, 60_000, 'write-failed'],
      [60_000, 100_000, 'no-publisher'],
    ])
  })

  test('tells the service’s death from the time after its start', async () => {
    const { archive, clock, open: start } = await open(6000)
    const writer = await archive.openWriter(YARD)
    for (const fragment of run(T, 3)) await writeFragment(writer, fragment)
    clock.advance(60_000)

    const next = await start() // nothing of the first was closed
    clock.advance(30_000)

    for (const by of ['producer', 'server'] as const) {
      expect(shape(await cover(next, 0, DAY_MS, by))).toEqual({
        spans: [[0, 6000, 3]],
        gaps: [
          [6000, 66_000, 'crash'],
          [66_000, 96_000, 'no-publisher'],
        ],
      })
    }
  })

  test('is no gap while a session is on and its newest fragment is on its way', async () => {
    const { archive, clock } = await open(0)
    await using writer = await archive.openWriter(YARD)
    for (const fragment of run(T, 3)) await writeFragment(writer, fragment)
    clock.advance(8000)
    expect(shape(await cover(archive, 0, DAY_MS)).gaps).toEqual([])
    clock.advance(120_000)
    expect(shape(await cover(archive, 0, DAY_MS)).gaps).toEqual([[6000, 128_000, 'unknown']])
  })

  test('what is past the retention says so, and its marks go', async () => {
    const { archive, clock, retention, meta } = await open(0)
    await session(archive, run(T, 3))
    await session(archive, run(T + 60_000, 3))
    retention.ms = 60 * MINUTE_MS
    clock.advance(60 * MINUTE_MS + 30_000)
    expect(shape(await cover(archive, 0, 70_000, 'server'))).toEqual({
      spans: [[60_000, 66_000, 3]],
      gaps: [
        [0, 30_001, 'expired'],
        [30_001, 60_000, 'no-publisher'],
        [66_000, 70_000, 'no-publisher'],
      ],
    })
    clock.advance(DAY_MS)
    await archive.expire()
    const left: unknown[] = []
    for await (const { key } of meta.entries({ prefix: ['archive'] })) left.push(key[1])
    expect(left).toEqual(['gap', 'stream'])
  })

  test('a stream that never had media, and one that nobody knows', async () => {
    const { archive, retention } = await open(10_000)
    expect(shape(await cover(archive, 0, 99_000)).gaps).toEqual([[0, 10_000, 'no-publisher']])
    retention.ms = null
    expect(await cover(archive, 0, 99_000)).toEqual({ spans: [], gaps: [] })
  })

  test('a live buffer covers nothing', async () => {
    const { archive, retention } = await open(6000)
    await session(archive, run(T, 3))
    retention.ms = 0

    expect(shape(await cover(archive, 0, 99_000))).toEqual({
      spans: [],
      gaps: [[0, 6000, 'expired']],
    })
  })

  test('counts what replaces a fragment, and not what is replaced', async () => {
    const { archive } = await open(DAY_MS)
    await session(archive, run(T, 400))
    await session(
      archive,
      run(T + 800_000, 10).map(({ at }, i) => ({ at, producerAt: T + 100_000 + i * 2000 })),
    )

    expect(shape(await cover(archive, 0, 800_000)).spans).toEqual([[0, 800_000, 400]])
    expect(shape(await cover(archive, 0, 820_000, 'server')).spans).toEqual([[0, 820_000, 410]])
  })
})

describe('gap notes', () => {
  const at = (server: number, producer = server) => ({ server, producer })

  test('losses in a row are one gap', () => {
    const notes = new GapNotes()
    for (let i = 0; i < 5; i++) {
      notes.begun(at(i * 1000))
      notes.lost({ reason: 'queue-full', ...at(i * 1000) })
    }
    notes.begun(at(5000))

    expect(notes.record.closed).toEqual([
      { reason: 'queue-full', server: { from: 0, to: 5000 }, producer: { from: 0, to: 5000 } },
    ])
    expect(notes.toStore).not.toBeNull()
    notes.stored(notes.record)
    expect(notes.toStore).toBeNull()
  })

  test('what comes while a record is stored waits for the next one', () => {
    const notes = new GapNotes()
    notes.ended({ reason: 'no-publisher', ...at(0) }, 0)
    const record = notes.toStore!
    notes.begun(at(1000))
    notes.stored(record)

    expect(notes.toStore).toMatchObject({ open: null, closed: [{ server: { from: 0, to: 1000 } }] })
  })

  test('a producer whose clock jumped by years between sessions leaves no gap of years', () => {
    const notes = new GapNotes()
    notes.ended({ reason: 'no-publisher', ...at(0) }, 0)
    notes.begun(at(5000, 1e12))

    expect(notes.record.closed[0]!.producer).toEqual({ from: 0, to: 65_000 })
  })

  test('keeps a bounded number of marks', () => {
    const notes = new GapNotes()
    for (let i = 0; i < 1000; i++) {
      notes.begun(at(i * 10))
      notes.lost({ reason: 'lost', ...at(i * 10 + 5) })
    }
    expect(notes.record.closed).toHaveLength(256)
    expect(notes.record.closed.at(-1)!.server).toEqual({ from: 9985, to: 9990 })
  })
})

describe('explained gaps', () => {
  const mark = (reason: 'crash' | 'lost' | 'no-publisher', from: number, to: number) => {
    return { reason, server: { from, to }, producer: { from, to } }
  }
  const explain = (from: number, to: number, closed: ReturnType<typeof mark>[], cutoff = -1e9) =>
    explainGap(
      { from, to },
      { by: 'server', notes: { closed, open: null }, cutoff, unexplained: { reason: 'unknown' } },
    ).map((gap) => [gap.from, gap.to, gap.reason])

  test.each([
    { rule: 'none', marks: [], parts: [[0, 100_000, 'unknown']] },
    { rule: 'one for all', marks: [mark('crash', -5, 1e6)], parts: [[0, 100_000, 'crash']] },
    {
      rule: 'the narrower one',
      marks: [mark('no-publisher', 0, 100_000), mark('lost', 40_000, 50_000)],
      parts: [
        [0, 40_000, 'no-publisher'],
        [40_000, 50_000, 'lost'],
        [50_000, 100_000, 'no-publisher'],
      ],
    },
    {
      rule: 'a sliver with what is beside it, a longer rest on its own',
      marks: [mark('lost', 1500, 50_000)],
      parts: [
        [0, 50_000, 'lost'],
        [50_000, 100_000, 'unknown'],
      ],
    },
    {
      rule: 'one that only touches it does not count',
      marks: [mark('lost', -10, 0), mark('crash', 100_000, 200_000)],
      parts: [[0, 100_000, 'unknown']],
    },
  ])('$rule', ({ marks, parts }) => {
    expect(explain(0, 100_000, marks)).toEqual(parts)
  })

  test('the retention goes before every mark', () => {
    expect(explain(0, 10_000, [mark('lost', 1, 9000)], 4999)).toEqual([
      [0, 5000, 'expired'],
      [5000, 10_000, 'lost'],
    ])
  })

  test('pieces that lie in one another are one span', () => {
    const pieces = [
      { from: 0, to: 100, fragments: 1, bytes: 1 },
      { from: 10, to: 20, fragments: 1, bytes: 1 },
      { from: 150, to: 160, fragments: 1, bytes: 1 },
      { from: 211, to: 220, fragments: 1, bytes: 1 },
    ]
    const { spans, gaps } = joinPieces(pieces, { by: 'producer', from: -10, to: 300 })

    expect(spans.map(({ from, to, fragments }) => [from, to, fragments])).toEqual([
      [0, 160, 3],
      [211, 220, 1],
    ])
    expect(gaps.map(({ from, to }) => [from, to])).toEqual([
      [-10, 0],
      [160, 211],
      [220, 300],
    ])
  })
})
