import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { rebuildIndex, type Coverage } from '../../src/archive/index.ts'
import { toSidecarPath } from '../../src/archive/chunk-layout.ts'
import { JOINED_WITHIN_MS, type ClockName } from '../../src/archive/chunk-span.ts'
import { parseFragmentNumber, type Fragment } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import {
  appendFragment,
  HEADER,
  randomNumbers,
  VIDEO_TRACK,
  writeFragment,
} from '../support/archive-media.ts'
import { archiveWorkplace, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'
import { toMatroskaHeader } from '../../src/media/matroska/writer.ts'

// Random histories of a stream against a model of it: a list of what was acknowledged. Sessions come
// and go, both clocks jump, fragments are lost, given up, sent again and deleted, media expires, the
// archive is opened anew, also without its index. Fixed seeds: a failure comes back.

const MINUTE_MS = 60_000
const HEADERS = [HEADER, toMatroskaHeader([{ ...VIDEO_TRACK, codecPrivate: HEADER }])]

test.each([1, 2, 8, 21])(
  'history %i: both clocks, numbers and coverage agree with a plain list',
  async (seed) => {
    const random = randomNumbers(seed)
    const place = await archiveWorkplace()
    place.retention.ms = (30 + random(90)) * MINUTE_MS
    const open = () => place.open({}, { maxChunkBytes: 4_000 + random(20_000) })
    let archive = await open()
    let written: readonly Fragment[] = []
    let acknowledged = 0
    const visible = () =>
      written.filter((f) => f.serverTimestamp > place.clock.now() - place.retention.ms!)
    let producerLead = 0
    let serverLead = 0

    for (let session = 0; session < 12; session++) {
      await write()
      await check()
      if (random(3) === 0) await archive.expire()
      if (random(3) === 0) {
        await archive[Symbol.asyncDispose]()
        if (random(2) === 0) await loseIndex()
        archive = await open()
      }
      if (random(2) === 0) await deleteRange()
      await check()
      place.clock.advance([0, 500, 5000, 10 * MINUTE_MS, 40 * MINUTE_MS][random(5)]!)
    }

    /** Of the catalogue only where numbering goes on is left; every sidecar is gone. */
    async function loseIndex(): Promise<void> {
      const keys = []
      for await (const { key } of place.meta.entries({ prefix: ['archive'] })) {
        if (key[1] !== 'stream') keys.push(key)
      }
      await place.meta.commit({ deletes: keys })
      for (const path of await chunkFiles(place.media)) await rm(toSidecarPath(path))
      const { findings } = await rebuildIndex({ directory: place.media, meta: place.meta })
      expect(findings).toEqual([])
    }

    async function deleteRange(): Promise<void> {
      const by = random(2) === 0 ? 'producer' : 'server'
      const about = written[random(written.length)]?.[`${by}Timestamp`] ?? T
      const from = about + random(4000) - 2000
      const to = from + [1, 3000, 20_000][random(3)]!
      await archive.deleteRange(YARD, { by, from, to })
      written = written.filter((f) => spanOf(f, by).from >= to || spanOf(f, by).to <= from)
    }

    async function write(): Promise<void> {
      await using writer = await archive.openWriter(YARD)
      const header = HEADERS[random(2)]!
      const count = 1 + random(40)
      for (let i = 0; i < count; i++) {
        if (random(12) === 0) {
          producerLead += [1000, -3000, 86_400_000, -86_400_000, 60_000][random(5)]!
        }
        const durationMs = [2000, 2000, 2000, 1960, 0, 31_000][random(6)]!
        const last = written.at(-1)
        const isSentAgain = last !== undefined && random(10) === 0
        const again = isSentAgain ? written[random(written.length)]!.producerTimestamp : null
        const at = place.clock.now() + serverLead
        const made = {
          ...{ at, durationMs, header, frames: 1 + random(4), discontinuity: i === 0 },
          producerAt: again ?? Math.max(at + producerLead, 0),
        }
        if (random(15) === 0) {
          appendFragment(writer, made)
          writer.abandon('test')
        } else {
          written = [...written, await writeFragment(writer, made)]
          acknowledged++
        }
        if (random(60) === 0) await deleteRange() // also of the chunk that grows
        place.clock.advance(durationMs + [0, 40, 0, 1600][random(4)]!)
        if (random(40) === 0) serverLead = [0, -30, 20][random(3)]! * MINUTE_MS // ours is set
      }
    }

    async function check(): Promise<void> {
      const all = visible()
      const numbers = (fragments: readonly Fragment[]) => fragments.map((f) => f.fragmentNumber)
      expect(numbers(await archive.newest(YARD, 5))).toEqual(numbers(all.slice(-5)))
      const from = written[random(written.length)]
      if (from !== undefined) {
        const rest = all.filter((f) => f.fragmentNumber > from.fragmentNumber)
        const found = await archive.after(YARD, from.fragmentNumber, 7)
        expect(numbers(found)).toEqual(numbers(rest.slice(0, 7)))
      }
      for (let i = 0; i < 12; i++) {
        const by = random(2) === 0 ? 'producer' : 'server'
        const about = written[random(written.length)]?.[`${by}Timestamp`] ?? T
        const start = about + random(6000) - 3000
        const length = [1, 3000, 60_000, 3_600_000, 2e8][random(5)]!
        const range = { by, from: epochMs(start), to: epochMs(start + length) } as const
        const limit = [1, 5, 10_000][random(3)]!
        const expected = listed(all, range)

        const list = await archive.list(YARD, { ...range, limit })
        expect(numbers(list), `${JSON.stringify(range)}`).toEqual(numbers(expected.slice(0, limit)))
        checkCoverage(await archive.coverage(YARD, range), expected, range)
      }
    }

    function checkCoverage(coverage: Coverage, expected: readonly Fragment[], range: Range): void {
      const { spans, gaps } = coverage
      const told = JSON.stringify({ range, coverage })
      const plain = spansOf(expected, range)
      expect(
        spans.map(({ from, to, fragments, bytes }) => ({ from, to, fragments, bytes })),
        told,
      ).toEqual(plain)
      // Spans and gaps follow each other without a hole, up to the end or up to what has happened.
      const parts = [...spans, ...gaps].toSorted((a, b) => a.from - b.from)
      let at: number = range.from
      for (const part of parts) {
        expect(part.from, told).toBe(at)
        expect(part.to, told).toBeGreaterThan(part.from)
        at = part.to
      }
      const newest = Math.max(range.from, ...plain.map(({ to }) => to))
      const happened = Math.min(range.to, Math.max(place.clock.now(), newest))
      expect(at, told).toBe(Math.max(happened, range.from))
    }
    expect(acknowledged).toBeGreaterThan(50)
  },
  30_000,
)

type Range = { readonly by: ClockName; readonly from: number; readonly to: number }

function spanOf(f: Fragment, by: ClockName) {
  const from = f[`${by}Timestamp`]
  return { from, to: from + Math.max(by === 'producer' ? f.durationMs : f.arrivalSpanMs, 1) }
}

/** What a list by this clock is, found by looking at every fragment. */
function listed(all: readonly Fragment[], { by, from, to }: Range): readonly Fragment[] {
  const counter = (f: Fragment) => parseFragmentNumber(f.fragmentNumber)!.counter
  const newestFrom = new Map<number, Fragment>()
  for (const f of all) {
    const key = by === 'producer' ? f.producerTimestamp : counter(f)
    const rival = newestFrom.get(key)
    if (rival === undefined || counter(rival) < counter(f)) newestFrom.set(key, f)
  }
  return [...newestFrom.values()]
    .filter((f) => spanOf(f, by).from < to && spanOf(f, by).to > from)
    .sort((a, b) => spanOf(a, by).from - spanOf(b, by).from || counter(a) - counter(b))
}

function spansOf(fragments: readonly Fragment[], { by, from, to }: Range) {
  const spans: { from: number; to: number; fragments: number; bytes: number }[] = []
  for (const fragment of fragments) {
    const span = spanOf(fragment, by)
    const last = spans.at(-1)
    if (last !== undefined && span.from - last.to <= JOINED_WITHIN_MS[by]) {
      last.to = Math.max(last.to, span.to)
      last.fragments++
      last.bytes += fragment.sizeBytes
    } else {
      spans.push({ ...span, fragments: 1, bytes: fragment.sizeBytes })
    }
  }
  return spans.map((span) => ({
    ...span,
    from: Math.max(span.from, from),
    to: Math.min(span.to, to),
  }))
}
