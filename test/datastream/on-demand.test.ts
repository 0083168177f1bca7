import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDataStreams, type DataStreams } from '../../src/datastream/index.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

const MINUTE = 60_000
const DAY = 24 * 3_600_000

async function start(mode: 'ON_DEMAND' | 'PROVISIONED' = 'ON_DEMAND') {
  const meta = await scratchMetaStore()
  const clock = new ManualClock()
  const observed = createObserved()
  const directory = join(await scratchDirectory(), 'datastream')
  const options = { trimIntervalMs: 365 * DAY }
  const open = async () =>
    untilTestEnds(await openDataStreams({ directory, meta, clock, ...observed }, options))
  const streams = await open()
  await streams.create({ name: 's', shardCount: 4, mode })
  await clock.sleeping(MINUTE)
  return { clock, observed, open, streams }
}

/** So many megabytes per second for a minute, by keys of all shards or by one. */
async function load(streams: DataStreams, megabytes: number, key?: string) {
  const data = Buffer.alloc(1_000_000)
  for (let i = 0; i < megabytes * 60; i += 20) {
    const records = Array.from({ length: 20 }, (_, n) => {
      return { data, partitionKey: key ?? `key ${i + n}` }
    })
    await streams.put('s', records)
  }
}

async function minute(clock: ManualClock) {
  clock.advance(MINUTE)
  await clock.sleeping(MINUTE)
}

const openShards = (streams: DataStreams) =>
  streams.describe('s').shards.filter(({ endingSequenceNumber }) => endingSequenceNumber === null)

test('a stream grows with its peak, keeps it for thirty days, and shrinks then', async () => {
  const { streams, clock, open } = await start()
  await load(streams, 3)
  await minute(clock)
  expect(openShards(streams)).toHaveLength(8) // each took more than half of what it can
  await streams[Symbol.asyncDispose]()

  const again = await open()
  await clock.sleeping(MINUTE)
  await minute(clock)
  expect(openShards(again)).toHaveLength(6) // twice 2.9 MiB/s
  clock.advance(31 * DAY)
  await clock.sleeping(MINUTE)
  expect(openShards(again)).toHaveLength(4)
}, 30_000)

test('a provisioned stream stays as it is, and a hot key is told', async () => {
  const { streams, clock, observed } = await start('PROVISIONED')
  await load(streams, 1, 'the one')
  await minute(clock)

  expect(openShards(streams)).toHaveLength(4)
  const { fields } = await observed.recorder.first(({ name }) => name === 'hotKey')
  expect(fields).toMatchObject({ stream: 's', key: 'the one', share: 1 })
}, 30_000)

test('warm throughput is there within a minute', async () => {
  const { streams, clock } = await start()
  await streams.update('s', { warmMiBps: 9 })
  await minute(clock)
  await minute(clock)

  expect(openShards(streams)).toHaveLength(9)
})
