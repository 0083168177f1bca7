import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openDataStreams } from '../../src/datastream/index.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, untilTestEnds } from '../support/scratch.ts'
import { readLineage } from './read-lineage.ts'

const WRITER = fileURLToPath(new URL('crash-resharder.mjs', import.meta.url))
const COMPILED = fileURLToPath(new URL('../../dist/datastream/reshard.js', import.meta.url))
/** After how many acknowledgements each of the writers is killed. */
const KILLS = [1, 30, 80, 150, 51, 200, 97]
/** Numbers of one run are below those of the next. */
const RUN = 1_000_000

test.skipIf(!existsSync(COMPILED) && (console.warn('skipped: not built'), true))(
  'kill -9 while shards split and merge loses nothing, stores nothing twice, keeps every key’s order',
  async () => {
    const directory = await scratchDirectory()
    const acknowledged: string[] = []
    for (const [run, count] of KILLS.entries()) {
      acknowledged.push(...(await writeUntilKilled(directory, run, count)))
    }

    const meta = untilTestEnds(await openLevelMetaStore(join(directory, 'meta')))
    const streams = untilTestEnds(
      await openDataStreams({
        ...{ directory: join(directory, 'streams'), meta, clock: systemClock },
        ...createObserved(),
      }),
    )
    const records = await readLineage(streams, 's')
    const stored = records.map(({ partitionKey, data }) => `${partitionKey} ${String(data)}`)
    const known = new Set(stored)
    expect(acknowledged.length).toBeGreaterThan(500)
    expect(known.size).toBe(stored.length)
    expect(acknowledged.filter((record) => !known.has(record))).toEqual([])
    for (const key of 'abcdef') {
      const numbers = records
        .filter(({ partitionKey }) => partitionKey === key)
        .map(({ data }) => Number(String(data)))
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    }
    expect(streams.describe('s').shards.length).toBeGreaterThan(KILLS.length)
  },
  120_000,
)

async function writeUntilKilled(directory: string, run: number, count: number): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER, directory, String(run * RUN), String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const acknowledged: string[] = []
  let left = count
  // Everything that was written before the kill is read to the end: all of it was acknowledged.
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'open') continue
    acknowledged.push(line)
    left -= 1
    if (left === 0) child.kill('SIGKILL')
  }
  return acknowledged
}
