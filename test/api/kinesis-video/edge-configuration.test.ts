import {
  DeleteEdgeConfigurationCommand,
  DescribeEdgeConfigurationCommand,
  KinesisVideoClient,
  ListEdgeAgentConfigurationsCommand,
  StartEdgeConfigurationUpdateCommand,
} from '@aws-sdk/client-kinesis-video'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ACCESS_KEY, runKinesisVideoApi, SECRET_ARN } from './running-video-api.ts'

const HUB = 'arn:aws:iot:us-west-2:123456789012:thing/office'
const URL_OF_CAMERA = 'rtsp://admin:made-up-pa55@camera.test/live'

/** The unmodified SDK client before the API; cameras that do what they are told behind it. */
async function runEdge() {
  const running = await runKinesisVideoApi(
    new Map([
      ['camera', URL_OF_CAMERA],
      ['other', JSON.stringify({ MediaURI: 'rtsps://other.test/live' })],
      ['page', 'http://camera.test/'],
    ]),
  )
  const client = new KinesisVideoClient({
    endpoint: `http://127.0.0.1:${running.port}`,
    region: 'us-west-2',
    credentials: ACCESS_KEY,
    maxAttempts: 1,
  })
  onTestFinished(() => client.destroy())
  const start = (
    secret: string,
    change: { hub?: string; uriType?: 'RTSP_URI' | 'FILE_URI'; stream?: string } = {},
  ) =>
    client.send(
      new StartEdgeConfigurationUpdateCommand({
        StreamName: change.stream ?? 'x',
        EdgeConfig: {
          HubDeviceArn: change.hub ?? HUB,
          RecorderConfig: {
            MediaSourceConfig: {
              MediaUriSecretArn: SECRET_ARN + secret,
              MediaUriType: change.uriType ?? 'RTSP_URI',
            },
          },
          DeletionConfig: { EdgeRetentionInHours: 48 },
        },
      }),
    )
  const describeIt = () => client.send(new DescribeEdgeConfigurationCommand({ StreamName: 'x' }))
  return { ...running, client, start, describeIt }
}

describe('an edge configuration', () => {
  test('attaches the camera of its secret, tells how it does, and detaches it', async () => {
    const { client, cameras, start, describeIt, sources, registry } = await runEdge()

    const started = await start('camera')
    const call = await cameras.call('x')
    const waiting = await describeIt()
    await call.publish()
    const publishing = await describeIt()
    await client.send(new DeleteEdgeConfigurationCommand({ StreamARN: started.StreamARN! }))

    expect(started).toMatchObject({
      StreamName: 'x',
      StreamARN: `arn:aws:kinesisvideo:us-west-2:123456789012:stream/x/${registry.get('x').createdAt}`,
      SyncStatus: 'IN_SYNC',
      CreationTime: expect.any(Date) as Date,
      EdgeConfig: { HubDeviceArn: HUB, DeletionConfig: { EdgeRetentionInHours: 48 } },
    })
    expect(call.target.url.href).toBe('rtsp://camera.test/live')
    expect(call.target.credentials).toEqual({ username: 'admin', password: 'made-up-pa55' })
    expect(waiting.EdgeAgentStatus?.LastRecorderStatus?.JobStatusDetails).toBe('connecting')
    expect(publishing.EdgeAgentStatus?.LastRecorderStatus).toMatchObject({
      JobStatusDetails: 'publishing',
      RecorderStatus: 'SUCCESS',
    })
    expect(JSON.stringify([started, waiting, publishing])).not.toContain('made-up-pa55')
    expect([sources.find('x'), cameras.active]).toEqual([null, 0])
    await expect(describeIt()).rejects.toMatchObject({
      name: 'StreamEdgeConfigurationNotFoundException',
      $metadata: { httpStatusCode: 404 },
    })
  })

  test('is changed by another of the same hub: the former camera is left', async () => {
    const { cameras, start, sources } = await runEdge()
    await start('camera')
    const first = await cameras.call('x')

    const changed = await start('other')
    const second = await cameras.call('x', 2)

    expect(first.leftFor).toBe('source-changed')
    expect([second.target.url.href, second.target.credentials]).toEqual([
      'rtsps://other.test/live',
      null,
    ])
    expect(changed.SyncStatus).toBe('IN_SYNC')
    expect(sources.get('x').hasPassword).toBe(false)
  })

  test.each([
    ['missing', /no secret of the name/],
    ['page', /no rtsp or rtsps URL/],
  ])('of the secret %s is kept and says why it is not in force', async (secret, why) => {
    const { start, describeIt, sources } = await runEdge()

    await start(secret)

    const described = await describeIt()
    expect(described.SyncStatus).toBe('SYNC_FAILED')
    expect(described.FailedStatusDetails).toMatch(why)
    expect(sources.list()).toEqual([])
  })

  test('is listed by its hub, page by page', async () => {
    const { client, registry, start } = await runEdge()
    for (const name of ['a', 'b', 'c']) {
      await registry.create({ name, retentionHours: 1 })
      await start('camera', { stream: name })
    }
    await start('camera', { hub: 'arn:aws:iot:us-west-2:123456789012:thing/shop' })

    const names: (string | undefined)[][] = []
    let NextToken: string | undefined
    do {
      const page = await client.send(
        new ListEdgeAgentConfigurationsCommand({
          HubDeviceArn: HUB,
          MaxResults: 2,
          ...(NextToken !== undefined && { NextToken }),
        }),
      )
      names.push(page.EdgeConfigs!.map(({ StreamName }) => StreamName))
      NextToken = page.NextToken
    } while (NextToken !== undefined)

    expect(names).toEqual([['a', 'b'], ['c']])
  })

  test('refusals have the names of the model', async () => {
    const { start, describeIt, registry, sources, client } = await runEdge()
    const refusal = (sent: Promise<unknown>) =>
      sent.then(
        () => null,
        (error: Error) => error.name,
      )
    const results = [
      await refusal(describeIt()),
      await refusal(start('camera', { stream: 'nobody' })),
      await refusal(start('camera', { uriType: 'FILE_URI' })),
      await refusal(start('camera', { hub: 'no ARN' })),
      await refusal(client.send(new DescribeEdgeConfigurationCommand({}))),
    ]
    await start('camera')
    results.push(
      await refusal(start('camera', { hub: 'arn:aws:iot:us-west-2:123456789012:thing/shop' })),
    )
    await registry.create({ name: 'own', retentionHours: 1 })
    await sources.create({ stream: 'own', url: 'rtsp://own.test/' })
    results.push(await refusal(start('camera', { stream: 'own' })))
    await registry.create({ name: 'live', retentionHours: 0 })
    results.push(await refusal(start('camera', { stream: 'live' })))

    expect(results).toEqual([
      'StreamEdgeConfigurationNotFoundException',
      'ResourceNotFoundException',
      'InvalidArgumentException',
      'InvalidArgumentException',
      'InvalidArgumentException',
      'ResourceInUseException',
      'ResourceInUseException',
      'NoDataRetentionException',
    ])
  })

  test('a source that was removed by other means takes its configuration along', async () => {
    const { start, describeIt, sources } = await runEdge()
    await start('camera')

    await sources.delete('x')

    await expect(describeIt()).rejects.toMatchObject({
      name: 'StreamEdgeConfigurationNotFoundException',
    })
  })
})
