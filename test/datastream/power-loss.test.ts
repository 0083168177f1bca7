import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openSegmentLog } from '../../src/datastream/index.ts'
import { epochMs } from '../../src/domain/time.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { PowerLossDisk } from './power-loss-disk.ts'

/** Small segments, so that the power also goes while one follows another. */
const SEGMENT = { maxSegmentBytes: 20_000, maxSegmentAgeMs: 1e12 }
const ALL = { maxEntries: 100_000, maxBytes: 1 << 30 }

function randomOf(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state / 0x8000_0000
  }
}

/** Writes until the power goes, starts again, until nothing is left of `cuts`. */
async function run(seed: number, cuts: readonly number[]) {
  const directory = join(await scratchDirectory(), 'log')
  const random = randomOf(seed)
  const acknowledged = new Map<number, string>()
  let id = 0
  for (const cutAt of cuts) {
    const disk = new PowerLossDisk(cutAt, () => random() < 0.5)
    const damage: unknown[] = []
    const options = { ...SEGMENT, disk, onDamage: (one: unknown) => damage.push(one) }
    const log = await openSegmentLog(directory, options).catch(() => null)
    if (log === null) continue // the power went during the start
    const before = log.nextIndex
    expect(before).toBeGreaterThan(Math.max(-1, ...acknowledged.keys()))
    const writer = async () => {
      for (;;) {
        const batch = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
          const data = Buffer.alloc(Math.floor(random() * 6000), id)
          return { key: `record ${id++}`, data, arrivedAt: epochMs(1) }
        })
        const { first } = await log.append(batch)
        batch.forEach(({ key }, i) => acknowledged.set(first + i, key))
      }
    }
    await Promise.allSettled([writer(), writer(), writer()])
    await Promise.allSettled([log[Symbol.asyncDispose]()])
    expect(damage).toEqual([])
  }
  const log = await openSegmentLog(directory, SEGMENT)
  const entries = await log.read(0, ALL)
  await log[Symbol.asyncDispose]()
  return { entries, acknowledged }
}

test.each(Array.from({ length: 6 }, (_, seed) => seed))(
  'whatever of the unsynced bytes survives, run %i keeps what was acknowledged, once and in order',
  async (seed) => {
    const random = randomOf(seed + 100)
    const cuts = Array.from({ length: 8 }, () => 1 + Math.floor(random() * 60))

    const { entries, acknowledged } = await run(seed, cuts)

    expect(acknowledged.size).toBeGreaterThan(10)
    expect(entries.map(({ index }) => index)).toEqual(entries.map((_, i) => i))
    const keys = entries.map(({ key }) => key)
    expect(new Set(keys).size).toBe(keys.length)
    expect([...acknowledged].filter(([index, key]) => keys[index] !== key)).toEqual([])
    for (const { key, data } of entries) {
      expect(Buffer.alloc(data.length, Number(key.slice(7))).equals(data)).toBe(true)
    }
  },
)

test('the power may go at every single step of the first writes', async () => {
  for (let step = 1; step <= 20; step++) {
    const { entries, acknowledged } = await run(step, [step, 20 + step])

    const keys = entries.map(({ key }) => key)
    expect([...acknowledged].filter(([index, key]) => keys[index] !== key)).toEqual([])
  }
}, 30_000)
