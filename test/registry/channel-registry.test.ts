import { expect, test } from 'vitest'
import { toStreamId } from '../../src/domain/stream.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { openChannelRegistry } from '../../src/registry/index.ts'
import { scratchMetaStore } from '../support/scratch.ts'

const TERMS = { messageTtlSeconds: 60, tags: {} }

test('channels and their changes survive a restart, in order of the name', async () => {
  const meta = await scratchMetaStore()
  const channels = await openChannelRegistry(meta, systemClock)
  await channels.create({ name: 'b', ...TERMS })
  await channels.create({ name: 'a', ...TERMS })
  await channels.update('b', () => ({ tags: { k: 'v' } }))
  await channels.changeStorage('b', () => toStreamId('x', 1))
  const reopened = await openChannelRegistry(meta, systemClock)

  expect(reopened.list()).toEqual(channels.list())
  expect(reopened.list()).toMatchObject([
    { name: 'a', storageStreamId: null },
    {
      name: 'b',
      storageStreamId: 'x~1',
      tags: { k: 'v' },
      createdAt: expect.any(Number) as number,
    },
  ])
})

test('a change of what the version is of makes another one', async () => {
  const channels = await openChannelRegistry(await scratchMetaStore(), systemClock)
  const { version } = await channels.create({ name: 'a', ...TERMS })

  expect((await channels.update('a', () => ({ tags: { k: 'v' } }))).version).toBe(version)
  expect((await channels.update('a', () => ({ messageTtlSeconds: 5 }))).version).not.toBe(version)
})

test('what a check throws keeps the channel', async () => {
  const channels = await openChannelRegistry(await scratchMetaStore(), systemClock)
  await channels.create({ name: 'a', ...TERMS })
  const refuse = () => {
    throw new Error('of a test')
  }

  await expect(channels.delete('a', refuse)).rejects.toThrow('of a test')
  await expect(channels.update('a', refuse)).rejects.toThrow('of a test')
  expect(channels.find('a')).toMatchObject(TERMS)
  await channels.delete('a', () => undefined)
  expect(channels.list()).toEqual([])
})

test.each([
  { code: 'ChannelExists', act: 'create' as const },
  { code: 'ChannelNotFound', act: 'update' as const },
  { code: 'ChannelNotFound', act: 'delete' as const },
])('$code', async ({ code, act }) => {
  const channels = await openChannelRegistry(await scratchMetaStore(), systemClock)
  await channels.create({ name: 'taken', ...TERMS })
  const acts = {
    create: () => channels.create({ name: 'taken', ...TERMS }),
    update: () => channels.update('nobody', () => ({})),
    delete: () => channels.delete('nobody', () => undefined),
  }

  await expect(acts[act]()).rejects.toMatchObject({ code })
})
