import { expect, test } from 'vitest'
import {
  openMetaLeases,
  startDataConsumer,
  type DataConsumerOptions,
} from '../../src/consume/index.ts'
import { openDataStreams, type DataStreams } from '../../src/datastream/index.ts'
import { systemClock } from '../../src/platform/clock.ts'
import type { MetaStore } from '../../src/platform/meta-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryDataStreams } from '../support/memory-data-streams.ts'
import { createObserved } from '../support/observed.ts'
import { Recorder } from '../support/recorder.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

const STREAM = 'results'
const T0 = 1_700_000_000_000

async function fixture(
  dataStreams: DataStreams,
  meta: MetaStore,
  clock: ManualClock | typeof systemClock = new ManualClock(T0),
) {
  const observed = createObserved()
  const leases = untilTestEnds(
    await openMetaLeases({ meta, clock, log: observed.log, node: 'local' }),
  )
  const handled = new Recorder<string>()
  const start = (options: Partial<DataConsumerOptions> = {}) =>
    untilTestEnds(
      startDataConsumer({
        application: 'app',
        dataStreams,
        stream: STREAM,
        leases,
        start: 'oldest',
        handle: async ({ records }) => {
          for (const { data } of records) handled.push(Buffer.from(data).toString())
        },
        clock,
        ...observed,
        ...options,
      }),
    )
  return { clock, leases, handled, start, meta, ...observed }
}

async function memoryFixture(memory: MemoryDataStreams) {
  return fixture(memory as unknown as DataStreams, await scratchMetaStore())
}

const text = (data: string) => ({ data: Buffer.from(data), partitionKey: data })

test('reads every shard of a durable stream, and after a restart only what is new', async () => {
  const directory = await scratchDirectory()
  const meta = await scratchMetaStore()
  const dataStreams = untilTestEnds(
    await openDataStreams({ directory, meta, clock: systemClock, ...createObserved() }, {}),
  )
  await dataStreams.create({ name: STREAM, shardCount: 3 })
  const sent = Array.from({ length: 40 }, (_, i) => `a${i}`)
  await dataStreams.put(STREAM, sent.map(text))
  const first = await fixture(dataStreams, meta, systemClock)
  const consumer = first.start()
  await first.handled.reaching(40)
  await consumer[Symbol.asyncDispose]()

  const second = await fixture(dataStreams, meta, systemClock)
  second.start()
  await dataStreams.put(STREAM, ['b0', 'b1'].map(text))
  await second.handled.reaching(2)

  expect([...first.handled.items].sort()).toEqual([...sent].sort())
  expect([...second.handled.items].sort()).toEqual(['b0', 'b1'])
})

test('children are read after their parents, from their beginning', async () => {
  const memory = new MemoryDataStreams(STREAM)
  memory.open('parent')
  memory.add('parent', 'p1', T0)
  memory.open('left', 'parent')
  memory.open('right', 'parent')
  memory.add('left', 'l1', T0)
  memory.add('right', 'r1', T0)
  const { start, handled } = await memoryFixture(memory)

  start()
  await handled.reaching(1)
  memory.add('parent', 'p2', T0)
  await handled.reaching(2)
  expect(handled.items).toEqual(['p1', 'p2'])
  memory.close('parent')
  await handled.reaching(4)

  expect(handled.items.slice(2).sort()).toEqual(['l1', 'r1'])
})

test('a finished shard is not read again after a restart', async () => {
  const memory = new MemoryDataStreams(STREAM)
  memory.open('parent')
  memory.add('parent', 'p1', T0)
  memory.close('parent')
  memory.open('child', 'parent')
  memory.add('child', 'c1', T0)
  const { start, handled } = await memoryFixture(memory)
  const consumer = start()
  await handled.reaching(2)
  await consumer[Symbol.asyncDispose]()

  start()
  memory.add('child', 'c2', T0)
  await handled.reaching(3)

  expect(handled.items).toEqual(['p1', 'c1', 'c2'])
})

test('from the newest: only what comes after the start, though a crash comes first', async () => {
  const memory = new MemoryDataStreams(STREAM)
  memory.open('closed')
  memory.add('closed', 'old', T0 - 10)
  memory.close('closed')
  memory.open('open', 'closed')
  memory.add('open', 'before', T0 - 1)
  const { start, handled, leases } = await memoryFixture(memory)
  const consumer = start({ start: 'newest' })
  await expect
    .poll(() => leases.readCheckpoint('app', `${STREAM}:1000:open`), {
      interval: 1,
      timeout: 20_000,
    })
    .toEqual({ at: 'timestamp', timestamp: T0 })
  await consumer[Symbol.asyncDispose]() // before it has read anything
  memory.add('open', 'meanwhile', T0 + 1)

  start({ start: 'newest' })
  await handled.reaching(1)
  memory.open('born', 'open')
  memory.add('born', 'after', T0 + 2)
  memory.close('open')
  await handled.reaching(2)

  expect(handled.items).toEqual(['meanwhile', 'after'])
})

test('waits for a stream that does not exist yet, and begins anew when it is made again', async () => {
  const memory = new MemoryDataStreams(STREAM)
  memory.open('one')
  memory.add('one', 'a', T0)
  const { start, handled, leases } = await memoryFixture(memory)
  const absent = start({ stream: 'not-yet', application: 'other' })
  const consumer = start()
  await handled.reaching(1)
  await consumer[Symbol.asyncDispose]()
  await absent[Symbol.asyncDispose]()

  const again = Object.assign(new MemoryDataStreams(STREAM), { createdAt: 2_000 })
  again.open('one')
  again.add('one', 'b', T0)
  start({ dataStreams: again as unknown as DataStreams })
  await handled.reaching(2)

  expect(handled.items).toEqual(['a', 'b'])
  expect((await leases.list('app')).map(({ key }) => key).sort()).toEqual([
    `${STREAM}:2000`,
    `${STREAM}:2000:one`,
  ])
})

test('a handler that fails gets the same records again; nothing is passed over', async () => {
  const memory = new MemoryDataStreams(STREAM)
  memory.open('one')
  memory.add('one', 'a', T0)
  const { start, handled, clock, recorder } = await memoryFixture(memory)
  let failures = 0

  start({
    handle: async ({ records }) => {
      if (failures++ < 2) throw new Error('database is away')
      for (const { data } of records) handled.push(Buffer.from(data).toString())
    },
  })
  for (const delayMs of [200, 400]) {
    await (clock as ManualClock).sleeping(delayMs)
    ;(clock as ManualClock).advance(delayMs)
  }
  await handled.reaching(1)

  expect(handled.items).toEqual(['a'])
  expect(recorder.items.filter(({ name }) => name === 'consumerSkipped')).toEqual([])
})
