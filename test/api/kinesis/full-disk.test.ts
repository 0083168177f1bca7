import { expect, test } from 'vitest'
import {
  CreateStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis'
import { FaultyDisk } from '../../datastream/faulty-disk.ts'
import { runKinesisApi } from './running-api.ts'

const SPACE = 1n << 128n

test('a full disk fails puts, by entry where some fit, and reads go on; then puts do too', async () => {
  const disk = new FaultyDisk()
  const api = await runKinesisApi({ segment: { disk } })
  const client = api.client('h2c', undefined, 1)
  await client.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 2 }))
  const recordOf = (shard: number, size: number) => ({
    Data: Buffer.alloc(size),
    PartitionKey: 'k',
    ExplicitHashKey: ((SPACE / 2n) * BigInt(shard)).toString(),
  })
  const put = (size: number) =>
    client.send(new PutRecordCommand({ StreamName: 'cam', ...recordOf(0, size) }))
  const putBoth = (first: number, second: number) =>
    client.send(
      new PutRecordsCommand({
        StreamName: 'cam',
        Records: [recordOf(0, first), recordOf(1, second)],
      }),
    )
  await putBoth(10, 10)
  disk.freeBytes = 200

  const some = await putBoth(10, 5000)
  disk.freeBytes = 0
  await expect(put(10)).rejects.toMatchObject({
    message: 'Internal Service Failure',
    $metadata: { httpStatusCode: 500 },
  })
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({
      ...{ StreamName: 'cam', ShardId: 'shardId-000000000000', ShardIteratorType: 'TRIM_HORIZON' },
    }),
  )
  const read = await client.send(new GetRecordsCommand({ ShardIterator }))
  disk.freeBytes = Number.POSITIVE_INFINITY
  const after = await putBoth(10, 10)

  expect(some.FailedRecordCount).toBe(1)
  expect(some.Records![0]!.SequenceNumber).toBeDefined()
  expect(some.Records![1]).toEqual({
    ...{ ErrorCode: 'InternalFailure', ErrorMessage: 'Internal Service Failure' },
  })
  expect(read.Records).toHaveLength(2)
  expect(after.FailedRecordCount).toBe(0)
})
