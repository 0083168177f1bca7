import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { recordsCommand } from '../../src/cli/records.ts'
import { ACCESS_KEY, runKinesisApi } from '../api/kinesis/running-api.ts'
import { scratchDirectory } from '../support/scratch.ts'

const lines: string[] = []

beforeEach(() => {
  lines.length = 0
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line))
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

/** A running API, and the command with a configuration that leads to it. */
async function start(options: Parameters<typeof runKinesisApi>[0] = {}) {
  const api = await runKinesisApi(options)
  const config = join(await scratchDirectory(), 'kinora.yaml')
  const key = { accessKeyId: ACCESS_KEY.accessKeyId, secretAccessKey: ACCESS_KEY.secretAccessKey }
  await writeFile(config, JSON.stringify({ auth: { accessKeys: [key] } }))
  vi.stubEnv('KINORA_URL', api.endpoint)
  await api.dataStreams.create({ name: 's', shardCount: 1 })
  const records = async (...args: string[]) => {
    lines.length = 0
    await recordsCommand.run([...args, '--config', config])
    return [...lines]
  }
  return { api, records }
}

test('what is put is followed over a split, parents first', async () => {
  const { api, records } = await start()
  expect(await records('put', 's', 'one', 'two', '--key', 'k')).toEqual(['Put 2 records.'])
  await api.dataStreams.split('s', 'shardId-000000000000', (1n << 127n).toString())
  await records('put', 's', 'three', '--key', 'k')

  const tailed = await records('tail', 's', '--from', 'oldest', '--once', '--json')

  const parsed = tailed.map((line) => JSON.parse(line) as { data: string; key: string })
  expect(parsed.map(({ data, key }) => [data, key])).toEqual([
    ['one', 'k'],
    ['two', 'k'],
    ['three', 'k'],
  ])
})

test('the records of a merged shard come behind those of both its parents', async () => {
  const { api, records } = await start()
  const [low, high] = ['shardId-000000000001', 'shardId-000000000002']
  await api.dataStreams.split('s', 'shardId-000000000000', (1n << 127n).toString())
  const put = (text: string, explicitHashKey: string) =>
    api.dataStreams.put('s', [{ partitionKey: 'k', explicitHashKey, data: Buffer.from(text) }])
  await put('low', '0')
  // More than one read takes, so that the other parent ends first.
  for (let i = 0; i < 24; i++) await put('x'.repeat(1_000_000) + i, (1n << 127n).toString())
  await api.dataStreams.merge('s', low, high)
  await put('merged', '0')

  const tailed = await records('tail', 's', '--from', 'oldest', '--once')

  expect(tailed).toHaveLength(26)
  expect(tailed.at(-1)).toMatch(/shardId-000000000003 {2}k {2}merged$/)
})

test('over a shard’s limits, puts and reads take their time and nothing is lost', async () => {
  const { api, records } = await start({ capacity: 'enforce' })
  const texts = Array.from({ length: 3 }, (_, i) => String(i).repeat(600_000))
  const shard = ['s', 'shardId-000000000000', { type: 'TRIM_HORIZON' }] as const
  const time = setInterval(() => api.clock.advance(1000), 20)
  try {
    expect(await records('put', 's', ...texts, '--key', 'k')).toEqual(['Put 3 records.'])
    clearInterval(time)
    const oldest = await api.dataStreams.seek(...shard)
    const isOver = () =>
      api.dataStreams.poll(oldest, { maxRecords: 1, maxBytes: 1 }).then(
        () => false,
        () => true,
      )
    while (!(await isOver()));
    const tailing = records('tail', 's', '--from', 'oldest', '--once')
    const later = setInterval(() => api.clock.advance(1000), 20)

    const tailed = await tailing.finally(() => clearInterval(later))

    expect(tailed.map((line) => line.at(-1)).toSorted()).toEqual(['0', '1', '2'])
  } finally {
    clearInterval(time)
  }
})

test('what is encrypted on its way is noise to the service, and text to who has the key', async () => {
  const { api, records } = await start()
  const folder = await scratchDirectory()
  const [file, other] = [join(folder, 'key'), join(folder, 'other')]
  await writeFile(file, `${'0f'.repeat(32)}\n`)
  await writeFile(other, 'f0'.repeat(32))
  await records('put', 's', 'plain', '--key', 'k')
  await records('put', 's', 'secret', '--key', 'k', '--encrypt', file)
  const tail = async (...more: string[]) => {
    const tailed = await records('tail', 's', '--from', 'oldest', '--once', '--json', ...more)
    return tailed.map((line) => (JSON.parse(line) as { data: string }).data)
  }

  expect(await tail('--decrypt', file)).toEqual(['plain', 'secret'])
  const stored = await api.dataStreams.newest('s', 1)
  expect(Buffer.from(stored[0]!.data).includes('secret')).toBe(false)
  await expect(tail('--decrypt', other)).rejects.toMatchObject({ code: 'KMSNotFoundException' })
})

test('a stream is described with its shards', async () => {
  const { api, records } = await start()
  await api.dataStreams.split('s', 'shardId-000000000000', (1n << 127n).toString())

  expect(await records('describe', 's')).toEqual([
    [
      's  ACTIVE  PROVISIONED',
      'retention 24 h, encryption NONE, 0.0 MiB stored',
      '  shardId-000000000000  closed',
      '  shardId-000000000001  open  from shardId-000000000000',
      '  shardId-000000000002  open  from shardId-000000000000',
    ].join('\n'),
  ])
})

test('a stream is described with all of its shards, more than one answer holds', async () => {
  const { api, records } = await start()
  await api.dataStreams.create({ name: 'wide', shardCount: 130 })

  const [text] = await records('describe', 'wide')

  expect(text!.split('\n').filter((line) => line.includes('shardId-'))).toHaveLength(130)
})

test('a stream that is not there is told in the service’s words', async () => {
  const { records } = await start()

  await expect(records('describe', 'none')).rejects.toMatchObject({
    code: 'ResourceNotFoundException',
    message: 'Stream none under account 000000000000 not found.',
  })
})
