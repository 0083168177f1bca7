import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openSegmentLog } from '../../src/datastream/index.ts'
import { scratchDirectory } from '../support/scratch.ts'

const WRITER = fileURLToPath(new URL('crash-writer.mjs', import.meta.url))
const COMPILED = fileURLToPath(new URL('../../dist/datastream/index.js', import.meta.url))
/** After how many acknowledgements each of the writers is killed. */
const KILLS = [1, 2, 3, 7, 20, 50, 51, 100, 150, 200]

test.skipIf(!existsSync(COMPILED) && (console.warn('skipped: not built'), true))(
  'kill -9 in a loop loses no acknowledged record, stores none twice, and keeps the order',
  async () => {
    const directory = join(await scratchDirectory(), 'log')
    const acknowledged = new Map<number, string>() // index in the log -> key

    for (const [run, acknowledgements] of KILLS.entries()) {
      await writeUntilKilled(directory, run, acknowledgements, acknowledged)
    }

    const log = await openSegmentLog(directory)
    const entries = await log.read(0, { maxEntries: 1_000_000, maxBytes: 1 << 30 })
    await log[Symbol.asyncDispose]()
    expect(entries.map(({ index }) => index)).toEqual(entries.map((_, i) => i))
    const keys = entries.map(({ key }) => key)
    expect(new Set(keys).size).toBe(keys.length)
    expect([...acknowledged].filter(([index, key]) => keys[index] !== key)).toEqual([])
    expect(acknowledged.size).toBeGreaterThan(500)
    for (const { key, data } of entries) {
      expect(Buffer.alloc(data.length, Number(key)).equals(data)).toBe(true)
    }
  },
  120_000,
)

async function writeUntilKilled(
  directory: string,
  run: number,
  acknowledgements: number,
  acknowledged: Map<number, string>,
): Promise<void> {
  const firstId = String((run + 1) * 1_000_000)
  const child = spawn(process.execPath, [WRITER, directory, firstId, String(run + 1)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let left = acknowledgements
  // Everything that was written before the kill is read to the end: all of it was acknowledged.
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('open ')) {
      expect(Number(line.slice(5))).toBeGreaterThan(Math.max(-1, ...acknowledged.keys()))
      continue
    }
    const [index, id, count] = line.split(' ').map(Number) as [number, number, number]
    for (let i = 0; i < count; i++) acknowledged.set(index + i, String(id + i))
    left -= 1
    if (left === 0) child.kill('SIGKILL')
  }
}
