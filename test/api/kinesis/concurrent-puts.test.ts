import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { encodeCbor } from '../../../src/api/aws/cbor.ts'
import type { DataStreams, StoredRecord } from '../../../src/datastream/index.ts'
import { FaultyDisk } from '../../datastream/faulty-disk.ts'
import { eventually } from '../../support/service.ts'
import { runKinesisApi, type RunningApi } from './running-api.ts'
import { call, CBOR_TYPE, JSON_TYPE, send } from './signed-call.ts'

// Requests lie in memory that is used again. Every record's key is the hash of its data, so data that
// another request wrote over is seen wherever it is read.

const SHARDS = 4
const LOOPS = 6
const PUTS = 6
const RECORDS = 60
const NO_LIMITS = { maxRecords: 1_000_000, maxBytes: 1 << 30 }

const hashOf = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

type Format = { readonly type: string; readonly write: (records: readonly Buffer[]) => unknown }

const json: Format = {
  type: JSON_TYPE,
  write: (records) => ({
    StreamName: 'cam',
    Records: records.map((data) => ({ Data: data.toString('base64'), PartitionKey: hashOf(data) })),
  }),
}
const cbor: Format = {
  type: CBOR_TYPE,
  write: (records) =>
    encodeCbor({
      StreamName: 'cam',
      Records: records.map((data) => ({ Data: data, PartitionKey: hashOf(data) })),
    }),
}

/** About 150 KB: several chunks of a connection. */
const recordsOfOnePut = () =>
  Array.from({ length: RECORDS }, () => randomBytes(2000 + Math.floor(Math.random() * 1000)))

async function put(api: RunningApi, { type, write }: Format): Promise<number> {
  const { text, status } = await call(api, 'PutRecords', write(recordsOfOnePut()), { type })
  if (status !== 200) return 0
  if (type === CBOR_TYPE) return RECORDS
  return RECORDS - (JSON.parse(text) as { FailedRecordCount: number }).FailedRecordCount
}

/** @returns how many records were stored */
async function putAtOnce(api: RunningApi, formats: readonly Format[]): Promise<number> {
  const stored = Array.from({ length: LOOPS }, async (_, loop) => {
    let count = 0
    for (let i = 0; i < PUTS; i++) count += await put(api, formats[loop % formats.length]!)
    return count
  })
  return (await Promise.all(stored)).reduce((sum, count) => sum + count, 0)
}

async function readAll(streams: DataStreams): Promise<readonly StoredRecord[]> {
  const records: StoredRecord[] = []
  for (const { shardId } of streams.describe('cam').shards) {
    const position = await streams.seek('cam', shardId, { type: 'TRIM_HORIZON' })
    records.push(...(await streams.read(position, NO_LIMITS)).records)
  }
  return records
}

function expectSound(records: readonly StoredRecord[]): void {
  const damaged = records.filter(({ data, partitionKey }) => hashOf(data) !== partitionKey)
  expect(damaged.map(({ sequenceNumber }) => sequenceNumber)).toEqual([])
}

test.each([
  { of: 'JSON', formats: [json] },
  { of: 'CBOR', formats: [cbor] },
  { of: 'both', formats: [json, cbor] },
])('records put at once in $of are read as they were put', async ({ formats }) => {
  const api = await runKinesisApi()
  await api.dataStreams.create({ name: 'cam', shardCount: SHARDS })

  const stored = await putAtOnce(api, formats)
  const records = await readAll(api.dataStreams)

  expect(stored).toBe(LOOPS * PUTS * RECORDS)
  expect(records).toHaveLength(stored)
  expectSound(records)
})

test.each([
  { of: 'JSON', formats: [json] },
  { of: 'CBOR', formats: [cbor] },
])('what a subscriber got of $of stays as it was put', async ({ formats }) => {
  const api = await runKinesisApi()
  const { dataStreams } = api
  await dataStreams.create({ name: 'cam', shardCount: 1 })
  await dataStreams.consumers('cam').register({ name: 'app', tags: {} }, 1)
  const [shard] = dataStreams.describe('cam').shards
  const stop = new AbortController()
  const events = await dataStreams.subscribe(
    'cam',
    { consumer: 'app', shardId: shard!.shardId, start: { type: 'TRIM_HORIZON' } },
    stop.signal,
  )
  const pushed: StoredRecord[] = []
  const subscribed = (async () => {
    for await (const event of events) pushed.push(...event.records)
  })().catch(() => undefined) // it is stopped

  const stored = await putAtOnce(api, formats)
  await eventually(() => (pushed.length === stored ? true : null), 30)
  stop.abort(new Error('seen enough'))
  await subscribed

  expectSound(pushed)
})

test('a disk that fails now and then loses what it says, and damages nothing', async () => {
  const disk = new FaultyDisk()
  const api = await runKinesisApi({ segment: { disk } })
  await api.dataStreams.create({ name: 'cam', shardCount: SHARDS })
  await put(api, json)
  let syncs = 0
  disk.failSyncWhen = () => ++syncs % 3 === 0

  const stored = await putAtOnce(api, [json])
  const records = await readAll(api.dataStreams)

  expect(stored).toBeLessThan(LOOPS * PUTS * RECORDS)
  expect(records).toHaveLength(RECORDS + stored)
  expectSound(records)
})

test('what clients put that did not wait for the answer is stored as it was put', async () => {
  const disk = new FaultyDisk()
  const api = await runKinesisApi({ segment: { disk } })
  await api.dataStreams.create({ name: 'cam', shardCount: SHARDS })
  await put(api, json)
  let open!: () => void
  disk.gate = new Promise((resolve) => (open = resolve))

  const impatient = new AbortController()
  const left = Array.from({ length: LOOPS }, () =>
    send(api, 'PutRecords', json.write(recordsOfOnePut()), { signal: impatient.signal }).catch(
      () => null,
    ),
  )
  await eventually(() => (disk.waiting === SHARDS ? true : null), 30)
  impatient.abort()
  await Promise.all(left)
  const others = putAtOnce(api, [json])
  open()
  const stored = await others
  const records = await readAll(api.dataStreams)

  expect(stored).toBe(LOOPS * PUTS * RECORDS)
  expect(records.length).toBeGreaterThan(RECORDS + stored)
  expectSound(records)
})
