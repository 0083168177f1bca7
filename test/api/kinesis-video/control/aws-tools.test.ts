import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { isInstalled } from '../../../support/installed.ts'
import { ACCESS_KEY } from '../running-video-api.ts'
import { runControl } from './run-control.ts'

const run = promisify(execFile)
const BOTO3_CLIENT = fileURLToPath(new URL('boto3-client.py', import.meta.url))
const CALL_MS = 60_000

test.skipIf(!isInstalled('aws'))(
  'the AWS CLI works against the endpoint',
  async () => {
    const { endpoint } = await runControl()
    const aws = async (...args: string[]): Promise<Record<string, unknown>> => {
      const { stdout } = await run(
        'aws',
        ['--endpoint-url', endpoint, '--output', 'json', 'kinesisvideo', ...args],
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
    const { StreamARN } = await aws(
      ...['create-stream', '--stream-name', 'cli', '--data-retention-in-hours', '1'],
      ...['--tags', 'place=yard', '--stream-storage-configuration', 'DefaultStorageTier=WARM'],
    )
    const listed = await aws(
      ...['list-streams', '--stream-name-condition'],
      'ComparisonOperator=BEGINS_WITH,ComparisonValue=cl',
    )
    const tags = await aws('list-tags-for-resource', '--resource-arn', StreamARN as string)
    const { DataEndpoint } = await aws(
      ...['get-data-endpoint', '--stream-name', 'cli', '--api-name', 'PUT_MEDIA'],
    )
    await aws('delete-stream', '--stream-arn', StreamARN as string)
    const gone = aws('describe-stream', '--stream-name', 'cli')

    await expect(gone).rejects.toThrow('(ResourceNotFoundException)')
    expect(listed.StreamInfoList).toMatchObject([{ StreamName: 'cli', StreamARN }])
    expect(tags.Tags).toEqual({ place: 'yard' })
    expect(DataEndpoint).toBe(endpoint)
  },
  8 * CALL_MS,
)

const hasBoto3 = () => {
  if (spawnSync('python3', ['-c', 'import boto3']).status === 0) return true
  console.warn('skipped: boto3 is not installed')
  return false
}

test.skipIf(!hasBoto3())(
  'boto3 makes, changes and removes streams and channels',
  async () => {
    const { endpoint } = await runControl()
    const { accessKeyId, secretAccessKey } = ACCESS_KEY
    const { stdout } = await run('python3', [BOTO3_CLIENT, endpoint, accessKeyId, secretAccessKey])
    const notYet = {
      Code: 'InvalidArgumentException',
      Message: expect.stringContaining('not available in this service yet') as string,
    }

    expect(JSON.parse(stdout)).toEqual({
      ...{ status: 'ACTIVE', refused: 'VersionMismatchException', names: ['py', 'x'], ttl: 60 },
      ...{ format: 'PNG', ice: notYet, joined: notYet, tags: { ort: 'größe 水' }, hours: 3 },
      ...{ endpoint, gone: 404 },
    })
  },
  2 * CALL_MS,
)
