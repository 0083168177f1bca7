import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  openDataStreams,
  type DataStreams,
  type DataStreamsOptions,
} from '../../src/datastream/index.ts'
import type { MetaStore } from '../../src/platform/meta-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'
import { readLineage } from './read-lineage.ts'

const FIRST = 'shardId-000000000000'
const HALF = (1n << 127n).toString()
const LIMITS = { maxRecords: 7, maxBytes: 10 << 20 }
const DAY = 24 * 3_600_000

async function start(options: Partial<DataStreamsOptions> = {}, wrap = (meta: MetaStore) => meta) {
  const meta = wrap(await scratchMetaStore())
  const clock = new ManualClock()
  const directory = join(await scratchDirectory(), 'datastream')
  const open = async () =>
    untilTestEnds(await openDataStreams({ directory, meta, clock, ...createObserved() }, options))
  return { clock, directory, open, streams: await open() }
}

async function put(streams: DataStreams, ...keys: string[]) {
  const records = keys.map((partitionKey) => ({ data: Buffer.from(partitionKey), partitionKey }))
  return streams.put('s', records)
}

describe('resharding', () => {
  test('children take the records, the parent ends with all of its own', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    await put(streams, 'a', 'b')
    const tip = await streams.seek('s', FIRST, { type: 'LATEST' })
    const waiting = streams.waitAt(tip, new AbortController().signal)

    await streams.split('s', FIRST, HALF)

    await waiting
    expect(await streams.read(tip, LIMITS)).toMatchObject({ records: [], next: null })
    const { status, shards } = streams.describe('s')
    expect(status).toBe('ACTIVE')
    expect(shards.map(({ parentShardId }) => parentShardId)).toEqual([null, FIRST, FIRST])
    expect(shards[0]!.endingSequenceNumber).not.toBeNull()
    expect(shards[2]!.startingHashKey).toBe(HALF)
    const results = await put(streams, ...'abcdefgh')
    expect(new Set(results.map(({ shardId }) => shardId))).toEqual(
      new Set([shards[1]!.shardId, shards[2]!.shardId]),
    )
    for (const { sequenceNumber } of results) {
      expect(BigInt(sequenceNumber)).toBeGreaterThan(BigInt(shards[0]!.endingSequenceNumber!))
    }
  })

  test('a merge names both parents', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 2 })

    await streams.merge('s', 'shardId-000000000001', FIRST)

    const child = streams.describe('s').shards[2]!
    expect([child.parentShardId, child.adjacentParentShardId]).toEqual([
      'shardId-000000000001',
      FIRST,
    ])
    expect(child.startingHashKey).toBe('0')
  })

  test('under load no record is lost or stored twice, and every key keeps its order', async () => {
    const { streams, clock } = await start()
    await streams.create({ name: 's', shardCount: 2 })
    let stop = false
    const sent = new Map<string, string[]>()
    const producers = Array.from({ length: 8 }, async (_, producer) => {
      const key = `key ${producer}`
      const values: string[] = []
      sent.set(key, values)
      for (let i = 0; !stop; i++) {
        values.push(String(i))
        await streams.put('s', [{ partitionKey: key, data: Buffer.from(String(i)) }])
      }
    })

    for (const count of [4, 3, 5, 2, 1, 2]) {
      await streams.scale('s', count)
      clock.advance(10)
      await put(streams, 'between')
    }
    stop = true
    await Promise.all(producers)

    const records = await readLineage(streams, 's')
    for (const [key, values] of sent) {
      const read = records.filter(({ partitionKey }) => partitionKey === key)
      expect(read.map(({ data }) => String(data))).toEqual(values)
      const numbers = read.map(({ sequenceNumber }) => BigInt(sequenceNumber))
      expect(numbers).toEqual([...numbers].sort((a, b) => (a < b ? -1 : 1)))
    }
    expect(records).toHaveLength([...sent.values()].flat().length + 6)
  })

  test('everything is as it was after a restart, and numbers of shards are not given out twice', async () => {
    const { streams, open } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    await put(streams, 'a')
    await streams.split('s', FIRST, HALF)
    await put(streams, 'b', 'c')
    const before = streams.describe('s')
    await streams[Symbol.asyncDispose]()

    const again = await open()

    expect(again.describe('s')).toEqual(before)
    expect((await readLineage(again, 's')).map(({ partitionKey }) => partitionKey).sort()).toEqual([
      ...'abc',
    ])
    await again.merge('s', 'shardId-000000000001', 'shardId-000000000002')
    expect(again.describe('s').shards.at(-1)!.shardId).toBe('shardId-000000000003')
  })

  test('a change that cannot be written changes nothing', async () => {
    let failing = false
    const { streams, open } = await start({}, (meta) => ({
      get: (key) => meta.get(key),
      entries: (range) => meta.entries(range),
      commit: (batch) => (failing ? Promise.reject(new Error('full')) : meta.commit(batch)),
      [Symbol.asyncDispose]: () => meta[Symbol.asyncDispose](),
    }))
    await streams.create({ name: 's', shardCount: 1 })
    const before = streams.describe('s')
    failing = true

    await expect(streams.split('s', FIRST, HALF)).rejects.toThrow('full')

    failing = false
    expect(streams.describe('s')).toEqual(before)
    await put(streams, 'still open')
    await streams[Symbol.asyncDispose]()
    expect((await open()).describe('s')).toEqual(before)
  })

  test('a stream that is being changed refuses the next change', async () => {
    const { streams } = await start()
    await streams.create({ name: 's', shardCount: 1 })
    const split = streams.split('s', FIRST, HALF)

    expect(streams.describe('s').status).toBe('UPDATING')
    await expect(streams.scale('s', 2)).rejects.toMatchObject({
      code: 'ResourceInUseException',
      message: 'Stream s not ACTIVE, instead in state UPDATING',
    })
    await split
  })

  test('a closed shard goes with its last record, from the listing and from the disk', async () => {
    const { streams, clock, directory, open } = await start({ trimIntervalMs: 1000 })
    await streams.create({ name: 's', shardCount: 1 })
    await put(streams, 'a')
    await streams.split('s', FIRST, HALF)
    await put(streams, 'b', 'c')
    const generation = String(streams.describe('s').createdAt)
    await clock.sleeping(1000)

    clock.advance(DAY + 2000)
    expect(streams.describe('s').shards.map(({ shardId }) => shardId)).not.toContain(FIRST)
    await clock.sleeping(1000) // the round is over

    expect((await readdir(join(directory, generation))).sort()).not.toContain('0')
    await streams[Symbol.asyncDispose]()
    const again = await open()
    expect(again.describe('s').shards).toHaveLength(2)
    await again.split('s', 'shardId-000000000001', '9')
    expect(again.describe('s').shards.at(-1)!.shardId).toBe('shardId-000000000004')
  })

  test('the shard limit counts what is added', async () => {
    const { streams } = await start({ maxShards: 3 })
    await streams.create({ name: 's', shardCount: 2 })
    await streams.scale('s', 3)

    await expect(streams.scale('s', 4)).rejects.toMatchObject({ code: 'LimitExceededException' })
    await streams.scale('s', 2)
  })
})
