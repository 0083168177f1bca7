import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openArchive } from '../../src/archive/index.ts'
import type { FragmentNumber } from '../../src/domain/fragment.ts'
import type { StreamId } from '../../src/domain/stream.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { randomNumbers } from '../support/archive-media.ts'
import { checkChunk, chunkFiles } from '../support/chunk-check.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory } from '../support/scratch.ts'

const WRITER = fileURLToPath(new URL('../support/archive-writer.mjs', import.meta.url))
const COMPILED = fileURLToPath(new URL('../../dist/archive/index.js', import.meta.url))
const STREAMS = 5
const KILLS = 10

test('kill -9, ten times: every acknowledged fragment is there, byte for byte', async () => {
  expect(existsSync(COMPILED), 'the project is built').toBe(true)
  const directory = await scratchDirectory()
  const random = randomNumbers(20_261)
  const acknowledged = new Map<string, string>()

  for (let round = 0; round < KILLS; round++) {
    await writeUntilKilled(directory, round, random(120) + 1, acknowledged)

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
    for (const [key, digest] of acknowledged) {
      const [streamId, number] = key.split(' ') as [StreamId, FragmentNumber]
      const fragment = await archive.find(streamId, number)
      expect(fragment, key).not.toBeNull()
      const { bytes } = await archive.read(fragment!)
      expect(createHash('sha256').update(bytes).digest('hex'), key).toBe(digest)
    }
    for (const path of await chunkFiles(join(directory, 'media'))) await checkChunk(path)
    for (const streamId of new Set([...acknowledged.keys()].map((key) => key.split(' ')[0]))) {
      const all = await archive.after(streamId as StreamId, null, 1e6)
      expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, i) => i))
    }
    expect(recorder.items.some(({ name }) => name === 'chunkRecovered')).toBe(true)
    await archive[Symbol.asyncDispose]()
    await meta[Symbol.asyncDispose]()
  }
  expect(acknowledged.size).toBeGreaterThan(KILLS)
}, 120_000)

/** Runs the writer, kills it at its nth acknowledgement, and notes all that it acknowledged. */
async function writeUntilKilled(
  directory: string,
  seed: number,
  lines: number,
  acknowledged: Map<string, string>,
): Promise<void> {
  const child = spawn(process.execPath, [WRITER, directory, String(STREAMS), String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const [streamId, number, digest] = line.split(' ')
    if (digest?.length === 64) acknowledged.set(`${streamId} ${number}`, digest)
    if (++seen === lines) child.kill('SIGKILL')
  }
  const [, signal] = (await exited) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
}
