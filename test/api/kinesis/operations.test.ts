import { expect, test } from 'vitest'
import * as sdk from '@aws-sdk/client-kinesis'
import { operations } from '../../../src/api/kinesis/operations.ts'
import { ACCOUNT_ID, runKinesisApi } from './running-api.ts'

test('every operation that the SDK knows is there, and no other', () => {
  const known = Object.keys(sdk)
    .filter((name) => name.endsWith('Command') && !name.startsWith('$'))
    .map((name) => name.slice(0, -'Command'.length))

  expect([...operations.keys()].sort()).toEqual(known.sort())
  expect(known).toHaveLength(45)
})

test('channels are not offered, and the answers say so', async () => {
  const api = await runKinesisApi()
  const client = api.client('h2c')
  const ChannelARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:channel/none`
  const notFound = { name: 'ResourceNotFoundException' }

  expect((await client.send(new sdk.ListChannelsCommand({}))).ChannelSummaries).toEqual([])
  await expect(client.send(new sdk.DescribeChannelCommand({ ChannelARN }))).rejects.toMatchObject(
    notFound,
  )
  await expect(client.send(new sdk.DeleteChannelCommand({ ChannelARN }))).rejects.toMatchObject(
    notFound,
  )
  await expect(client.send(new sdk.UpdateChannelCommand({ ChannelARN }))).rejects.toMatchObject(
    notFound,
  )
  await expect(
    client.send(
      new sdk.CreateChannelCommand({
        ChannelName: 'c',
        ServiceExecutionRoleARN: 'arn:aws:iam::000000000000:role/r',
        StreamConfigurationList: [],
      }),
    ),
  ).rejects.toMatchObject({
    name: 'InvalidArgumentException',
    message: expect.stringContaining('does not deliver channels') as string,
  })
})
