import { createHash } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  openDataStreams,
  PartialPutError,
  type DataStreams,
  type DataStreamsOptions,
  type StoredRecord,
} from '../../src/datastream/index.ts'
import { epochMs } from '../../src/domain/time.ts'
import { nodeDisk, type LogDisk } from '../../src/datastream/log-disk.ts'
import type { MetaStore } from '../../src/platform/meta-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'
import { FaultyDisk } from './faulty-disk.ts'

const SHARD = 'shardId-000000000000'
const LIMITS = { maxRecords: 10_000, maxBytes: 10 << 20 }
const DAY = 24 * 3_600_000

async function start(options: Partial<DataStreamsOptions> = {}) {
  const meta = await scratchMetaStore()
  const clock = new ManualClock()
  const directory = join(await scratchDirectory(), 'datastream')
  const observed = createObserved()
  const open = async () =>
    untilTestEnds(await openDataStreams({ directory, meta, clock, ...observed }, options))
  return { meta, clock, directory, observed, open, streams: await open() }
}

async function put(streams: DataStreams, stream: string, ...texts: string[]) {
  return streams.put(
    stream,
    texts.map((text) => ({ data: Buffer.from(text), partitionKey: 'key' })),
  )
}

async function readAll(streams: DataStreams, stream: string, shardId = SHARD) {
  const position = await streams.seek(stream, shardId, { type: 'TRIM_HORIZON' })
  return (await streams.read(position, LIMITS)).records
}

const toTexts = (records: readonly StoredRecord[]) => records.map(({ data }) => String(data))

describe('placement', () => {
  test.each([1, 2, 3, 7, 16])(
    '%i shards cover the hash space without gap or overlap',
    async (n) => {
      const { streams } = await start()
      await streams.create({ name: 's', shardCount: n })

      const { shards } = streams.describe('s')

      expect(shards).toHaveLength(n)
      expect(shards[0]!.startingHashKey).toBe('0')
      expect(shards.at(-1)!.endingHashKey).toBe((2n ** 128n - 1n).toString())
      for (let i = 1; i < n; i++) {
        expect(BigInt(shards[i]!.startingHashKey)).toBe(BigInt(shards[i - 1]!.endingHashKey) + 1n)
      }
    },
  )

  test('a record goes to the shard whose range holds the MD5 of its key', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 5 })
    const { shards } = streams.describe('s')
    const keys = Array.from({ length: 200 }, (_, i) => `ключ ${i}`)

    const results = await streams.put(
      's',
      keys.map((partitionKey) => ({ data: Buffer.from(partitionKey), partitionKey })),
    )

    for (const [i, key] of keys.entries()) {
      const hash = BigInt(`0x${createHash('md5').update(key, 'utf8').digest('hex')}`)
      const shard = shards.find(
        (one) => BigInt(one.startingHashKey) <= hash && hash <= BigInt(one.endingHashKey),
      )
      expect(results[i]!.shardId).toBe(shard!.shardId)
    }
  })

  test('an explicit hash key decides, at both ends of a range', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 3 })
    const { shards } = streams.describe('s')
    const ends = shards.flatMap((shard) => [shard.startingHashKey, shard.endingHashKey])

    const results = await streams.put(
      's',
      ends.map((explicitHashKey) => ({
        data: Buffer.alloc(0),
        partitionKey: 'k',
        explicitHashKey,
      })),
    )

    const expected = shards.flatMap(({ shardId }) => [shardId, shardId])
    expect(results.map(({ shardId }) => shardId)).toEqual(expected)
  })

  test('one explicit hash key out of range fails the whole put', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    const record = { data: Buffer.from('x'), partitionKey: 'k' }

    await expect(
      streams.put('s', [record, { ...record, explicitHashKey: (2n ** 128n).toString() }]),
    ).rejects.toMatchObject({ code: 'InvalidArgumentException' })
    expect(await readAll(streams, 's')).toEqual([])
  })
})

