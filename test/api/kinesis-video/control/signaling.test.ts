import {
  CreateSignalingChannelCommand,
  DeleteSignalingChannelCommand,
  DeleteStreamCommand,
  DescribeMappedResourceConfigurationCommand,
  DescribeMediaStorageConfigurationCommand,
  DescribeSignalingChannelCommand,
  GetSignalingChannelEndpointCommand,
  ListSignalingChannelsCommand,
  ListTagsForResourceCommand,
  paginateListSignalingChannels,
  UpdateMediaStorageConfigurationCommand,
  UpdateSignalingChannelCommand,
  type ChannelProtocol,
} from '@aws-sdk/client-kinesis-video'
import { describe, expect, test } from 'vitest'
import { runControl } from './run-control.ts'

/** With a channel `c`. */
async function runWithChannel() {
  const running = await runControl()
  const { client } = running
  const make = async (ChannelName: string) => {
    const answer = await client.send(new CreateSignalingChannelCommand({ ChannelName }))
    return answer.ChannelARN!
  }
  const ChannelARN = await make('c')
  const channel = async () =>
    (await client.send(new DescribeSignalingChannelCommand({ ChannelARN }))).ChannelInfo!
  const store = (arn: string, StreamARN: string | undefined, Status: 'ENABLED' | 'DISABLED') =>
    client.send(
      new UpdateMediaStorageConfigurationCommand({
        ...{ ChannelARN: arn, MediaStorageConfiguration: { Status, StreamARN } },
      }),
    )
  return { ...running, make, ChannelARN, channel, store }
}

describe('a signaling channel', () => {
  test('is made, described by name and by ARN, and removed', async () => {
    const { client } = await runControl()
    const { ChannelARN } = await client.send(
      new CreateSignalingChannelCommand({
        ...{ ChannelName: 'door', ChannelType: 'SINGLE_MASTER' },
        SingleMasterConfiguration: { MessageTtlSeconds: 5 },
        Tags: [{ Key: 'place', Value: 'yard' }],
      }),
    )
    const byName = await client.send(new DescribeSignalingChannelCommand({ ChannelName: 'door' }))
    const byArn = await client.send(new DescribeSignalingChannelCommand({ ChannelARN }))
    const { Tags } = await client.send(new ListTagsForResourceCommand({ ResourceARN: ChannelARN }))
    await client.send(new DeleteSignalingChannelCommand({ ChannelARN }))

    expect(byArn.ChannelInfo).toEqual(byName.ChannelInfo)
    expect(byName.ChannelInfo).toEqual({
      ...{ ChannelName: 'door', ChannelARN, ChannelType: 'SINGLE_MASTER', ChannelStatus: 'ACTIVE' },
      CreationTime: expect.any(Date) as Date,
      SingleMasterConfiguration: { MessageTtlSeconds: 5 },
      Version: expect.stringMatching(/^[a-zA-Z0-9]{8,64}$/) as string,
    })
    expect(ChannelARN).toBe(
      `arn:aws:kinesisvideo:us-west-2:123456789012:channel/door/${byName.ChannelInfo!.CreationTime!.getTime()}`,
    )
    expect(Tags).toEqual({ place: 'yard' })
    await expect(
      client.send(new DescribeSignalingChannelCommand({ ChannelARN })),
    ).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      $metadata: { httpStatusCode: 404 },
    })
  })

  test('keeps messages for a minute unless told otherwise', async () => {
    const { channel } = await runWithChannel()

    expect((await channel()).SingleMasterConfiguration).toEqual({ MessageTtlSeconds: 60 })
  })

  test('changes under its version, which then is another', async () => {
    const { client, ChannelARN, channel } = await runWithChannel()
    const { Version: CurrentVersion } = await channel()
    const update = () =>
      client.send(
        new UpdateSignalingChannelCommand({
          ...{ ChannelARN, CurrentVersion, SingleMasterConfiguration: { MessageTtlSeconds: 120 } },
        }),
      )
    await update()

    expect((await channel()).SingleMasterConfiguration).toEqual({ MessageTtlSeconds: 120 })
    await expect(update()).rejects.toMatchObject({ name: 'VersionMismatchException' })
    await expect(
      client.send(new DeleteSignalingChannelCommand({ ChannelARN, CurrentVersion })),
    ).rejects.toMatchObject({ name: 'VersionMismatchException' })
    await channel() // it is still there
  })

  test.each([
    { rule: 'a name that is taken', input: { ChannelName: 'c' }, type: 'ResourceInUseException' },
    {
      rule: 'a type that there is not',
      input: { ChannelName: 'd', ChannelType: 'FULL_MESH' as const },
      type: 'InvalidArgumentException',
    },
    {
      rule: 'messages of over two minutes',
      input: { ChannelName: 'd', SingleMasterConfiguration: { MessageTtlSeconds: 121 } },
      type: 'InvalidArgumentException',
    },
    {
      rule: 'over fifty tags',
      input: {
        ChannelName: 'd',
        Tags: Array.from({ length: 51 }, (_, i) => ({ Key: `k${i}`, Value: '' })),
      },
      type: 'TagsPerResourceExceededLimitException',
    },
  ])('is refused: $rule', async ({ input, type }) => {
    const { client } = await runWithChannel()

    await expect(client.send(new CreateSignalingChannelCommand(input))).rejects.toMatchObject({
      name: type,
      $metadata: { httpStatusCode: 400 },
    })
  })

  test('is refused over the limit of channels', async () => {
    const { limits, make } = await runWithChannel()
    limits.maxChannels = 1

    await expect(make('d')).rejects.toMatchObject({ name: 'AccountChannelLimitExceededException' })
  })

  test('may be called as a stream is', async () => {
    const { client, make } = await runWithChannel()
    await make('x')
    const { ChannelInfo } = await client.send(
      new DescribeSignalingChannelCommand({ ChannelName: 'x' }),
    )

    expect(ChannelInfo!.ChannelARN).toContain(':channel/x/')
  })
})

