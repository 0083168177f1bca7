import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDataStreams } from '../../src/datastream/index.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

async function start() {
  const meta = await scratchMetaStore()
  const clock = new ManualClock()
  const directory = join(await scratchDirectory(), 'datastream')
  const open = async () =>
    untilTestEnds(await openDataStreams({ directory, meta, clock, ...createObserved() }))
  const streams = await open()
  await streams.create({ name: 's', shardCount: 1 })
  return { meta, clock, open, streams }
}

test('consumers are there after a restart, with their tags', async () => {
  const { streams, open } = await start()
  await streams.consumers('s').register({ name: 'a', tags: { x: 'y' } }, 20)
  await streams.consumers('s').register({ name: 'b', tags: {} }, 20)
  await streams.consumers('s').deregister('b')
  const before = streams.consumers('s').list()
  await streams[Symbol.asyncDispose]()

  expect((await open()).consumers('s').list()).toEqual(before)
  expect(before.map(({ name, tags }) => [name, tags])).toEqual([['a', { x: 'y' }]])
})

test('one registered again within the second, and after a restart, is another one', async () => {
  const { streams, open } = await start()
  const seconds = new Set<number>()
  const registerAndGo = async (consumers: ReturnType<typeof streams.consumers>) => {
    const { createdAt } = await consumers.register({ name: 'a', tags: {} }, 20)
    seconds.add(Math.floor(createdAt / 1000))
    await consumers.deregister('a')
  }
  await registerAndGo(streams.consumers('s'))
  await registerAndGo(streams.consumers('s'))
  await streams[Symbol.asyncDispose]()
  await registerAndGo((await open()).consumers('s'))

  expect(seconds.size).toBe(3)
})

test('a deleted stream takes its consumers with it', async () => {
  const { streams, meta } = await start()
  await streams.consumers('s').register({ name: 'a', tags: {} }, 20)
  await streams.consumers('s').register({ name: 'b', tags: {} }, 20)
  await streams.consumers('s').deregister('b')

  await streams.delete('s')

  const keys = []
  for await (const { key } of meta.entries({ prefix: ['datastream'] })) keys.push(key)
  expect(keys).toEqual([['datastream', 'generation']])
  await streams.create({ name: 's', shardCount: 1 })
  expect(streams.consumers('s').list()).toEqual([])
})

test('of two that register one name at once, one succeeds', async () => {
  const { streams } = await start()
  const consumers = streams.consumers('s')

  const outcomes = await Promise.allSettled([
    consumers.register({ name: 'a', tags: {} }, 20),
    consumers.register({ name: 'a', tags: {} }, 20),
  ])

  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})