describe('durability', () => {
  test('streams and records are there after a restart, and the numbers go on', async () => {
    const { streams, open, clock } = await start()
    await streams.create({ name: 's', shardCount: 2, retentionHours: 48, tags: { a: 'b' } })
    const before = await put(streams, 's', 'a', 'b')
    const described = streams.describe('s')
    await streams[Symbol.asyncDispose]()
    clock.advance(1000)

    const again = await open()

    const horizon = epochMs(described.horizon + 1000) // goes with the time
    expect(again.describe('s')).toEqual({ ...described, horizon })
    expect(again.settings('s')).toMatchObject({ maxRecordKiB: 1024, tags: { a: 'b' } })
    const { shardId } = before[0]!
    expect(toTexts(await readAll(again, 's', shardId))).toEqual(['a', 'b'])
    const [after] = await put(again, 's', 'c')
    expect(after!.sequenceNumber > before[1]!.sequenceNumber).toBe(true)
  })

  test('a deleted stream leaves no file and no row', async () => {
    const { streams, directory, meta } = await start()
    await streams.create({ name: 's', shardCount: 2 })
    await put(streams, 's', 'a')
    expect(await readdir(directory)).toHaveLength(1)

    await streams.delete('s')

    expect(await readdir(directory)).toEqual([])
    expect(await rowsOf(meta)).toEqual([['datastream', 'generation']])
    expect(streams.list()).toEqual([])
    expect(() => streams.describe('s')).toThrow('not found')
  })

  test('a deletion that a crash interrupted is finished at start', async () => {
    const { streams, directory, meta, open } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    await put(streams, 's', 'kept')
    await streams[Symbol.asyncDispose]()
    await mkdir(join(directory, '1234', '0'), { recursive: true })
    await writeFile(join(directory, '1234', '0', '0000000000000000.log'), 'left over')
    await meta.commit({ puts: [{ key: ['datastream', 'garbage', 1234], value: 'gone' }] })

    const again = await open()

    expect(toTexts(await readAll(again, 's'))).toEqual(['kept'])
    await again[Symbol.asyncDispose]() // it is done then
    expect(await readdir(directory)).toEqual([String(again.describe('s').createdAt)])
    expect((await rowsOf(meta)).filter((key) => key[1] === 'garbage')).toEqual([])
  })

  test('a stream created at the very time of its predecessor is another generation', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    await put(streams, 's', 'old')
    const position = await streams.seek('s', SHARD, { type: 'TRIM_HORIZON' })
    await streams.delete('s')
    await streams.create({ name: 's', shardCount: 1 })

    await expect(streams.read(position, LIMITS)).rejects.toMatchObject({ kind: 'not-found' })
    expect(await readAll(streams, 's')).toEqual([])
  })

  test('of concurrent creations of one name, one succeeds', async () => {
    const { streams } = await start()

    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, () => streams.create({ name: 's', shardCount: 1 })),
    )

    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await put(streams, 's', 'works')
    expect(toTexts(await readAll(streams, 's'))).toEqual(['works'])
  })

  test('a put that some shards could not store says which records are stored', async () => {
    const disk = new FaultyDisk()
    const { streams, observed } = await start({ segment: { disk } })
    await streams.create({ name: 's', shardCount: 2 })
    const { shards } = streams.describe('s')
    const records = shards.map(({ startingHashKey }, i) => ({
      data: Buffer.alloc(i === 0 ? 10 : 2000),
      partitionKey: 'k',
      explicitHashKey: startingHashKey,
    }))
    await streams.put('s', records)
    disk.freeBytes = 500

    const error = await streams.put('s', records).catch((reason: unknown) => reason)

    expect(error).toBeInstanceOf(PartialPutError)
    expect((error as PartialPutError).results.map((result) => result?.shardId ?? null)).toEqual([
      SHARD,
      null,
    ])
    const { fields } = await observed.recorder.first(({ name }) => name === 'recordsNotStored')
    expect(fields).toMatchObject({ stream: 's', shardId: 'shardId-000000000001', count: 1 })
    expect(await readAll(streams, 's')).toHaveLength(2)
  })
})

describe('retention', () => {
  test('expired segments leave the disk while the service runs', async () => {
    const { streams, clock, directory } = await start({ trimIntervalMs: 1000 })
    await streams.create({ name: 's', shardCount: 1 })
    await put(streams, 's', 'old')
    clock.advance(2 * 3_600_000)
    await put(streams, 's', 'young') // another segment: the first is too old
    const folder = join(directory, String(streams.describe('s').createdAt), '0')
    const segments = async () => (await readdir(folder)).filter((name) => name.endsWith('.log'))
    expect(await segments()).toHaveLength(2)
    await clock.sleeping(1000)

    clock.advance(DAY - 3_600_000)
    await clock.sleeping(1000) // the round is over

    expect(await segments()).toEqual(['0000000000000001.log'])
    expect(toTexts(await readAll(streams, 's'))).toEqual(['young'])
  })

  test('a shorter retention hides older records at once, a longer one does not bring trimmed back', async () => {
    const { streams, clock } = await start()
    await streams.create({ name: 's', shardCount: 1, retentionHours: 48 })
    await put(streams, 's', 'a')
    clock.advance(DAY + 1)
    await put(streams, 's', 'b')

    expect(toTexts(await readAll(streams, 's'))).toEqual(['a', 'b'])
    await streams.update('s', { retentionHours: 24 })
    expect(toTexts(await readAll(streams, 's'))).toEqual(['b'])
    expect(toTexts(await streams.newest('s', 10))).toEqual(['b'])
  })

  test('a record older than one before it, by a clock that went back, is hidden in its own time', async () => {
    const { streams, clock } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    clock.advance(1000)
    await put(streams, 's', 'later')
    clock.advance(-1000)
    await put(streams, 's', 'earlier')
    clock.advance(DAY + 500)

    expect(toTexts(await readAll(streams, 's'))).toEqual(['later'])
  })
})

