import { describe, expect, test } from 'vitest'
import {
  CreateStreamCommand,
  DeleteResourcePolicyCommand,
  GetRecordsCommand,
  GetResourcePolicyCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
  PutRecordCommand,
  PutResourcePolicyCommand,
  RegisterStreamConsumerCommand,
} from '@aws-sdk/client-kinesis'
import { parsePolicy, type Policy } from '../../../src/api/auth/index.ts'
import { ACCOUNT_ID, GUEST_KEY, runKinesisApi } from './running-api.ts'

const StreamARN = `arn:aws:kinesis:us-east-1:${ACCOUNT_ID}:stream/cam`
const Data = Buffer.from('x')
const GUEST = `arn:aws:iam::${ACCOUNT_ID}:user/${GUEST_KEY.accessKeyId}`

function policyOf(...Statement: object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement })
}

/** The owner's client and that of a guest whose own policy is given. */
async function withGuest(guestPolicy: string) {
  const policy = parsePolicy(guestPolicy) as Policy
  const api = await runKinesisApi({}, (id) => (id === GUEST_KEY.accessKeyId ? policy : null))
  const owner = api.client('h2c')
  await owner.send(new CreateStreamCommand({ StreamName: 'cam', ShardCount: 1 }))
  return { api, owner, guest: api.client('h2c', GUEST_KEY) }
}

const put = () => new PutRecordCommand({ StreamARN, Data, PartitionKey: 'k' })
const iterate = () =>
  new GetShardIteratorCommand({
    ...{ StreamName: 'cam', ShardId: 'shardId-000000000000', ShardIteratorType: 'TRIM_HORIZON' },
  })

describe('resource policies', () => {
  test('are put, read back as they are, and deleted, for streams and consumers', async () => {
    const { owner } = await withGuest(policyOf())
    const { Consumer } = await owner.send(
      new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'app' }),
    )
    const Policy = policyOf({ Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' })
    for (const ResourceARN of [StreamARN, Consumer!.ConsumerARN!]) {
      const get = async () =>
        (await owner.send(new GetResourcePolicyCommand({ ResourceARN }))).Policy

      expect(await get()).toBe('{}')
      await owner.send(new PutResourcePolicyCommand({ ResourceARN, Policy }))
      expect(await get()).toBe(Policy)
      await owner.send(new DeleteResourcePolicyCommand({ ResourceARN }))
      expect(await get()).toBe('{}')
      await expect(
        owner.send(new DeleteResourcePolicyCommand({ ResourceARN })),
      ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    }
  })

  test.each(['', '{', '[]', '{}', '{"Statement":[{}]}', '{"Statement":{"Effect":"Maybe"}}'])(
    '%s is no policy',
    async (Policy) => {
      const { owner } = await withGuest(policyOf())

      await expect(
        owner.send(new PutResourcePolicyCommand({ ResourceARN: StreamARN, Policy })),
      ).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    },
  )

  test('allow what the guest’s own policy does not speak of, and deny even the owner', async () => {
    const { owner, guest } = await withGuest(policyOf())
    await expect(guest.send(put())).rejects.toMatchObject({
      name: 'AccessDeniedException',
      message: `User: ${GUEST} is not authorized to perform: kinesis:PutRecord on resource: ${StreamARN} because no policy allows the kinesis:PutRecord action`,
    })

    const allow = {
      Effect: 'Allow',
      Principal: { AWS: GUEST },
      Action: 'kinesis:Put*',
      Resource: StreamARN,
    }
    await owner.send(
      new PutResourcePolicyCommand({ ResourceARN: StreamARN, Policy: policyOf(allow) }),
    )
    await guest.send(put())
    await expect(guest.send(iterate())).rejects.toMatchObject({ name: 'AccessDeniedException' })

    const deny = { ...allow, Effect: 'Deny', Principal: '*' }
    await owner.send(
      new PutResourcePolicyCommand({ ResourceARN: StreamARN, Policy: policyOf(allow, deny) }),
    )
    for (const client of [owner, guest]) {
      await expect(client.send(put())).rejects.toMatchObject({
        name: 'AccessDeniedException',
        message: expect.stringContaining('explicit deny') as string,
      })
    }
    await owner.send(new DeleteResourcePolicyCommand({ ResourceARN: StreamARN }))
    await owner.send(put())
  })
})

describe('identity policies', () => {
  test('say what a key may do, by stream, with reads by iterator included', async () => {
    const { owner, guest } = await withGuest(
      policyOf(
        { Effect: 'Allow', Action: ['kinesis:Get*', 'kinesis:List*'], Resource: '*' },
        { Effect: 'Deny', Action: 'kinesis:GetRecords', Resource: '*:stream/secret' },
      ),
    )
    await owner.send(new CreateStreamCommand({ StreamName: 'secret', ShardCount: 1 }))

    await guest.send(new ListStreamsCommand({}))
    const { ShardIterator } = await guest.send(iterate())
    await guest.send(new GetRecordsCommand({ ShardIterator }))
    await expect(guest.send(put())).rejects.toMatchObject({ name: 'AccessDeniedException' })
    const secret = await guest.send(
      new GetShardIteratorCommand({
        ...{ StreamName: 'secret', ShardId: 'shardId-000000000000', ShardIteratorType: 'LATEST' },
      }),
    )
    await expect(
      guest.send(new GetRecordsCommand({ ShardIterator: secret.ShardIterator })),
    ).rejects.toMatchObject({ name: 'AccessDeniedException', $metadata: { httpStatusCode: 403 } })
  })
})
