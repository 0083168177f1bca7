import {
  CreateSignalingChannelCommand,
  ListTagsForResourceCommand,
  ListTagsForStreamCommand,
  TagResourceCommand,
  TagStreamCommand,
  UntagResourceCommand,
  UntagStreamCommand,
} from '@aws-sdk/client-kinesis-video'
import { describe, expect, test } from 'vitest'
import { runControl } from './run-control.ts'

const STREAM = { StreamName: 'x' }

describe('tags of a stream', () => {
  test('are added, replaced, removed, and say nothing of what is not there', async () => {
    const { client } = await runControl()
    await client.send(new TagStreamCommand({ ...STREAM, Tags: { a: '1', b: '2' } }))
    await client.send(
      new TagStreamCommand({ ...STREAM, Tags: { b: '3', 'ort:größe': '水 @/+=-._' } }),
    )
    await client.send(new UntagStreamCommand({ ...STREAM, TagKeyList: ['a', 'nothing'] }))
    const { Tags } = await client.send(new ListTagsForStreamCommand(STREAM))

    expect(Tags).toEqual({ b: '3', 'ort:größe': '水 @/+=-._' })
  })

  test('are the same by either form', async () => {
    const { client, streamArn } = await runControl()
    await client.send(
      new TagResourceCommand({ ResourceARN: streamArn(), Tags: [{ Key: 'a', Value: '1' }] }),
    )
    await client.send(new TagStreamCommand({ StreamARN: streamArn(), Tags: { b: '2' } }))
    await client.send(new UntagResourceCommand({ ResourceARN: streamArn(), TagKeyList: ['a'] }))
    const listed = await client.send(new ListTagsForResourceCommand({ ResourceARN: streamArn() }))

    expect(listed.Tags).toEqual({ b: '2' })
    expect(await client.send(new ListTagsForStreamCommand(STREAM))).toMatchObject({
      Tags: { b: '2' },
    })
  })

  test('leave the version as it was', async () => {
    const { client, registry } = await runControl()
    const { version } = registry.get('x')
    await client.send(new TagStreamCommand({ ...STREAM, Tags: { a: '1' } }))

    expect(registry.get('x').version).toBe(version)
  })

  test('that are added at the same time are all there', async () => {
    const { client } = await runControl()
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    await Promise.all(
      keys.map((key) => client.send(new TagStreamCommand({ ...STREAM, Tags: { [key]: '' } }))),
    )
    const { Tags } = await client.send(new ListTagsForStreamCommand(STREAM))

    expect(Object.keys(Tags!).toSorted()).toEqual(keys.toSorted())
  })

  test('are fifty at most, and the one too many changes nothing', async () => {
    const { client, registry } = await runControl()
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, 'v']))
    await client.send(new TagStreamCommand({ ...STREAM, Tags: many }))
    await client.send(new TagStreamCommand({ ...STREAM, Tags: { k7: 'w' } })) // no more than before
    const asked = client.send(new TagStreamCommand({ ...STREAM, Tags: { another: '' } }))

    await expect(asked).rejects.toMatchObject({
      name: 'TagsPerResourceExceededLimitException',
      $metadata: { httpStatusCode: 400 },
    })
    expect(registry.get('x').tags).toEqual({ ...many, k7: 'w' })
  })

  test('may fill a request, spelt in six bytes a letter', async () => {
    const { call, registry } = await runControl()
    const letters = (count: number) => '\\u6c34'.repeat(count)
    const pairs = Array.from(
      { length: 50 },
      (_, i) => `"${letters(126)}${String(i).padStart(2, '0')}":"${letters(256)}"`,
    )
    const answer = await call('/tagStream', `{"StreamName":"x","Tags":{${pairs.join(',')}}}`)

    expect(answer).toMatchObject({ status: 200, body: {} })
    expect(Object.values(registry.get('x').tags)).toEqual(
      Array.from({ length: 50 }, () => '水'.repeat(256)),
    )
  })

  test.each<{ rule: string; Tags: Record<string, string>; at: string }>([
    { rule: 'a key of other letters', Tags: { 'a;b': '' }, at: "'tags.a;b.key'" },
    { rule: 'a key too long', Tags: { ['k'.repeat(129)]: '' }, at: 'less than or equal to 128' },
    { rule: 'a value too long', Tags: { k: 'v'.repeat(257) }, at: "'tags.k.member'" },
    { rule: 'none', Tags: {}, at: "'tags' failed" },
  ])('refuse $rule, and say which', async ({ Tags, at }) => {
    const { client } = await runControl()

    await expect(client.send(new TagStreamCommand({ ...STREAM, Tags }))).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: expect.stringContaining(at) as string,
    })
  })

  test.each([
    {
      of: 'TagStream',
      command: (StreamARN: string) => new TagStreamCommand({ StreamARN, Tags: { a: '' } }),
    },
    {
      of: 'UntagStream',
      command: (StreamARN: string) => new UntagStreamCommand({ StreamARN, TagKeyList: ['a'] }),
    },
    {
      of: 'ListTagsForStream',
      command: (StreamARN: string) => new ListTagsForStreamCommand({ StreamARN }),
    },
  ])('$of tells the ARN of a channel from one of no stream', async ({ command }) => {
    const { client, streamArn } = await runControl()
    const send = (arn: string) => client.send(command(arn) as TagStreamCommand)

    await expect(send(streamArn().replace(':stream/', ':channel/'))).rejects.toMatchObject({
      name: 'InvalidResourceFormatException',
      message: 'The format of the StreamARN is invalid.',
    })
    await expect(send(streamArn().replace('/x/', '/y/'))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    })
  })
})