test('ListSignalingChannels pages in order, and knows prefixes', async () => {
  const { client, make } = await runWithChannel()
  for (const name of ['d2', 'd1', 'd3', 'e']) await make(name)
  const pages: string[][] = []
  const condition = { ComparisonOperator: 'BEGINS_WITH', ComparisonValue: 'd' } as const
  const paging = { client, pageSize: 2 }
  for await (const page of paginateListSignalingChannels(paging, {
    ChannelNameCondition: condition,
  })) {
    pages.push(page.ChannelInfoList!.map(({ ChannelName }) => ChannelName!))
  }
  const all = await client.send(new ListSignalingChannelsCommand({}))

  expect(pages).toEqual([['d1', 'd2'], ['d3']])
  expect(all.ChannelInfoList!.map(({ ChannelName }) => ChannelName)).toEqual([
    ...['c', 'd1', 'd2', 'd3', 'e'],
  ])
})

describe('GetSignalingChannelEndpoint', () => {
  const ask = async (protocols: ChannelProtocol[] | undefined) => {
    const { client, ChannelARN } = await runWithChannel()
    return client.send(
      new GetSignalingChannelEndpointCommand({
        ChannelARN,
        ...(protocols !== undefined && {
          SingleMasterChannelEndpointConfiguration: { Protocols: protocols, Role: 'VIEWER' },
        }),
      }),
    )
  }

  test('names this service by each protocol once', async () => {
    const { ResourceEndpointList } = await ask(['HTTPS', 'WSS', 'HTTPS'])
    const shapes = ResourceEndpointList!.map(({ Protocol, ResourceEndpoint }) => [
      Protocol,
      ResourceEndpoint!.replace(/\d+$/, 'PORT'),
    ])

    expect(shapes).toEqual([
      ['HTTPS', 'http://127.0.0.1:PORT'],
      ['WSS', 'ws://127.0.0.1:PORT'],
    ])
  })

  test('names both ways of signaling unless told otherwise', async () => {
    const { ResourceEndpointList } = await ask(undefined)

    expect(ResourceEndpointList!.map(({ Protocol }) => Protocol)).toEqual(['WSS', 'HTTPS'])
  })

  test('has WEBRTC only for a channel whose media is stored', async () => {
    const { client, ChannelARN, store, streamArn } = await runWithChannel()
    const send = () =>
      client.send(
        new GetSignalingChannelEndpointCommand({
          ChannelARN,
          SingleMasterChannelEndpointConfiguration: { Protocols: ['WEBRTC'], Role: 'MASTER' },
        }),
      )
    await expect(send()).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    await store(ChannelARN, streamArn(), 'ENABLED')

    expect((await send()).ResourceEndpointList).toMatchObject([{ Protocol: 'WEBRTC' }])
  })
})

