import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FLUSH_INTERVAL_MS, FlushRounds } from '../../src/archive/flush-rounds.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** Writers that join at these times, and what the clock said when each was flushed. */
async function flushedAt(joins: readonly number[]): Promise<readonly number[]> {
  const clock = new ManualClock(0)
  using rounds = new FlushRounds(clock)
  const flushed: number[] = []
  const writers = joins.map((_, i) => {
    const writer = {
      flush: () => {
        flushed[i] = clock.now()
        rounds.leave(writer)
      },
    }
    return writer
  })
  for (let at = 0; at <= 4000; at += 10) {
    for (const [i, joinsAt] of joins.entries()) if (joinsAt === at) rounds.join(writers[i]!)
    clock.advance(10)
    await turnOfTheLoop()
  }
  return flushed
}

test.each([
  { rule: 'one waits for the interval', joins: [0], flushed: [800] },
  { rule: 'those of its beginning go together', joins: [0, 50, 100], flushed: [800, 800, 800] },
  {
    rule: 'later ones have a round of their own',
    joins: [0, 110, 200],
    flushed: [800, 910, 910],
  },
  { rule: 'a round that is over is not joined', joins: [0, 1000], flushed: [800, 1800] },
])('$rule', async ({ joins, flushed }) => {
  expect(await flushedAt(joins)).toEqual(flushed)
})

test('nobody waits for longer than the interval, whenever they come', async () => {
  const joins = Array.from({ length: 200 }, (_, i) => i * 10)

  const flushed = await flushedAt(joins)

  const waited = joins.map((at, i) => flushed[i]! - at)
  expect(Math.max(...waited)).toBe(FLUSH_INTERVAL_MS)
  expect(Math.min(...waited)).toBeGreaterThanOrEqual((FLUSH_INTERVAL_MS * 7) / 8)
  expect(new Set(flushed).size).toBeLessThanOrEqual(19)
})

test('who left is not flushed, and may come again', async () => {
  const clock = new ManualClock(0)
  using rounds = new FlushRounds(clock)
  let flushes = 0
  const writer = { flush: () => void flushes++ }
  rounds.join(writer)
  clock.advance(400)
  rounds.leave(writer)
  clock.advance(500)
  await turnOfTheLoop()
  expect(flushes).toBe(0)

  rounds.join(writer)
  clock.advance(FLUSH_INTERVAL_MS)
  await turnOfTheLoop()

  expect(flushes).toBe(1)
})
