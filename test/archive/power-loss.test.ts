import { expect, test } from 'vitest'
import { openArchive, type Archive, type ArchiveOptions } from '../../src/archive/index.ts'
import { Catalogue, type ChunkRow } from '../../src/archive/catalogue.ts'
import { toSidecarPath } from '../../src/archive/chunk-layout.ts'
import type { Fragment, FragmentNumber } from '../../src/domain/fragment.ts'
import { toStreamId, type StreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import { fragmentTags, tagsElement, toMatroskaHeader } from '../../src/media/matroska/writer.ts'
import {
  clusterParts,
  fragmentStart,
  randomNumbers,
  VIDEO_TRACK,
  writeFragment,
  type MadeFragment,
} from '../support/archive-media.ts'
import { checkChunkBytes } from '../support/chunk-check.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { PowerLossDisk, type Survival } from '../support/power-loss.ts'

const YARD = toStreamId('yard', 1)
const GATE = toStreamId('gate', 2)
const LANE = toStreamId('lane', 3)
/** Has more fragments in a chunk than rows wait for its sidecar. */
const BARN = toStreamId('barn', 4)
const STREAMS = [YARD, GATE, LANE, BARN]
const T = 1_700_000_000_000
const HOUR_MS = 3_600_000
const DIRECTORY = '/media'
const OTHER_HEADER = toMatroskaHeader([{ ...VIDEO_TRACK, codecPrivate: Uint8Array.of(7) }])
const OPTIONS: ArchiveOptions = {
  retentionMsOf: () => HOUR_MS,
  nameOf: (streamId) => streamId,
  maxQueuedBytes: 1 << 20,
  maxChunkBytes: 80_000,
}

/** What a run did, up to the power cut that ended it. */
class Run {
  readonly clock = new ManualClock(T)
  readonly acknowledged: Fragment[] = []
  /** The bytes of every fragment that was begun. */
  readonly sent = new Map<FragmentNumber, Buffer>()
  readonly removed = new Set<StreamId>()

  open(disk: PowerLossDisk) {
    const { events, metrics, log } = createObserved()
    const { clock } = this
    const deps = { directory: DIRECTORY, meta: disk.meta, files: disk.store, clock }
    return openArchive({ ...deps, events, metrics, log }, OPTIONS)
  }

  /** Writes a fragment whose halves reach the disk one after the other. */
  async write(archive: Archive, streamId: StreamId, made: readonly MadeFragment[]): Promise<void> {
    const writer = await archive.openWriter(streamId)
    const endings: Promise<void>[] = []
    for (const [i, fragment] of made.entries()) {
      try {
        const start = fragmentStart(fragment)
        const fragmentNumber = writer.begin(start)
        const parts = clusterParts(fragment)
        const { producerTags = null } = fragment
        const tags = fragmentTags({ fragmentNumber, ...start })
        this.sent.set(fragmentNumber, Buffer.concat([tags, ...parts, producerTags ?? Buffer.of()]))
        const info = { samples: 2, arrivedAt: start.serverTimestamp }
        writer.append(parts.slice(0, 5), { ...info, producerEnd: epochMs(fragment.at + 800) })
        this.clock.advance(1000)
        await turns(5)
        writer.append(parts.slice(5), { ...info, producerEnd: epochMs(fragment.at + 2000) })
        if (i === 2) {
          writer.abandon('stalled')
          continue
        }
        const ending = writer.end(producerTags).then((persisted) => {
          this.acknowledged.push(persisted)
        })
        ending.catch(() => undefined) // not acknowledged, so not expected
        endings.push(ending)
        if (i % 2 === 1) await ending
      } catch {
        // the power is off
      }
    }
    await Promise.allSettled(endings)
    await writer[Symbol.asyncDispose]()
  }

  async acknowledgeAll(archive: Archive): Promise<void> {
    for (const streamId of STREAMS) {
      this.acknowledged.push(...(await archive.after(streamId, null, 1000)))
    }
  }

  async remove(archive: Archive, streamId: StreamId): Promise<void> {
    this.removed.add(streamId)
    await archive.remove(streamId)
  }
}

/** Lets what is under way go on, by a number of turns of the microtask queue. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}

function fragments(
  count: number,
  from: number,
  frameBytes = (i: number) => 1500 + 5000 * ((i + 1) % 3),
): readonly MadeFragment[] {
  return Array.from({ length: count }, (_, i) => ({
    at: from + i * 2000,
    frameBytes: frameBytes(i),
    ...(i === 1 ? { producerTags: tagsElement([['n', 'x'.repeat(5000)]]) } : {}),
    ...(i === 4 ? { header: OTHER_HEADER } : {}),
  }))
}

/** After the first five, which three headers part, one chunk. */
const BARN_FRAGMENTS = 5 + 17

/** All that changes the disk: starting, writing, rotating, finishing, expiry, removal, restarting. */
async function liveThrough(run: Run, disk: PowerLossDisk): Promise<void> {
  const first = await run.open(disk)
  await Promise.all([
    run.write(first, YARD, fragments(6, T)),
    run.write(first, GATE, fragments(6, T)),
    run.write(first, LANE, fragments(2, T)),
    run.write(
      first,
      BARN,
      fragments(BARN_FRAGMENTS, T, () => 300),
    ),
  ])
  await run.remove(first, LANE)
  await first[Symbol.asyncDispose]()

  run.clock.advance(HOUR_MS - 14_000) // the first chunks are due
  const second = await run.open(disk)
  await second.expire()
  await run.write(second, GATE, fragments(3, run.clock.now()))
  run.clock.advance(HOUR_MS + 60_000) // all is
  await second.expire()
  await run.write(second, GATE, fragments(2, run.clock.now()))
  await second[Symbol.asyncDispose]()
}

/** Lives through all of it, or up to the cut, after which it goes on failing. */
async function liveUntilCut(run: Run, disk: PowerLossDisk): Promise<void> {
  try {
    await liveThrough(run, disk)
  } catch (error) {
    if (!disk.isOff) throw error
  }
}

async function countSteps(): Promise<number> {
  const disk = new PowerLossDisk()
  const run = new Run()
  await liveThrough(run, disk)
  expect(run.acknowledged).toHaveLength(5 + 5 + 2 + 2 + 2 + BARN_FRAGMENTS - 1)
  return disk.steps
}

async function checkInvariants(run: Run, disk: PowerLossDisk): Promise<void> {
  const archive = await run.open(disk)
  try {
    await checkAnswers(run, archive)
    await checkDisk(disk)
    await checkNumbering(run, archive)
  } finally {
    await archive[Symbol.asyncDispose]()
  }
  await checkDisk(disk)
}

/** Invariants 1 and 4: what was acknowledged is there, byte for byte, and nothing else is wrong. */
async function checkAnswers(run: Run, archive: Archive): Promise<void> {
  const cutoff = run.clock.now() - HOUR_MS
  for (const fragment of run.acknowledged) {
    const { streamId, serverTimestamp, fragmentNumber } = fragment
    if (run.removed.has(streamId) || serverTimestamp <= cutoff) continue
    expect(await archive.find(streamId, fragmentNumber)).toEqual(fragment)
  }
  for (const streamId of STREAMS) {
    const all = await archive.after(streamId, null, 1000)
    const numbers = all.map(({ fragmentNumber }) => fragmentNumber)
    expect(numbers.toSorted()).toEqual(numbers)
    const first = all[0]?.sequence ?? 0
    expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, i) => first + i))
    for (const fragment of all) {
      const { bytes } = await archive.read(fragment)
      const sent = run.sent.get(fragment.fragmentNumber)!
      if (fragment.recovered) expect(bytes.length).toBeLessThanOrEqual(sent.length)
      else expect(Buffer.compare(bytes, sent)).toBe(0)
    }
  }
}