describe('media storage', () => {
  const mapped = async ({ client }: Awaited<ReturnType<typeof runWithChannel>>) => {
    const answer = await client.send(
      new DescribeMappedResourceConfigurationCommand({ StreamName: 'x' }),
    )
    return answer.MappedResourceConfigurationList
  }
  const stored = async ({ client }: Awaited<ReturnType<typeof runWithChannel>>) => {
    const answer = await client.send(
      new DescribeMediaStorageConfigurationCommand({ ChannelName: 'c' }),
    )
    return answer.MediaStorageConfiguration
  }

  test('maps a channel to a stream, seen from both, and back', async () => {
    const running = await runWithChannel()
    const { ChannelARN, store, streamArn } = running
    const before = [await stored(running), await mapped(running)]
    await store(ChannelARN, streamArn(), 'ENABLED')
    await store(ChannelARN, streamArn(), 'ENABLED') // the same again
    const during = [await stored(running), await mapped(running)]
    await store(ChannelARN, undefined, 'DISABLED')
    const after = [await stored(running), await mapped(running)]

    expect(before).toEqual([{ Status: 'DISABLED' }, []])
    expect(during).toEqual([
      { Status: 'ENABLED', StreamARN: streamArn() },
      [{ Type: 'SIGNALING_CHANNEL', ARN: ChannelARN }],
    ])
    expect(after).toEqual(before)
  })

  test('is one stream of a channel', async () => {
    const { ChannelARN, store, streamArn, registry } = await runWithChannel()
    const { info } = await registry.create({ name: 'other', retentionHours: 1 })
    await store(ChannelARN, streamArn(), 'ENABLED')
    const other = streamArn().replace(/x\/\d+$/, `other/${info.createdAt}`)

    await expect(store(ChannelARN, other, 'ENABLED')).rejects.toMatchObject({
      name: 'ResourceInUseException',
    })
  })

  test('is one channel of a stream, also when many ask at once', async () => {
    const running = await runWithChannel()
    const { make, store, streamArn } = running
    const arns = await Promise.all(['d', 'e', 'f', 'g'].map(make))
    const outcomes = await Promise.allSettled(arns.map((arn) => store(arn, streamArn(), 'ENABLED')))

    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await mapped(running)).toHaveLength(1)
  })

  test('is gone with its stream, and the channel may have another', async () => {
    const running = await runWithChannel()
    const { client, ChannelARN, store, streamArn, registry } = running
    const former = streamArn()
    await store(ChannelARN, former, 'ENABLED')
    await client.send(new DeleteStreamCommand({ StreamARN: former }))
    const { info } = await registry.create({ name: 'x', retentionHours: 1 })

    expect(info.createdAt).not.toBe(Number(former.split('/')[2]))
    expect(await stored(running)).toEqual({ Status: 'DISABLED' })
    await store(ChannelARN, streamArn(), 'ENABLED')
    expect(await mapped(running)).toHaveLength(1)
  })

  test.each([
    { rule: 'without a stream', change: () => undefined, type: 'InvalidArgumentException' },
    {
      rule: 'in a stream that is not there',
      change: (arn: string) => arn.replace('/x/', '/y/'),
      type: 'ResourceNotFoundException',
    },
  ])('is refused $rule', async ({ change, type }) => {
    const { ChannelARN, store, streamArn } = await runWithChannel()

    await expect(store(ChannelARN, change(streamArn()), 'ENABLED')).rejects.toMatchObject({
      name: type,
    })
  })

  test('is refused in a stream that keeps nothing', async () => {
    const { ChannelARN, store, streamArn, registry } = await runWithChannel()
    await registry.update('x', { retentionHours: 0 })

    await expect(store(ChannelARN, streamArn(), 'ENABLED')).rejects.toMatchObject({
      name: 'NoDataRetentionException',
    })
  })
})

describe('the media path', () => {
  const NOT_YET = expect.stringContaining('not available in this service yet') as string

  test.each([
    {
      of: '/v1/get-ice-server-config',
      input: (ChannelARN: string) => ({ ChannelARN }),
      Message: NOT_YET,
    },
    {
      of: '/v1/send-alexa-offer-to-master',
      input: (ChannelARN: string) => ({ ChannelARN, SenderClientId: 's', MessagePayload: 'AA==' }),
      Message: NOT_YET,
    },
    {
      of: '/joinStorageSession',
      input: (channelArn: string) => ({ channelArn }),
      message: NOT_YET,
    },
    {
      of: '/joinStorageSessionAsViewer',
      input: (channelArn: string) => ({ channelArn, clientId: 'v' }),
      message: NOT_YET,
    },
  ])('of $of is not there yet, and says so; of no channel is not found', async (path) => {
    const { call, ChannelARN } = await runWithChannel()
    const { of, input, ...body } = path
    const refused = await call(of, input(ChannelARN))
    const unknown = await call(of, input(ChannelARN.replace('/c/', '/d/')))

    expect(refused).toMatchObject({ status: 400, type: 'InvalidArgumentException' })
    expect(refused.body).toEqual(body)
    expect(unknown).toMatchObject({ status: 404, type: 'ResourceNotFoundException' })
  })
})
