import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { rebuildIndex, type Archive } from '../../src/archive/index.ts'
import type { ClockName } from '../../src/archive/chunk-span.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import type { MetaKey } from '../../src/platform/meta-store.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'

// Every index file and the catalogue go; what is answered then, from the Matroska files alone.

const GATE = toStreamId('gate', 1)
const CLOCKS = ['server', 'producer'] as const
const at = (seconds: number) => T + seconds * 1000
const range = (by: ClockName, from: number, to: number) => ({
  ...{ by, from: epochMs(at(from)), to: epochMs(at(to)) },
})

type Session = { readonly from: number; readonly count: number; readonly producerFrom?: number }

async function record(archive: Archive, streamId: typeof YARD, session: Session): Promise<void> {
  const { from, count, producerFrom = from } = session
  await using writer = await archive.openWriter(streamId)
  for (let i = 0; i < count; i++) {
    const times = { at: at(from + i * 2), producerAt: at(producerFrom + i * 2) }
    await writeFragment(writer, { ...times, frameBytes: 40 + from, discontinuity: i === 0 })
  }
}

/**
 * Two streams, 20 minutes: a gap, fragments that were sent again, sessions that overlap with other starts, a
 * producer a day behind, a clock of ours that is set back, deleted ranges (of a chunk and a whole one), and a
 * hold over what is past the retention otherwise.
 */
async function recorded() {
  const place = await archiveWorkplace()
  place.retention.ms = 60 * MINUTE_MS
  const archive = await place.open()
  await record(archive, YARD, { from: 0, count: 6 })
  await record(archive, YARD, { from: 60, count: 6 })
  await record(archive, YARD, { from: 100, count: 6, producerFrom: 60 }) // again
  await record(archive, YARD, { from: 140, count: 4, producerFrom: 65 }) // overlaps them
  await record(archive, YARD, { from: 200, count: 4, producerFrom: 200 - 86_400 })
  await record(archive, YARD, { from: 170, count: 3 })
  await record(archive, YARD, { from: 300, count: 8 })
  await record(archive, GATE, { from: 0, count: 5 })
  await record(archive, GATE, { from: 1200, count: 5 })
  place.clock.advance(21 * MINUTE_MS)
  await archive.deleteRange(YARD, range('server', 304, 307)) // inside a chunk
  await archive.deleteRange(YARD, range('producer', 170, 176)) // a whole one
  await archive.hold(GATE, range('server', 2, 5), { name: 'case', reason: 'asked for' })
  place.retention.ms = 17 * MINUTE_MS // what began in the first four minutes is over it
  await archive.expire()
  return { ...place, archive }
}

async function answers(archive: Archive) {
  const found = new Map<string, unknown>()
  for (const streamId of [YARD, GATE]) {
    const all = await archive.after(streamId, null, 999)
    found.set(`${streamId} after`, all)
    found.set(`${streamId} newest`, await archive.newest(streamId, 999))
    found.set(`${streamId} usage`, await archive.usage(streamId))
    for (const by of CLOCKS) {
      for (const [from, to] of [
        [-90_000, 2000],
        [0, 12],
        [66, 67],
        [305, 306],
        [200, 1300],
      ] as const) {
        const asked = range(by, from, to)
        const name = `${streamId} by ${by} ${from} to ${to}`
        found.set(`${name}: list`, await archive.list(streamId, { ...asked, limit: 999 }))
        const { spans, gaps } = await archive.coverage(streamId, asked)
        found.set(`${name}: spans`, spans)
        const lengthOf = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0)
        found.set(`${name}: length of gaps`, lengthOf)
      }
    }
    for (const fragment of all) {
      const { fragmentNumber } = fragment
      found.set(`${fragmentNumber} found`, await archive.find(streamId, fragmentNumber))
      found.set(`${fragmentNumber} read`, await archive.read(fragment))
    }
  }
  return Object.fromEntries(found)
}

const rows = async (
  { meta }: Awaited<ReturnType<typeof recorded>>,
  isOne: (key: MetaKey) => boolean,
) => {
  const keys: MetaKey[] = []
  for await (const { key } of meta.entries({ prefix: ['archive'] })) if (isOne(key)) keys.push(key)
  return keys
}

test('sent again, overlapping, jumping, deleted and held: the same answers after a rebuild', async () => {
  const place = await recorded()
  const expected = await answers(place.archive)
  const held = place.archive.holds()
  expect(expected[`${GATE} after`]).toHaveLength(2 + 5) // what is held, and what is young
  expect(held).toHaveLength(1)
  await place.archive[Symbol.asyncDispose]()
  await place.meta.commit({ deletes: await rows(place, ([, kind]) => kind !== 'hold') })
  for (const path of await chunkFiles(place.media)) await rm(path.replace('.mkv', '.idx'))

  const report = await rebuildIndex({ directory: place.media, meta: place.meta })

  const archive = await place.open()
  expect(report.findings).toEqual([])
  expect(archive.holds()).toEqual(held)
  expect(await answers(archive)).toEqual(expected)
})

test('with the holds lost as well, all is the same but what only they kept in sight', async () => {
  const place = await recorded()
  await place.archive.releaseHold(place.archive.holds()[0]!.id) // as if it had never been
  const expected = await answers(place.archive)
  expect(expected[`${GATE} after`]).toHaveLength(5)
  await place.archive[Symbol.asyncDispose]()
  await place.meta.commit({ deletes: await rows(place, () => true) })
  for (const path of await chunkFiles(place.media)) await rm(path.replace('.mkv', '.idx'))

  await rebuildIndex({ directory: place.media, meta: place.meta })

  const usage = (all: Record<string, unknown>) => ({ ...all, [`${GATE} usage`]: 0 })
  const archive = await place.open()
  expect(usage(await answers(archive))).toEqual(usage(expected))
})
