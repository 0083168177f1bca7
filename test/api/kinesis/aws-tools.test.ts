import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { isInstalled } from '../../support/installed.ts'
import { ACCESS_KEY, ACCOUNT_ID, runKinesisApi } from './running-api.ts'

const run = promisify(execFile)
const BOTO3_CLIENT = fileURLToPath(new URL('boto3-client.py', import.meta.url))

test.skipIf(!isInstalled('aws'))(
  'the AWS CLI works against the endpoint',
  async () => {
    const api = await runKinesisApi()
    const aws = async (...args: string[]): Promise<Record<string, unknown>> => {
      const { stdout } = await run(
        'aws',
        ['--endpoint-url', api.endpoint, '--output', 'json', 'kinesis', ...args],
        {
          env: {
            ...process.env,
            AWS_ACCESS_KEY_ID: ACCESS_KEY.accessKeyId,
            AWS_SECRET_ACCESS_KEY: ACCESS_KEY.secretAccessKey,
            AWS_REGION: 'eu-west-3',
            AWS_DEFAULT_REGION: 'eu-west-3',
          },
        },
      )
      return stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>)
    }
    await aws('create-stream', '--stream-name', 'cli', '--shard-count', '2')
    await aws('put-record', '--stream-name', 'cli', '--partition-key', 'k', '--data', 'aGVsbG8=')
    await aws(
      ...['update-shard-count', '--stream-name', 'cli', '--target-shard-count', '1'],
      ...['--scaling-type', 'UNIFORM_SCALING'],
    )

    const { Shards } = await aws('list-shards', '--stream-name', 'cli')
    const listed = await aws('list-streams')
    const { ShardIterator } = await aws(
      ...['get-shard-iterator', '--stream-name', 'cli', '--shard-id', 'shardId-000000000000'],
      ...['--shard-iterator-type', 'TRIM_HORIZON'],
    )
    const read = await aws('get-records', '--shard-iterator', ShardIterator as string)

    expect(Shards).toHaveLength(3)
    expect(listed.StreamNames).toEqual(['cli'])
    expect(read).toHaveProperty('ChildShards')
  },
  240_000,
)

const hasBoto3 = () => {
  if (spawnSync('python3', ['-c', 'import boto3']).status === 0) return true
  console.warn('skipped: boto3 is not installed')
  return false
}

test.skipIf(!hasBoto3())(
  'boto3 puts, polls and subscribes over HTTP/1.1',
  async () => {
    const api = await runKinesisApi()
    const { stdout } = await run('python3', [
      ...[BOTO3_CLIENT, api.endpoint, ACCESS_KEY.accessKeyId, ACCESS_KEY.secretAccessKey],
    ])

    const texts = ['r0', 'r1', 'r2', 'r3', 'r4']
    expect(JSON.parse(stdout)).toEqual({
      ...{ polled: texts, pushed: texts, behind: 0 },
      refused: `Stream none under account ${ACCOUNT_ID} not found.`,
    })
  },
  240_000,
)
