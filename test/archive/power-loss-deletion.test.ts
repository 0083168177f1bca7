import { expect, test } from 'vitest'
import { openArchive, type Archive, type ArchiveOptions } from '../../src/archive/index.ts'
import { Catalogue } from '../../src/archive/catalogue.ts'
import { checkArchive } from '../../src/archive/fsck/check-archive.ts'
import type { Fragment } from '../../src/domain/fragment.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import { randomNumbers, writeFragment } from '../support/archive-media.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { PowerLossDisk, type Survival } from '../support/power-loss.ts'

// Power goes at any step of a range deletion, inside a finished chunk and inside one that grows.

const T = 1_700_000_000_000
const FINISHED = toStreamId('finished', 1)
const GROWING = toStreamId('growing', 2)
const STREAMS = [FINISHED, GROWING]
const DIRECTORY = '/media'
const COUNT = 4
/** The second and the third. */
const RANGE = { by: 'server', from: T + 2500, to: T + 5500 } as const
const ALL = { by: 'server', from: epochMs(T), to: epochMs(T + COUNT * 2000) } as const
const OPTIONS: ArchiveOptions = {
  retentionMsOf: () => 3_600_000,
  nameOf: (streamId) => streamId,
  maxQueuedBytes: 1 << 20,
  maxChunkBytes: 1 << 20,
}

class Run {
  readonly clock = new ManualClock(T)
  readonly written: Fragment[] = []
  readonly bytes = new Map<string, Uint8Array>()
  readonly deleted = new Set<string>()
  stepsBefore = 0

  open(disk: PowerLossDisk): Promise<Archive & AsyncDisposable> {
    const { clock } = this
    const deps = { directory: DIRECTORY, meta: disk.meta, files: disk.store, clock }
    return openArchive({ ...deps, ...createObserved() }, OPTIONS)
  }

  async live(disk: PowerLossDisk): Promise<void> {
    const first = await this.open(disk)
    const finished = await first.openWriter(FINISHED)
    await this.#write(first, finished, COUNT)
    await finished[Symbol.asyncDispose]()
    const growing = await first.openWriter(GROWING)
    await this.#write(first, growing, COUNT)
    this.stepsBefore = disk.steps
    this.clock.advance(COUNT * 2000)
    for (const streamId of STREAMS) {
      await first.deleteRange(streamId, RANGE)
      this.deleted.add(streamId)
    }
    await growing[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
  }

  async #write(archive: Archive, writer: Parameters<typeof writeFragment>[0], count: number) {
    for (let i = 0; i < count; i++) {
      const fragment = await writeFragment(writer, { at: T + i * 2000, frameBytes: 1200 })
      this.written.push(fragment)
      this.bytes.set(fragment.fragmentNumber, (await archive.read(fragment)).bytes)
    }
  }
}

async function check(run: Run, disk: PowerLossDisk): Promise<void> {
  const archive = await run.open(disk)
  for (const streamId of STREAMS) {
    const all = run.written.filter((fragment) => fragment.streamId === streamId)
    const kept = all.filter((_, i) => i !== 1 && i !== 2)
    const listed = await archive.list(streamId, { ...ALL, limit: 99 })
    const isGone = run.deleted.has(streamId) || listed.length === kept.length
    expect(listed).toEqual(isGone ? kept : all)
    const { spans } = await archive.coverage(streamId, ALL)
    expect(spans.reduce((sum, { fragments }) => sum + fragments, 0)).toBe(listed.length)
    for (const fragment of all) {
      if (listed.some(({ fragmentNumber }) => fragmentNumber === fragment.fragmentNumber)) {
        expect((await archive.read(fragment)).bytes).toEqual(run.bytes.get(fragment.fragmentNumber))
        continue
      }
      expect(await archive.find(streamId, fragment.fragmentNumber)).toBeNull()
      const { chunkId, offset } = fragment.place
      for await (const path of disk.store.list(DIRECTORY)) {
        if (!path.includes(streamId) || !path.endsWith(`${chunkId}.mkv`)) continue
        const at = disk.bytesOf(path).subarray(offset, offset + fragment.sizeBytes)
        expect(at[0]).toBe(0xec) // EBML Void
        expect(at.subarray(9).every((byte) => byte === 0)).toBe(true)
      }
    }
  }
  await archive[Symbol.asyncDispose]()
  const place = { directory: DIRECTORY, catalogue: new Catalogue(disk.meta), files: disk.store }
  const { findings } = await checkArchive(place, { depth: 'bytes', repair: 'nothing' })
  expect(findings).toEqual([])
}

const SURVIVALS: readonly { readonly rule: string; readonly survival: () => Survival }[] = [
  { rule: 'nothing unsynced', survival: () => () => false },
  { rule: 'all of it', survival: () => () => true },
  ...[5].map((seed) => ({
    rule: `any part of it (seed ${seed})`,
    survival: () => {
      const random = randomNumbers(seed)
      return () => random(2) === 0
    },
  })),
]

test.each(SURVIVALS)(
  'a deletion is whole or never was, and what is beside it stays, when $rule survives',
  async ({ survival }) => {
    const whole = new PowerLossDisk()
    const counted = new Run()
    await counted.live(whole)
    expect(whole.steps - counted.stepsBefore).toBeGreaterThan(20)

    for (let step = counted.stepsBefore + 1; step <= whole.steps; step++) {
      const disk = new PowerLossDisk(survival())
      disk.cutAt = step
      const run = new Run()
      await run.live(disk).catch((error: unknown) => {
        if (!disk.isOff) throw error
      })
      const after = disk.afterPowerCut()
      try {
        await check(run, after)
        await check(run, after.afterPowerCut()) // and what that start made of it is durable
      } catch (error) {
        const operation = disk.operations.at(-1)
        throw new Error(`power cut at step ${step}: ${operation}`, { cause: error })
      }
    }
  },
  120_000,
)
