import { expect, test } from 'vitest'
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
  StartStreamEncryptionCommand,
  StopStreamEncryptionCommand,
} from '@aws-sdk/client-kinesis'
import { ACCOUNT_ID, runKinesisApi } from './running-api.ts'

const StreamARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/cam`
const KEY = { EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' } as const
const record = { Data: Buffer.from('x'), PartitionKey: 'k' }

test('encryption is started and stopped, and every answer says so', async () => {
  const api = await runKinesisApi()
  const client = api.client('h2c')
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
  const summary = async () =>
    (await client.send(new DescribeStreamSummaryCommand({ StreamARN }))).StreamDescriptionSummary!
  const put = () => client.send(new PutRecordCommand({ StreamARN, ...record }))

  expect((await put()).EncryptionType).toBeUndefined()
  await client.send(new StartStreamEncryptionCommand({ StreamARN, ...KEY }))
  expect(await summary()).toMatchObject(KEY)
  expect((await put()).EncryptionType).toBe('KMS')
  const batch = await client.send(new PutRecordsCommand({ StreamARN, Records: [record] }))
  expect(batch).toMatchObject({ EncryptionType: 'KMS', FailedRecordCount: 0 })
  await client.send(new StopStreamEncryptionCommand({ StreamName: 'cam', ...KEY }))
  expect((await summary()).EncryptionType).toBe('NONE')
  expect((await put()).EncryptionType).toBeUndefined()

  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({
      ...{ StreamARN, ShardId: 'shardId-000000000000', ShardIteratorType: 'TRIM_HORIZON' },
    }),
  )
  const { Records } = await client.send(new GetRecordsCommand({ ShardIterator }))
  expect(Records!.map(({ EncryptionType }) => EncryptionType)).toEqual([
    undefined,
    'KMS',
    'KMS',
    undefined,
  ])
  expect(Records!.map(({ Data }) => Buffer.from(Data!).toString())).toEqual(['x', 'x', 'x', 'x'])
})

test('a key that does not exist and the type NONE are refused', async () => {
  const api = await runKinesisApi()
  const client = api.client('h2c')
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))

  await expect(
    client.send(new StartStreamEncryptionCommand({ StreamARN, ...KEY, KeyId: 'alias/none' })),
  ).rejects.toMatchObject({ name: 'KMSNotFoundException', $metadata: { httpStatusCode: 400 } })
  await expect(
    client.send(new StartStreamEncryptionCommand({ StreamARN, ...KEY, EncryptionType: 'NONE' })),
  ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
})
