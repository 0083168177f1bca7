import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DEFAULT_KEY_ID, MasterKeys, openDataStreams } from '../../src/datastream/index.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

const SHARD = 'shardId-000000000000'
const LIMITS = { maxRecords: 1000, maxBytes: 10 << 20 }
const KEYS = new MasterKeys(
  new Map([
    [DEFAULT_KEY_ID, Buffer.alloc(32, 1)],
    ['alias/own', Buffer.alloc(32, 2)],
  ]),
)
const OWN_ARN = 'arn:aws:kms:eu-west-1:000000000000:alias/own'

async function start() {
  const meta = await scratchMetaStore()
  const clock = new ManualClock()
  const directory = join(await scratchDirectory(), 'datastream')
  const open = async (masterKeys = KEYS) =>
    untilTestEnds(
      await openDataStreams({ directory, meta, clock, masterKeys, ...createObserved() }),
    )
  const streams = await open()
  await streams.create({ name: 's', shardCount: 1 })
  const put = (text: string, to = streams) =>
    to.put('s', [{ data: Buffer.from(text), partitionKey: `key of ${text}` }])
  const read = async (from = streams) => {
    const position = await from.seek('s', SHARD, { type: 'TRIM_HORIZON' })
    const { records } = await from.read(position, LIMITS)
    return records.map(({ data, partitionKey, isEncrypted = false }) => {
      return [String(data), partitionKey, isEncrypted]
    })
  }
  /** All that is on the disk of the stream's shards. */
  const bytes = async () => {
    const folder = join(directory, String(streams.describe('s').createdAt), '0')
    const files = (await readdir(folder)).map((name) => readFile(join(folder, name)))
    return Buffer.concat(await Promise.all(files))
  }
  return { meta, open, streams, put, read, bytes }
}

test('neither data nor keys of what is put under encryption are on the disk', async () => {
  const { streams, put, read, bytes } = await start()
  await put('plain text')
  await streams.update('s', { encryption: { keyId: DEFAULT_KEY_ID } })
  await put('hidden text')
  await streams.update('s', { encryption: null })
  await put('open text')

  const stored = await bytes()
  expect(stored.includes('plain text')).toBe(true)
  expect(stored.includes('hidden')).toBe(false)
  expect(await read()).toEqual([
    ['plain text', 'key of plain text', false],
    ['hidden text', 'key of hidden text', true],
    ['open text', 'key of open text', false],
  ])
})

test('a restart and another key leave what was encrypted readable', async () => {
  const { streams, put, read, open } = await start()
  await streams.update('s', { encryption: { keyId: DEFAULT_KEY_ID } })
  await put('first')
  await streams[Symbol.asyncDispose]()
  const again = await open()
  await put('second', again)
  await again.update('s', { encryption: { keyId: OWN_ARN } })
  await put('third', again)

  expect((await read(again)).map(([text]) => text)).toEqual(['first', 'second', 'third'])
})

test('followers of the tip get plain records', async () => {
  const { streams, put } = await start()
  await streams.update('s', { encryption: { keyId: DEFAULT_KEY_ID } })
  await streams.consumers('s').register({ name: 'c', tags: {} }, 20)
  const ends = new AbortController()
  const events = await streams.subscribe(
    's',
    { consumer: 'c', shardId: SHARD, start: { type: 'LATEST' } },
    ends.signal,
  )
  const iterator = events[Symbol.asyncIterator]()
  await iterator.next()
  await put('pushed')

  const pushed = await iterator.next()

  expect(pushed.done).toBe(false)
  if (pushed.done !== true) expect(String(pushed.value.records[0]!.data)).toBe('pushed')
  await iterator.return!()
})

describe('keys', () => {
  test('one that does not exist is not taken, and the stream stays as it was', async () => {
    const { streams, put, read } = await start()

    await expect(
      streams.update('s', { encryption: { keyId: 'alias/none' } }),
    ).rejects.toMatchObject({ code: 'KMSNotFoundException' })
    await put('x')
    expect((await read())[0]![2]).toBe(false)
  })

  test('without its key, or with another, a stream is neither written nor read', async () => {
    const { streams, put, read, open } = await start()
    await streams.update('s', { encryption: { keyId: DEFAULT_KEY_ID } })
    await put('x')
    await streams[Symbol.asyncDispose]()

    const without = await open(new MasterKeys(new Map()))
    await expect(read(without)).rejects.toMatchObject({ code: 'KMSNotFoundException' })
    await expect(put('y', without)).rejects.toMatchObject({ code: 'KMSNotFoundException' })
    await without[Symbol.asyncDispose]()
    const other = await open(new MasterKeys(new Map([[DEFAULT_KEY_ID, Buffer.alloc(32, 9)]])))
    await expect(read(other)).rejects.toMatchObject({ code: 'KMSAccessDeniedException' })
    await other[Symbol.asyncDispose]()
    expect(await read(await open())).toHaveLength(1)
  })

  test('go with their stream', async () => {
    const { streams, put, meta } = await start()
    await streams.update('s', { encryption: { keyId: DEFAULT_KEY_ID } })
    await put('x')
    await streams.delete('s')

    const keys = []
    for await (const { key } of meta.entries({ prefix: ['datastream'] })) keys.push(key)
    expect(keys).toEqual([['datastream', 'generation']])
  })
})