describe('tags of a channel', () => {
  const withChannel = async () => {
    const running = await runControl()
    const { ChannelARN } = await running.client.send(
      new CreateSignalingChannelCommand({ ChannelName: 'c', Tags: [{ Key: 'a', Value: '1' }] }),
    )
    return { ...running, ResourceARN: ChannelARN! }
  }

  test('are added, replaced and removed', async () => {
    const { client, ResourceARN } = await withChannel()
    const Tags = [
      { Key: 'a', Value: '2' },
      { Key: 'b', Value: '' },
      { Key: '__proto__', Value: 'c' },
    ]
    await client.send(new TagResourceCommand({ ResourceARN, Tags }))
    await client.send(new UntagResourceCommand({ ResourceARN, TagKeyList: ['b', 'nothing'] }))
    const listed = await client.send(new ListTagsForResourceCommand({ ResourceARN }))

    expect(Object.entries(listed.Tags!)).toEqual([
      ['a', '2'],
      ['__proto__', 'c'],
    ])
  })

  test('are fifty at most', async () => {
    const { client, ResourceARN } = await withChannel()
    const Tags = Array.from({ length: 50 }, (_, i) => ({ Key: `k${i}`, Value: '' }))

    await expect(client.send(new TagResourceCommand({ ResourceARN, Tags }))).rejects.toMatchObject({
      name: 'TagsPerResourceExceededLimitException',
    })
  })

  test('refuse a key that comes twice', async () => {
    const { client, ResourceARN } = await withChannel()
    const tag = { Key: 'a', Value: '' }

    await expect(
      client.send(new TagResourceCommand({ ResourceARN, Tags: [tag, tag] })),
    ).rejects.toMatchObject({ name: 'InvalidArgumentException', message: 'Tags has a Key twice.' })
  })

  test.each([':channel/d/', ':stream/d/', ':film/c/'])('of %s are not found', async (other) => {
    const { client, ResourceARN } = await withChannel()
    const arn = ResourceARN.replace(':channel/c/', other)

    await expect(
      client.send(new ListTagsForResourceCommand({ ResourceARN: arn })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })
})

test('a token of nobody is refused by the operations that have one page', async () => {
  const { client, streamArn } = await runControl()
  for (const command of [
    new ListTagsForStreamCommand({ ...STREAM, NextToken: 'AAAA' }),
    new ListTagsForResourceCommand({ ResourceARN: streamArn(), NextToken: 'AAAA' }),
  ]) {
    await expect(client.send(command as ListTagsForStreamCommand)).rejects.toMatchObject({
      name: 'InvalidArgumentException',
    })
  }
})