describe('reading', () => {
  test('the newest come first, over all shards', async () => {
    const { streams, clock } = await start()
    await streams.create({ name: 's', shardCount: 4 })
    for (let i = 0; i < 50; i++) {
      clock.advance(1)
      await streams.put('s', [{ data: Buffer.from(`${i}`), partitionKey: `key ${i}` }])
    }

    expect(toTexts(await streams.newest('s', 5))).toEqual(['49', '48', '47', '46', '45'])
    expect(await streams.newest('s', 1000)).toHaveLength(50)
    expect(await streams.newest('s', 0)).toEqual([])
  })

  test('the newest of one millisecond are in reverse order too, and large ones are no exception', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    const large = 'x'.repeat(900_000)
    await put(streams, 's', `1${large}`, `2${large}`, `3${large}`)

    expect(toTexts(await streams.newest('s', 2)).map((text) => text[0])).toEqual(['3', '2'])
  })

  test('who waits at the tip is woken by the next record', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    const position = await streams.seek('s', SHARD, { type: 'LATEST' })
    const waiting = streams.waitAt(position, new AbortController().signal)
    await put(streams, 's', 'x')

    await waiting
    expect(toTexts((await streams.read(position, LIMITS)).records)).toEqual(['x'])
    await streams.waitAt(position, new AbortController().signal) // it is there already
  })

  test('who waits stops waiting when told so', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    const position = await streams.seek('s', SHARD, { type: 'LATEST' })
    const stopping = new AbortController()
    const waiting = streams.waitAt(position, stopping.signal)
    stopping.abort(new Error('enough'))

    await expect(waiting).rejects.toThrow('enough')
    await expect(streams.waitAt(position, stopping.signal)).rejects.toThrow('enough')
  })

  test('who waits hears of the deletion by the next read', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    const position = await streams.seek('s', SHARD, { type: 'LATEST' })
    const waiting = streams.waitAt(position, new AbortController().signal)
    await streams.delete('s')

    await waiting
    await expect(streams.read(position, LIMITS)).rejects.toMatchObject({ kind: 'not-found' })
  })

  test('a shard whose log cannot be opened fails alone', async () => {
    const { streams, directory, open } = await start()
    await streams.create({ name: 's', shardCount: 2 })
    const { shards, createdAt } = streams.describe('s')
    for (const { startingHashKey } of shards) {
      const record = { data: Buffer.from('x'), partitionKey: 'k' }
      await streams.put('s', [{ ...record, explicitHashKey: startingHashKey }])
    }
    await streams[Symbol.asyncDispose]()
    await writeFile(join(directory, String(createdAt), '0', '0000000000000000.log'), 'x'.repeat(99))

    const again = await open()

    await expect(readAll(again, 's')).rejects.toMatchObject({ code: 'LogCorrupted' })
    expect(toTexts(await readAll(again, 's', 'shardId-000000000001'))).toEqual(['x'])
  })
})

describe('the start', () => {
  async function startWithGate() {
    const gate = { open: Promise.resolve() }
    const disk: LogDisk = {
      ...nodeDisk,
      open: async (path, flags) => {
        await gate.open
        return nodeDisk.open(path, flags)
      },
    }
    const { streams, open } = await start({ segment: { disk } })
    await streams.create({ name: 's', shardCount: 2 })
    await put(streams, 's', 'one', 'two')
    await streams[Symbol.asyncDispose]()
    let openGate = () => {}
    gate.open = new Promise((resolve) => (openGate = resolve))
    return { open, openGate: () => openGate() }
  }

  test('waits for no log, so what is stored costs it nothing; who needs one waits for that', async () => {
    const { open, openGate } = await startWithGate()

    const streams = await open()
    const { shards } = streams.describe('s')
    const used = Promise.all(
      shards.flatMap(({ shardId }) => [
        streams.seek('s', shardId, { type: 'LATEST' }),
        readAll(streams, 's', shardId),
      ]),
    )
    const newest = streams.newest('s', 10)
    const added = put(streams, 's', 'three')
    openGate()

    await used
    const { shardId } = (await added)[0]!
    expect(toTexts(await readAll(streams, 's', shardId))).toEqual(['one', 'two', 'three'])
    expect(toTexts(await newest)).toEqual(expect.arrayContaining(['one', 'two']))
  })

  test('a stop before any log is open waits for what was begun and leaves the rest', async () => {
    const { open, openGate } = await startWithGate()
    const streams = await open()

    const stopped = streams[Symbol.asyncDispose]()
    openGate()

    await stopped
    await expect(put(streams, 's', 'late')).rejects.toMatchObject({ code: 'LogClosed' })
    expect(await (await open()).newest('s', 10)).toHaveLength(2)
  })
})

async function rowsOf(meta: MetaStore) {
  const keys = []
  for await (const { key } of meta.entries({ prefix: ['datastream'] })) keys.push(key)
  return keys
}
