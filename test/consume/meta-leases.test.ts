import { expect, test } from 'vitest'
import { openMetaLeases } from '../../src/consume/index.ts'
import { silentLog } from '../../src/observe/log.ts'
import { openLevelMetaStore, type MetaStore } from '../../src/platform/meta-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { Recorder } from '../support/recorder.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

const DURATION_MS = 9_000

async function openLeases(meta: MetaStore, node: string, clock = new ManualClock()) {
  const options = { meta, clock, node, log: silentLog, durationMs: DURATION_MS }
  return untilTestEnds(await openMetaLeases(options))
}

/** A clock of its own per worker: one that is not advanced is a process that stands still. */
const clockAt = (ms: number) => new ManualClock(1_700_000_000_000 + ms)

test('a lease has one holder', async () => {
  const meta = await scratchMetaStore()
  const first = await openLeases(meta, 'a')
  const second = await openLeases(meta, 'b')

  expect(await first.take('app', 'cam')).not.toBeNull()

  expect(await second.take('app', 'cam')).toBeNull()
  expect(await first.take('app', 'cam')).toBeNull() // nor twice by the holder itself
  expect(await second.take('app', 'other')).not.toBeNull()
  expect(await second.take('another-app', 'cam')).not.toBeNull()
})

test('two takers at once: one wins', async () => {
  const meta = await scratchMetaStore()
  const stores = [await openLeases(meta, 'a'), await openLeases(meta, 'b')]

  const taken = await Promise.all(stores.map((store) => store.take('app', 'cam')))

  expect(taken.filter((lease) => lease !== null)).toHaveLength(1)
})

test("a zombie's checkpoint fails and does not overwrite its successor's", async () => {
  const meta = await scratchMetaStore()
  const zombie = (await (await openLeases(meta, 'a', clockAt(0))).take('app', 'cam'))!
  await zombie.saveCheckpoint('5')
  const store = await openLeases(meta, 'b', clockAt(DURATION_MS))
  const successor = (await store.take('app', 'cam'))!
  expect(successor.readCheckpoint()).toBe('5')
  await successor.saveCheckpoint('6')

  await expect(zombie.saveCheckpoint('4')).rejects.toMatchObject({
    kind: 'conflict',
    code: 'LeaseLost',
  })

  expect(zombie.lost.aborted).toBe(true)
  expect(store.readCheckpoint('app', 'cam')).toBe('6')
  await zombie[Symbol.asyncDispose]() // its release takes nothing from the successor
  await successor.saveCheckpoint('7')
})

test('a lease of another node is not taken before it expires', async () => {
  const meta = await scratchMetaStore()
  await (await openLeases(meta, 'a', clockAt(0))).take('app', 'cam')

  const early = await openLeases(meta, 'b', clockAt(DURATION_MS - 1))
  expect(await early.take('app', 'cam')).toBeNull()
  const late = await openLeases(meta, 'c', clockAt(DURATION_MS))
  expect(await late.take('app', 'cam')).toMatchObject({ epoch: 2 })
})

test('after a crash the same node takes its leases at once, from the checkpoint', async () => {
  const directory = await scratchDirectory()
  const clock = new ManualClock() // no time passes
  {
    await using meta = await openLevelMetaStore(directory)
    const options = { meta, clock, node: 'local', log: silentLog }
    const lease = (await (await openMetaLeases(options)).take('app', 'cam'))!
    await lease.saveCheckpoint({ fragmentNumber: '12' })
    // The process ends here: nothing is released.
  }
  const meta = untilTestEnds(await openLevelMetaStore(directory))

  const lease = await (await openLeases(meta, 'local', clock)).take('app', 'cam')

  expect(lease?.readCheckpoint()).toEqual({ fragmentNumber: '12' })
  expect(lease?.epoch).toBe(2)
})

test('a released lease is free at once', async () => {
  const meta = await scratchMetaStore()
  const lease = (await (await openLeases(meta, 'a')).take('app', 'cam'))!

  await lease[Symbol.asyncDispose]()

  expect(await (await openLeases(meta, 'b')).take('app', 'cam')).not.toBeNull()
})

test('a holder keeps its leases by renewing all of them in one commit', async () => {
  const inner = await scratchMetaStore()
  const commits = new Recorder<readonly unknown[]>()
  const meta: MetaStore = {
    get: (key) => inner.get(key),
    entries: (range) => inner.entries(range),
    commit: async (batch) => {
      const applied = await inner.commit(batch)
      commits.push([...(batch.puts ?? [])])
      return applied
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
  const clock = new ManualClock()
  const store = await openLeases(meta, 'a', clock)
  await store.take('app', 'one')
  await store.take('app', 'two')
  const before = commits.items.length

  for (let renewals = 1; renewals <= 6; renewals++) {
    await clock.sleeping(DURATION_MS / 3)
    clock.advance(DURATION_MS / 3)
    expect((await commits.reaching(before + renewals)).at(-1)).toHaveLength(2)
  }

  const other = await openLeases(inner, 'b', new ManualClock(clock.now()))
  expect(await other.take('app', 'one')).toBeNull()
})

test('a renewal tells a holder that its lease is gone, and only that one', async () => {
  const meta = await scratchMetaStore()
  const clock = new ManualClock(1_700_000_000_000)
  const store = await openLeases(meta, 'a', clock)
  const gone = (await store.take('app', 'gone'))!
  const kept = (await store.take('app', 'kept'))!
  const thief = await openLeases(meta, 'b', clockAt(DURATION_MS))
  await thief.take('app', 'gone')

  await clock.sleeping(DURATION_MS / 3)
  clock.advance(DURATION_MS / 3)
  await new Promise((resolve) => gone.lost.addEventListener('abort', resolve))

  expect(kept.lost.aborted).toBe(false)
  await kept.saveCheckpoint('1')
})

test('first positions are saved all or none', async () => {
  const store = await openLeases(await scratchMetaStore(), 'a')
  const seeds = [
    { key: 'one', position: 1 },
    { key: 'two', position: 2 },
  ]

  expect(await store.seedCheckpoints('app', seeds)).toBe(true)
  expect(await store.seedCheckpoints('app', [{ key: 'new', position: 3 }, seeds[0]!])).toBe(false)

  expect(store.readCheckpoint('app', 'two')).toBe(2)
  expect(store.readCheckpoint('app', 'new')).toBeNull()
})

test('what is forgotten leaves no rows', async () => {
  const store = await openLeases(await scratchMetaStore(), 'a')
  const lease = (await store.take('app', 'cam'))!
  await lease.saveCheckpoint('1')
  expect((await store.list('app')).map(({ key }) => key)).toEqual(['cam'])

  await store.forget('app', 'cam')

  expect(await store.list('app')).toEqual([])
  await expect(lease.saveCheckpoint('2')).rejects.toMatchObject({ code: 'LeaseLost' })
})
