import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openArchive, type Archive } from '../../src/archive/index.ts'
import { parseFragmentNumber, type FragmentNumber } from '../../src/domain/fragment.ts'
import type { StreamId } from '../../src/domain/stream.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { randomNumbers } from '../support/archive-media.ts'
import { checkChunk, chunkFiles } from '../support/chunk-check.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory } from '../support/scratch.ts'

const WRITER = fileURLToPath(new URL('../support/archive-writer.mjs', import.meta.url))
const COMPILED = fileURLToPath(new URL('../../dist/archive/index.js', import.meta.url))
const STREAMS = 20
/** More rounds find rarer moments; docs/design/archive.md tells of a run with 100. */
const ROUNDS = Number(process.env.TEST_KILL_ROUNDS ?? 5)
const MAX_LINES = 4000

type Persisted = {
  readonly streamId: StreamId
  readonly fragmentNumber: FragmentNumber
  readonly digest: string
}

/** What a stream handed over of the fragment that was under way when its writer was killed. */
type UnderWay = {
  readonly fragmentNumber: FragmentNumber
  readonly appended: { readonly bytes: number; readonly at: number }[]
}

type Killed = {
  readonly persisted: readonly Persisted[]
  readonly underWay: ReadonlyMap<StreamId, UnderWay>
  readonly killedAt: number
  /** The longest that all streams were silent: the machine was busy elsewhere. */
  readonly longestSilenceMs: number
}

test(
  `kill -9 with ${STREAMS} streams, ${ROUNDS} times: nothing acknowledged is lost, and under a second of the rest`,
  async () => {
    expect(existsSync(COMPILED), 'the project is built').toBe(true)
    const directory = await scratchDirectory()
    const random = randomNumbers(20_261)
    const persisted: Persisted[] = []
    const checkedBytes = new Map<string, number>()
    let [longestLossMs, recoveredChunks] = [0, 0]

    for (let round = 0; round < ROUNDS; round++) {
      const killed = await writeUntilKilled(directory, round, random(MAX_LINES) + 1)
      await using place = await openAfterKill(directory)

      await expectKept(place.archive, killed.persisted)
      persisted.push(...killed.persisted)
      if (round === ROUNDS - 1) {
        await expectKept(place.archive, persisted)
        await expectOrder(place.archive, persisted)
      }
      for (const path of await chunkFiles(join(directory, 'media'))) {
        const { size } = await stat(path)
        if (checkedBytes.get(path) === size && round < ROUNDS - 1) continue
        await checkChunk(path)
        checkedBytes.set(path, size)
      }
      for (const [streamId, underWay] of killed.underWay) {
        const lossMs = await lossOf(place.archive, streamId, underWay, killed.killedAt)
        longestLossMs = Math.max(longestLossMs, lossMs)
        expect(lossMs, `${streamId} in round ${round}`).toBeLessThan(1000 + killed.longestSilenceMs)
      }
      recoveredChunks += place.recoveredChunks()
    }
    expect(persisted.length).toBeGreaterThan(ROUNDS)
    expect(recoveredChunks).toBeGreaterThan(ROUNDS)
    if (process.env.TEST_KILL_ROUNDS !== undefined) {
      console.log(
        `${ROUNDS} kills: ${persisted.length} acknowledged fragments in ${checkedBytes.size} chunks ` +
          `are there, ${longestLossMs} ms is the most of a stream that was lost`,
      )
    }
  },
  60_000 + ROUNDS * 10_000,
)

async function openAfterKill(directory: string) {
  const meta = await openLevelMetaStore(join(directory, 'meta'))
  const { events, metrics, log, recorder } = createObserved()
  const archive = await openArchive(
    { directory: join(directory, 'media'), meta, clock: systemClock, events, metrics, log },
    {
      retentionMsOf: () => 24 * 3_600_000,
      nameOf: (streamId) => streamId,
      maxQueuedBytes: 1 << 20,
      maxChunkBytes: 1 << 20,
    },
  )
  return {
    archive,
    recoveredChunks: () => recorder.items.filter(({ name }) => name === 'chunkRecovered').length,
    async [Symbol.asyncDispose]() {
      await archive[Symbol.asyncDispose]()
      await meta[Symbol.asyncDispose]()
    },
  }
}

async function expectKept(archive: Archive, persisted: readonly Persisted[]): Promise<void> {
  for (const { streamId, fragmentNumber, digest } of persisted) {
    const fragment = await archive.find(streamId, fragmentNumber)
    expect(fragment, `${streamId} ${fragmentNumber}`).not.toBeNull()
    const { bytes } = await archive.read(fragment!)
    expect(createHash('sha256').update(bytes).digest('hex'), fragmentNumber).toBe(digest)
  }
}

async function expectOrder(archive: Archive, persisted: readonly Persisted[]): Promise<void> {
  for (const streamId of new Set(persisted.map((fragment) => fragment.streamId))) {
    const all = await archive.after(streamId, null, 1e6)
    expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, i) => i))
    const counters = all.map(({ fragmentNumber }) => parseFragmentNumber(fragmentNumber)!.counter)
    expect(new Set(counters).size).toBe(counters.length)
    expect(counters.toSorted((a, b) => a - b)).toEqual(counters)
  }
}

/** From when the first bytes came that are not there to the kill; 0 when all are. */
async function lossOf(
  archive: Archive,
  streamId: StreamId,
  { fragmentNumber, appended }: UnderWay,
  killedAt: number,
): Promise<number> {
  const kept = await archive.find(streamId, fragmentNumber)
  const firstLost = appended.find(({ bytes }) => bytes > (kept?.sizeBytes ?? 0))
  return firstLost === undefined ? 0 : killedAt - firstLost.at
}

/** Runs the writer and kills it at its nth line. */
async function writeUntilKilled(directory: string, seed: number, lines: number): Promise<Killed> {
  const child = spawn(process.execPath, [WRITER, directory, String(STREAMS), String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const persisted: Persisted[] = []
  const underWay = new Map<StreamId, UnderWay>()
  let [seen, lastAt, longestSilenceMs] = [0, Infinity, 0]
  for await (const line of createInterface({ input: child.stdout })) {
    const [what, id, number, value, time] = line.split(' ')
    const [streamId, fragmentNumber] = [id as StreamId, number as FragmentNumber]
    if (what === 'persisted' && value?.length === 64) {
      persisted.push({ streamId, fragmentNumber, digest: value })
    } else if (what === 'appended' && time?.length === 13) {
      const at = Number(time)
      longestSilenceMs = Math.max(longestSilenceMs, at - lastAt)
      lastAt = at
      let current = underWay.get(streamId)
      if (current?.fragmentNumber !== fragmentNumber) current = { fragmentNumber, appended: [] }
      current.appended.push({ bytes: Number(value), at })
      underWay.set(streamId, current)
    }
    if (++seen === lines) child.kill('SIGKILL')
  }
  const [, signal] = (await exited) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
  return { persisted, underWay, killedAt: lastAt, longestSilenceMs }
}
