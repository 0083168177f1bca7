import {
  DescribeLimitsCommand,
  DescribeStreamConsumerCommand,
  ListShardsCommand,
  ListStreamsCommand,
  StartStreamEncryptionCommand,
  StopStreamEncryptionCommand,
  type KinesisClient,
} from '@aws-sdk/client-kinesis'
import { expect, test } from 'vitest'
import { runKinesisApi } from './running-api.ts'

const LIMIT = { name: 'LimitExceededException' }

async function start(quotas: 'enforce' | 'off') {
  const api = await runKinesisApi({ quotas, maxShards: 1000 })
  await api.dataStreams.create({ name: 's', shardCount: 1 })
  // One attempt: the SDK waits and calls again otherwise.
  return { api, client: api.client('HTTP/1.1', undefined, 1) }
}

async function countPassing(calls: number, call: () => Promise<unknown>): Promise<number> {
  for (let passed = 0; passed < calls; passed++) {
    try {
      await call()
    } catch (error) {
      expect(error).toMatchObject(LIMIT)
      return passed
    }
  }
  return calls
}

const CALLS = [
  { most: 1, call: (client: KinesisClient) => client.send(new DescribeLimitsCommand({})) },
  { most: 5, call: (client: KinesisClient) => client.send(new ListStreamsCommand({})) },
]

test('operations are called as often per second as the service allows, each for itself', async () => {
  const { api, client } = await start('enforce')

  for (const { most, call } of CALLS) expect(await countPassing(30, () => call(client))).toBe(most)
  api.clock.advance(1000)
  for (const { most, call } of CALLS) {
    const later = api.client('HTTP/1.1', undefined, 1)
    expect(await countPassing(30, () => call(later))).toBe(most)
  }
})

test('without quotas nothing is limited', async () => {
  const { client } = await start('off')

  for (const { call } of CALLS) expect(await countPassing(30, () => call(client))).toBe(30)
})

test('a rate per stream is of that stream', async () => {
  const { api, client } = await start('enforce')
  await api.dataStreams.create({ name: 't', shardCount: 1 })
  for (const name of ['s', 't'])
    await api.dataStreams.consumers(name).register({ name: 'c', tags: {} }, 20)
  const describe = (stream: string) =>
    client.send(
      new DescribeStreamConsumerCommand({
        StreamARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`,
        ConsumerName: 'c',
      }),
    )

  expect(await countPassing(30, () => describe('s'))).toBe(20)
  expect(await countPassing(30, () => describe('t'))).toBe(20)
  await client.send(new ListShardsCommand({ StreamName: 's' }))
})

test('encryption is started and stopped 25 times a day each', async () => {
  const { api } = await start('enforce')
  const toggle = async (
    Command: typeof StartStreamEncryptionCommand | typeof StopStreamEncryptionCommand,
  ) => {
    api.clock.advance(1000)
    const client = api.client('HTTP/1.1', undefined, 1)
    await client.send(
      new Command({ StreamName: 's', EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' }),
    )
  }

  expect(await countPassing(26, () => toggle(StartStreamEncryptionCommand))).toBe(25)
  expect(await countPassing(26, () => toggle(StopStreamEncryptionCommand))).toBe(25)
})

test('there are 50 on-demand streams, and one more when quotas are off', async () => {
  for (const { quotas, refused } of [
    { quotas: 'enforce', refused: true },
    { quotas: 'off', refused: false },
  ] as const) {
    const { api } = await start(quotas)
    for (let i = 0; i < 50; i++) {
      await api.dataStreams.create({ name: `d${i}`, shardCount: 1, mode: 'ON_DEMAND' })
    }
    const created = api.dataStreams.create({ name: 'more', shardCount: 1, mode: 'ON_DEMAND' })
    const switched = api.dataStreams.update('s', { mode: 'ON_DEMAND' })

    const outcomes = await Promise.allSettled([created, switched])
    expect(outcomes.map(({ status }) => status === 'rejected')).toEqual([refused, refused])
  }
})
