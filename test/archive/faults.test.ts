import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Archive, ArchiveOptions } from '../../src/archive/index.ts'
import { openArchive } from '../../src/archive/index.ts'
import { type ChunkStore } from '../../src/archive/chunk-store.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import type { Fragment } from '../../src/domain/fragment.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { tagsElement, toMatroskaHeader } from '../../src/media/matroska/writer.ts'
import { openLevelMetaStore, type MetaStore } from '../../src/platform/meta-store.ts'
import {
  appendFragment,
  VIDEO_TRACK,
  writeFragment,
  type MadeFragment,
} from '../support/archive-media.ts'
import { checkChunk, chunkFiles } from '../support/chunk-check.ts'
import { FaultyDisk, type FaultPlan } from '../support/failing-files.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'

const YARD = toStreamId('yard', 1)
const T = 1_700_000_000_000
const OTHER_HEADER = toMatroskaHeader([{ ...VIDEO_TRACK, codecPrivate: Uint8Array.of(7) }])
const OPTIONS: ArchiveOptions = {
  retentionMsOf: () => 1000 * 3_600_000,
  nameOf: (streamId) => streamId,
  maxQueuedBytes: 1 << 20,
  maxChunkBytes: 4096,
}
const MADE: readonly MadeFragment[] = Array.from({ length: 6 }, (_, i) => ({
  at: T + i * 2000,
  frameBytes: 100 + i,
  ...(i === 2 ? { producerTags: tagsElement([['n', String(i)]]) } : {}),
  ...(i === 4 ? { header: OTHER_HEADER } : {}),
}))

type Kept = { readonly fragment: Fragment; readonly bytes: Buffer }

class Workplace implements AsyncDisposable {
  readonly #directory: string
  meta: MetaStore

  private constructor(directory: string, meta: MetaStore) {
    this.#directory = directory
    this.meta = meta
  }

  static async make(): Promise<Workplace> {
    const directory = await mkdtemp(join(tmpdir(), 'faults-'))
    return new Workplace(directory, await openLevelMetaStore(join(directory, 'meta')))
  }

  get media(): string {
    return join(this.#directory, 'media')
  }

  open(meta: MetaStore = this.meta, files: ChunkStore = nodeChunkStore) {
    const { events, metrics, log } = createObserved()
    const clock = new ManualClock(T + 60_000)
    return openArchive({ directory: this.media, meta, files, clock, events, metrics, log }, OPTIONS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.meta[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true })
  }
}

/** Writes everything, some of it without waiting; answers what was acknowledged. */
async function writeAll(archive: Archive): Promise<readonly Kept[]> {
  const kept: Kept[] = []
  const keep = async (ending: Promise<Fragment>) => {
    const fragment = await ending
    const { bytes } = await archive.read(fragment)
    kept.push({ fragment, bytes: Buffer.from(bytes) })
  }
  const writer = await archive.openWriter(YARD)
  const endings: Promise<void>[] = []
  for (const [i, made] of MADE.entries()) {
    try {
      if (i === 3) {
        appendFragment(writer, made)
        writer.abandon('stalled')
        continue
      }
      const ending = keep(writeFragment(writer, made))
      ending.catch(() => undefined) // looked at below
      endings.push(ending)
      if (i % 2 === 0) await ending
    } catch {
      // not acknowledged, so not expected
    }
  }
  await Promise.allSettled(endings)
  await writer[Symbol.asyncDispose]()
  return kept
}

async function expectKept(archive: Archive, kept: readonly Kept[], more: number): Promise<void> {
  const all = await archive.after(YARD, null, 1000)
  const numbers = all.map(({ fragmentNumber }) => fragmentNumber)
  for (const { fragment, bytes } of kept) {
    const found = await archive.find(YARD, fragment.fragmentNumber)
    expect(found).toEqual(fragment)
    expect(Buffer.from((await archive.read(found!)).bytes).equals(bytes)).toBe(true)
  }
  expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, i) => i))
  expect([...numbers].sort()).toEqual(numbers)
  expect(all.length).toBeGreaterThanOrEqual(kept.length + more)
  for (const fragment of all) await archive.read(fragment)
}

