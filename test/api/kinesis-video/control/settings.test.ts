import {
  DescribeImageGenerationConfigurationCommand,
  DescribeNotificationConfigurationCommand,
  DescribeStreamStorageConfigurationCommand,
  UpdateDataRetentionCommand,
  UpdateImageGenerationConfigurationCommand,
  UpdateNotificationConfigurationCommand,
  UpdateStreamStorageConfigurationCommand,
  type ImageGenerationConfiguration,
} from '@aws-sdk/client-kinesis-video'
import { describe, expect, test } from 'vitest'
import { runControl } from './run-control.ts'

const STREAM = { StreamName: 'x' }
const IMAGES: ImageGenerationConfiguration = {
  ...{ Status: 'ENABLED', ImageSelectorType: 'PRODUCER_TIMESTAMP', SamplingInterval: 200 },
  DestinationConfig: { Uri: 's3://images/yard', DestinationRegion: 'us-west-2' },
  ...{ Format: 'JPEG', FormatConfig: { JPEGQuality: '90' }, WidthPixels: 640 },
}

describe('image generation', () => {
  test('is kept as it was said, and deleted by saying nothing', async () => {
    const { client, registry } = await runControl()
    const describeIt = () => client.send(new DescribeImageGenerationConfigurationCommand(STREAM))
    const update = (change: object) =>
      client.send(new UpdateImageGenerationConfigurationCommand({ ...STREAM, ...change }))
    const before = await describeIt()
    await update({ ImageGenerationConfiguration: IMAGES })
    const during = await describeIt()
    const kept = registry.get('x')
    await update({})
    const after = await describeIt()

    expect(during.ImageGenerationConfiguration).toEqual(IMAGES)
    expect(kept.imageGeneration).toEqual({
      ...{ enabled: true, clock: 'producer', destinationUri: 's3://images/yard' },
      ...{ destinationRegion: 'us-west-2', samplingIntervalMs: 200, format: 'JPEG' },
      ...{ jpegQuality: 90, widthPixels: 640, heightPixels: null },
    })
    expect([before, after].map((answer) => answer.ImageGenerationConfiguration)).toEqual([
      undefined,
      undefined,
    ])
    expect(registry.get('x').version).not.toBe(kept.version)
  })

  test.each<{ rule: string; change: Partial<ImageGenerationConfiguration>; at: string }>([
    {
      rule: 'an interval of under 200 ms',
      change: { SamplingInterval: 199 },
      at: "Value '199' at 'imageGenerationConfiguration.samplingInterval' failed to satisfy constraint",
    },
    { rule: 'a quality of 0', change: { FormatConfig: { JPEGQuality: '0' } }, at: '1 to 100' },
    { rule: 'a quality of 1.5', change: { FormatConfig: { JPEGQuality: '1.5' } }, at: 'pattern' },
    {
      rule: 'another setting of the format',
      change: { FormatConfig: { PNGDepth: '8' } as never },
      at: 'enum value set: [JPEGQuality]',
    },
    { rule: 'another format', change: { Format: 'GIF' as never }, at: '[JPEG, PNG]' },
    { rule: 'a width of none', change: { WidthPixels: 0 }, at: 'widthPixels' },
    { rule: 'a height of over 2160', change: { HeightPixels: 2161 }, at: 'heightPixels' },
    {
      rule: 'a bucket without a name',
      change: { DestinationConfig: { Uri: 's3://', DestinationRegion: 'us-west-2' } },
      at: 'destinationConfig.uri',
    },
    {
      rule: 'a place that nothing can be delivered to',
      change: { DestinationConfig: { Uri: 'ftp://images.test/', DestinationRegion: 'us-west-2' } },
      at: 's3://bucket/prefix or an http or https URL',
    },
    {
      rule: 'a region that is none',
      change: { DestinationConfig: { Uri: 's3://images', DestinationRegion: 'somewhere' } },
      at: 'destinationRegion',
    },
  ])('refuses $rule, and says where', async ({ change, at }) => {
    const { client, registry } = await runControl()
    const asked = client.send(
      new UpdateImageGenerationConfigurationCommand({
        ...STREAM,
        ImageGenerationConfiguration: { ...IMAGES, ...change },
      }),
    )

    await expect(asked).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: expect.stringContaining(at) as string,
    })
    expect(registry.get('x').imageGeneration).toBeNull()
  })
})

