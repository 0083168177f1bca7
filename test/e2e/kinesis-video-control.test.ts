import {
  CreateSignalingChannelCommand,
  CreateStreamCommand,
  DescribeMediaStorageConfigurationCommand,
  DescribeSignalingChannelCommand,
  DescribeStreamCommand,
  GetDataEndpointCommand,
  KinesisVideoClient,
  ListStreamsCommand,
  ListTagsForStreamCommand,
  UpdateImageGenerationConfigurationCommand,
  UpdateMediaStorageConfigurationCommand,
  UpdateStreamCommand,
} from '@aws-sdk/client-kinesis-video'
import { expect, onTestFinished, test } from 'vitest'
import { startService } from '../support/service.ts'
import { scratchDirectory } from '../support/scratch.ts'

const KEY = { accessKeyId: 'AKIDTESTTESTTEST0001', secretAccessKey: 'a secret of tests' }

test('what the Kinesis Video API made is there after the service was killed', async () => {
  const directory = await scratchDirectory()
  const first = await start(directory)
  await first.client.send(
    new CreateStreamCommand({
      ...{ StreamName: 'door', DeviceName: 'd', MediaType: 'video/h264', DataRetentionInHours: 3 },
      ...{ Tags: { place: 'yard' }, StreamStorageConfiguration: { DefaultStorageTier: 'WARM' } },
    }),
  )
  await first.client.send(
    new UpdateImageGenerationConfigurationCommand({
      StreamName: 'door',
      ImageGenerationConfiguration: {
        ...{ Status: 'DISABLED', ImageSelectorType: 'SERVER_TIMESTAMP', SamplingInterval: 500 },
        DestinationConfig: { Uri: 's3://images', DestinationRegion: 'us-west-2' },
        Format: 'PNG',
      },
    }),
  )
  const { ChannelARN } = await first.client.send(
    new CreateSignalingChannelCommand({ ChannelName: 'c' }),
  )
  const { StreamInfoList } = await first.client.send(new ListStreamsCommand({ MaxResults: 2 }))
  const made = StreamInfoList!.find(({ StreamName }) => StreamName === 'door')!
  await first.client.send(
    new UpdateMediaStorageConfigurationCommand({
      ChannelARN,
      MediaStorageConfiguration: { Status: 'ENABLED', StreamARN: made.StreamARN },
    }),
  )
  const { NextToken } = await first.client.send(new ListStreamsCommand({ MaxResults: 1 }))
  const before = await everythingOf(first.client)
  await first.end('SIGKILL')

  const second = await start(directory)
  const after = await everythingOf(second.client)
  const rest = await second.client.send(new ListStreamsCommand({ NextToken }))

  expect(after).toEqual(before)
  expect(before.stream).toEqual(made)
  // A stream of the configuration is one like any other; a token holds over the restart.
  expect(rest.StreamInfoList!.map(({ StreamName }) => StreamName)).toEqual(['door'])
  await second.client.send(
    new UpdateStreamCommand({
      ...{ StreamName: 'door', CurrentVersion: made.Version, DeviceName: 'e' },
    }),
  )
}, 120_000)

test('addresses are those of the configured publicUrl, and limits hold', async () => {
  const { client } = await start(await scratchDirectory(), {
    publicUrl: 'https://video.test:8443/kinora',
    kinesisVideo: { maxStreams: 1, maxSignalingChannels: 1 },
  })
  const { DataEndpoint } = await client.send(
    new GetDataEndpointCommand({ StreamName: 'configured', APIName: 'GET_CLIP' }),
  )
  await client.send(new CreateSignalingChannelCommand({ ChannelName: 'a' }))

  expect(DataEndpoint).toBe('https://video.test:8443')
  await expect(client.send(new CreateStreamCommand({ StreamName: 'a' }))).rejects.toMatchObject({
    name: 'AccountStreamLimitExceededException',
  })
  await expect(
    client.send(new CreateSignalingChannelCommand({ ChannelName: 'b' })),
  ).rejects.toMatchObject({ name: 'AccountChannelLimitExceededException' })
}, 60_000)

async function start(directory: string, settings: Record<string, unknown> = {}) {
  const service = await startService(directory, {
    ...{ auth: { accessKeys: [KEY] }, detection: { enabled: false } },
    streams: [{ name: 'configured', retentionHours: 1 }],
    ...settings,
  })
  const client = new KinesisVideoClient({
    ...{ endpoint: service.url, region: 'eu-west-3', credentials: { ...KEY }, maxAttempts: 1 },
  })
  onTestFinished(async () => {
    client.destroy()
    await service.end('SIGKILL')
  })
  return { client, end: service.end.bind(service) }
}

async function everythingOf(client: KinesisVideoClient) {
  const StreamName = 'door'
  const { StreamInfo } = await client.send(new DescribeStreamCommand({ StreamName }))
  const { Tags } = await client.send(new ListTagsForStreamCommand({ StreamName }))
  const { ChannelInfo } = await client.send(
    new DescribeSignalingChannelCommand({ ChannelName: 'c' }),
  )
  const { MediaStorageConfiguration } = await client.send(
    new DescribeMediaStorageConfigurationCommand({ ChannelName: 'c' }),
  )
  return { stream: StreamInfo, Tags, ChannelInfo, MediaStorageConfiguration }
}