/** Invariants 2 and 3: rows and files are the same chunks, and every chunk is Matroska. */
async function checkDisk(disk: PowerLossDisk): Promise<void> {
  const catalogue = new Catalogue(disk.meta)
  const rows: ChunkRow[] = []
  for (const streamId of await catalogue.streams()) {
    const ofStream: ChunkRow[] = []
    for await (const row of catalogue.chunksFrom(streamId, 0)) ofStream.push(row)
    const finished = ofStream.filter((row) => row.state === 'finished')
    const { chunks, bytes } = catalogue.stream(streamId)
    expect(finished).toHaveLength(chunks)
    expect(finished.reduce((sum, row) => sum + row.bytes, 0)).toBe(bytes)
    rows.push(...ofStream)
  }
  for (const row of rows) {
    const path = `${DIRECTORY}/${row.path}`
    const bytes = disk.bytesOf(path)
    checkChunkBytes(path, bytes)
    if (row.state === 'finished') expect(bytes).toHaveLength(row.bytes)
  }
  const known = new Set(rows.map(({ path }) => `${DIRECTORY}/${path}`))
  for await (const path of disk.store.list(DIRECTORY)) {
    const isKnown = known.has(path) || [...known].some((chunk) => toSidecarPath(chunk) === path)
    expect(isKnown, `${path} has a row`).toBe(true)
  }
}