describe('notification', () => {
  const config = (Uri: string) => ({
    NotificationConfiguration: { Status: 'DISABLED' as const, DestinationConfig: { Uri } },
  })

  test.each([
    'https://hooks.test/video?of=x',
    'http://192.0.2.7:9000/',
    'arn:aws:sns:us-west-2:123456789012:camera-events',
  ])('to %s is kept and answered, and deleted by saying nothing', async (uri) => {
    const { client, registry } = await runControl()
    const describeIt = () => client.send(new DescribeNotificationConfigurationCommand(STREAM))
    await client.send(new UpdateNotificationConfigurationCommand({ ...STREAM, ...config(uri) }))
    const during = await describeIt()
    const kept = registry.get('x').notification
    await client.send(new UpdateNotificationConfigurationCommand(STREAM))

    expect(during).toMatchObject(config(uri))
    expect(kept).toEqual({ enabled: false, destinationUri: uri })
    expect(await describeIt()).not.toHaveProperty('NotificationConfiguration')
  })

  test.each(['kinesis:stream', 's3://images', 'https://', 'nothing', 'arn:aws:sns:us-west-2:1:'])(
    'to %s is refused',
    async (uri) => {
      const { client } = await runControl()
      const asked = client.send(
        new UpdateNotificationConfigurationCommand({ ...STREAM, ...config(uri) }),
      )

      await expect(asked).rejects.toMatchObject({ name: 'InvalidArgumentException' })
    },
  )
})

test('a stream that keeps nothing can have neither, but can be rid of both', async () => {
  const { client, registry } = await runControl()
  await client.send(
    new UpdateDataRetentionCommand({
      ...{ ...STREAM, CurrentVersion: registry.get('x').version },
      ...{ Operation: 'DECREASE_DATA_RETENTION', DataRetentionChangeInHours: 24 },
    }),
  )
  const refused = { name: 'NoDataRetentionException', $metadata: { httpStatusCode: 400 } }
  const notification = {
    NotificationConfiguration: {
      ...{ Status: 'ENABLED' as const, DestinationConfig: { Uri: 'https://hooks.test/' } },
    },
  }

  await expect(
    client.send(
      new UpdateImageGenerationConfigurationCommand({
        ...{ ...STREAM, ImageGenerationConfiguration: IMAGES },
      }),
    ),
  ).rejects.toMatchObject(refused)
  await expect(
    client.send(new UpdateNotificationConfigurationCommand({ ...STREAM, ...notification })),
  ).rejects.toMatchObject(refused)
  await client.send(new UpdateImageGenerationConfigurationCommand(STREAM))
  await client.send(new UpdateNotificationConfigurationCommand(STREAM))
})

test('the storage tier is kept and answered, under a version', async () => {
  const { client, registry, streamArn } = await runControl()
  const { version: CurrentVersion } = registry.get('x')
  const update = () =>
    client.send(
      new UpdateStreamStorageConfigurationCommand({
        ...{ ...STREAM, CurrentVersion },
        StreamStorageConfiguration: { DefaultStorageTier: 'WARM' },
      }),
    )
  const describeIt = () => client.send(new DescribeStreamStorageConfigurationCommand(STREAM))
  const before = await describeIt()
  await update()

  expect(before.StreamStorageConfiguration).toEqual({ DefaultStorageTier: 'HOT' })
  expect(await describeIt()).toMatchObject({
    ...{ ...STREAM, StreamARN: streamArn() },
    StreamStorageConfiguration: { DefaultStorageTier: 'WARM' },
  })
  await expect(update()).rejects.toMatchObject({ name: 'VersionMismatchException' })
})