async function expectWhole(workplace: Workplace): Promise<void> {
  for (const path of await chunkFiles(workplace.media)) await checkChunk(path)
}

/** Steps of a run in which nothing fails. */
async function countSteps(): Promise<number> {
  await using workplace = await Workplace.make()
  const disk = new FaultyDisk()
  const archive = await workplace.open(disk.meta(workplace.meta), disk.files)
  expect(await writeAll(archive)).toHaveLength(MADE.length - 1)
  await archive[Symbol.asyncDispose]()
  return disk.steps
}

test('nothing acknowledged is lost when the process dies at any step of the disk', async () => {
  const steps = await countSteps()
  expect(steps).toBeGreaterThan(30)
  let acknowledged = 0

  for (let step = 1; step <= steps; step++) {
    await using workplace = await Workplace.make()
    const verdict = step % 2 === 0 ? 'fail' : 'fail-half-way'
    // From its end on a process changes nothing more.
    const disk = new FaultyDisk((now) => (now < step ? 'go' : now === step ? verdict : 'fail'))
    let kept: readonly Kept[] = []
    try {
      const dying = await workplace.open(disk.meta(workplace.meta), disk.files)
      kept = await writeAll(dying)
      await dying[Symbol.asyncDispose]()
    } catch {
      // it died before it was open
    }

    acknowledged += kept.length
    const archive = await workplace.open()
    await expectKept(archive, kept, 0)
    await expectWhole(workplace)
    const writer = await archive.openWriter(YARD)
    const next = await writeFragment(writer, { at: T + 100_000 })
    await writer[Symbol.asyncDispose]()
    await expectKept(archive, kept, 1)
    expect(next.sequence).toBe((await archive.after(YARD, null, 1000)).length - 1)
    await archive[Symbol.asyncDispose]()
  }
  expect(acknowledged).toBeGreaterThan(steps * 2)
}, 120_000)

test('one failure at any step loses no more than the fragments under way', async () => {
  const steps = await countSteps()

  for (let step = 1; step <= steps; step++) {
    const verdict = step % 2 === 0 ? 'fail' : 'fail-half-way'
    await checkFault((now) => (now === step ? verdict : 'go'))
  }
}, 120_000)

test.each([
  { rule: 'a disk that is full for a while', from: 20, to: 40 },
  { rule: 'a disk that is full from the start of writing', from: 4, to: 60 },
])('$rule stops nothing for ever', async ({ from, to }) => {
  await checkFault((now) => (now >= from && now <= to ? 'fail' : 'go'))
})

/** Runs into the fault, goes on in the same process, and looks again after a restart. */
async function checkFault(plan: FaultPlan): Promise<void> {
  await using workplace = await Workplace.make()
  const disk = new FaultyDisk()
  disk.plan = plan
  let archive: Archive
  try {
    archive = await workplace.open(disk.meta(workplace.meta), disk.files)
  } catch {
    return // the fault was in opening, which says so
  }
  const kept = [...(await writeAll(archive))]
  disk.plan = () => 'go'
  const writer = await archive.openWriter(YARD)
  for (let i = 0; i < 3; i++) {
    const fragment = await writeFragment(writer, { at: T + 100_000 + i * 2000 })
    kept.push({ fragment, bytes: Buffer.from((await archive.read(fragment)).bytes) })
  }
  await writer[Symbol.asyncDispose]()
  await expectKept(archive, kept, 0)
  await archive[Symbol.asyncDispose]()

  const again = await workplace.open()
  await expectKept(again, kept, 0)
  await expectWhole(workplace)
  await again[Symbol.asyncDispose]()
}