/** Invariant 4: what is written next has a higher number than all that was acknowledged. */
async function checkNumbering(run: Run, archive: Archive): Promise<void> {
  for (const streamId of [YARD, GATE, BARN]) {
    const writer = await archive.openWriter(streamId)
    const next = await writeFragment(writer, { at: run.clock.now() })
    await writer[Symbol.asyncDispose]()
    for (const { streamId: other, fragmentNumber } of run.acknowledged) {
      if (other === streamId) expect(next.fragmentNumber > fragmentNumber).toBe(true)
    }
  }
}

const SURVIVALS: readonly { readonly rule: string; readonly survival: () => Survival }[] = [
  { rule: 'nothing unsynced', survival: () => () => false },
  { rule: 'all of it', survival: () => () => true },
  ...[5, 77, 20_261].map((seed) => ({
    rule: `any part of it (seed ${seed})`,
    survival: () => {
      const random = randomNumbers(seed)
      return () => random(2) === 0
    },
  })),
]

test.each(SURVIVALS)(
  'the power may go at any step when $rule survives',
  async ({ survival }) => {
    const steps = await countSteps()
    expect(steps).toBeGreaterThan(100)

    for (let step = 1; step <= steps; step++) {
      const disk = new PowerLossDisk(survival())
      disk.cutAt = step
      const run = new Run()
      await liveUntilCut(run, disk)
      try {
        await checkInvariants(run, disk.afterPowerCut())
      } catch (error) {
        throw new Error(`power cut at step ${step}: ${disk.operations.at(-1)}`, { cause: error })
      }
    }
  },
  180_000,
)

test('the power may go again during recovery, and behind it', async () => {
  const steps = await countSteps()
  const random = randomNumbers(9)
  const survives = () => random(2) === 0
  let cutsInRecovery = 0

  for (let step = 1; step <= steps; step++) {
    const disk = new PowerLossDisk(survives)
    disk.cutAt = step
    const run = new Run()
    await liveUntilCut(run, disk)
    const again = disk.afterPowerCut()
    again.cutAt = 1 + (step % 12)
    const recovered = await run.open(again).catch(() => null)
    if (recovered === null || again.isOff) cutsInRecovery++
    else await run.acknowledgeAll(recovered) // what was shown once stays
    await recovered?.[Symbol.asyncDispose]()
    try {
      await checkInvariants(run, again.afterPowerCut())
    } catch (error) {
      throw new Error(`power cuts at step ${step} and in recovery`, { cause: error })
    }
  }
  expect(cutsInRecovery).toBeGreaterThan(20)
}, 180_000)
