import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/platform/clock.ts'
import { openLevelMetaStore, type MetaStore } from '../../src/platform/meta-store.ts'
import {
  openCredentials,
  openStreamRegistry,
  type StreamRegistry,
} from '../../src/registry/index.ts'

let directory: string
let meta: MetaStore
let registry: StreamRegistry

async function reopen(): Promise<void> {
  meta = await openLevelMetaStore(join(directory, 'meta'))
  registry = await openStreamRegistry(meta, systemClock)
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'registry-'))
  await reopen()
})
afterEach(async () => {
  await meta[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

describe('StreamRegistry', () => {
  test('streams, changes and keys survive a restart', async () => {
    await registry.create({ name: 'cam-1', retentionHours: 24, publishKey: 'test-key-one' })
    await registry.update('cam-1', { retentionHours: 48 })
    await meta[Symbol.asyncDispose]()
    await reopen()

    expect(registry.list()).toMatchObject([
      { name: 'cam-1', retentionHours: 48, version: expect.any(String) as string },
    ])
    expect(registry.acceptsPublishKey('cam-1', 'test-key-one')).toBe(true)
  })

  test('a key opens its own stream and nothing else', async () => {
    const a = await registry.create({ name: 'a', retentionHours: 1 })
    const b = await registry.create({ name: 'b', retentionHours: 1 })

    expect(registry.acceptsPublishKey('a', a.publishKey)).toBe(true)
    expect(registry.acceptsPublishKey('a', b.publishKey)).toBe(false)
    expect(registry.acceptsPublishKey('nobody', a.publishKey)).toBe(false)
    expect(registry.acceptsPublishKey('a', '')).toBe(false)
  })

  test('the key is not on disk', async () => {
    const { publishKey } = await registry.create({ name: 'a', retentionHours: 1 })

    for await (const { value } of meta.entries({ prefix: [] })) {
      expect(JSON.stringify(value)).not.toContain(publishKey)
    }
  })

  test('a stream created again is another one', async () => {
    const first = (await registry.create({ name: 'a', retentionHours: 1 })).info
    await registry.delete('a')
    await new Promise((resolve) => setTimeout(resolve, 2)) // the id carries the millisecond
    const second = (await registry.create({ name: 'a', retentionHours: 1 })).info

    expect(second.streamId).not.toBe(first.streamId)
    expect(registry.findById(first.streamId)).toBeNull()
    expect(registry.findById(second.streamId)?.name).toBe('a')
  })

  test('what the Kinesis Video API says of a stream survives a restart', async () => {
    const said = {
      deviceName: 'door',
      mediaType: 'video/h264',
      kmsKeyId: 'alias/own',
      storageTier: 'WARM' as const,
      tags: { place: 'yard', ['__proto__']: 'a tag like any other' },
    }
    const imageGeneration = {
      enabled: true,
      clock: 'server' as const,
      destinationUri: 's3://images/yard',
      destinationRegion: 'us-west-2',
      samplingIntervalMs: 200,
      format: 'JPEG' as const,
      jpegQuality: null,
      widthPixels: 640,
      heightPixels: null,
    }
    const notification = { enabled: false, destinationUri: 'https://hooks.test/' }
    await registry.create({ name: 'cam-1', retentionHours: 1, ...said })
    await registry.update('cam-1', { imageGeneration, notification })
    const before = registry.get('cam-1')
    await meta[Symbol.asyncDispose]()
    await reopen()

    expect(registry.get('cam-1')).toEqual(before)
    expect(before).toMatchObject({ ...said, imageGeneration, notification })
    expect(Object.keys(before.tags)).toEqual(['place', '__proto__'])
  })

  test('a row of the first version opens, and changes like any other', async () => {
    const { info } = await registry.create({ name: 'old', retentionHours: 24 })
    const stored = meta.get<Record<string, unknown>>(['stream', 'old'])!
    const old = Object.fromEntries(
      ['streamId', 'name', 'createdAt', 'retentionHours', 'publishKeySha256', 'publishDigests'].map(
        (member) => [member, stored[member]],
      ),
    )
    await meta.commit({ puts: [{ key: ['stream', 'old'], value: { ...old, version: 3 } }] })
    await meta[Symbol.asyncDispose]()
    await reopen()

    expect(registry.get('old')).toEqual({ ...info, version: '3' })
    await registry.update('old', { deviceName: 'door' })
    expect(registry.findById(info.streamId)).toMatchObject({ deviceName: 'door', tags: {} })
    expect(registry.get('old').version).not.toBe('3')
  })

  test('every change makes another version, but of tags', async () => {
    await registry.create({ name: 'a', retentionHours: 1 })
    const versions = [registry.get('a').version]
    for (const change of [{ tags: { k: 'v' } }, { deviceName: 'd' }, { retentionHours: 2 }]) {
      versions.push((await registry.update('a', change)).version)
    }

    expect(versions[1]).toBe(versions[0])
    expect(new Set(versions).size).toBe(3)
    for (const version of versions) expect(version).toMatch(/^[a-zA-Z0-9]{8,64}$/)
  })

  test('changes at the same time are made one after the other, and none is lost', async () => {
    await registry.create({ name: 'a', retentionHours: 1 })
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`)
    await Promise.all(
      keys.map((key) => registry.update('a', ({ tags }) => ({ tags: { ...tags, [key]: '' } }))),
    )

    expect(Object.keys(registry.get('a').tags)).toEqual(keys)
  })

  test('of changes that ask for the same version one is made', async () => {
    const { version } = (await registry.create({ name: 'a', retentionHours: 1 })).info
    const outcomes = await Promise.allSettled(
      [2, 3, 4].map((retentionHours) =>
        registry.update('a', (current) => {
          if (current.version !== version) throw new Error('of a test')
          return { retentionHours }
        }),
      ),
    )

    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(registry.get('a').retentionHours).toBe(2)
  })

  test('two removals at the same time remove one stream, not the next of its name', async () => {
    await registry.create({ name: 'a', retentionHours: 1 })
    const outcomes = await Promise.allSettled([registry.delete('a'), registry.delete('a')])

    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(registry.list()).toEqual([])
  })

  test.each([
    { code: 'StreamExists', act: () => registry.create({ name: 'taken', retentionHours: 1 }) },
    { code: 'InvalidStreamName', act: () => registry.create({ name: '../x', retentionHours: 1 }) },
    { code: 'InvalidStreamName', act: () => registry.create({ name: '..', retentionHours: 1 }) },
    { code: 'InvalidStreamName', act: () => registry.create({ name: '', retentionHours: 1 }) },
    { code: 'InvalidRetention', act: () => registry.create({ name: 'x', retentionHours: -1 }) },
    { code: 'InvalidRetention', act: () => registry.create({ name: 'x', retentionHours: 87_601 }) },
    { code: 'InvalidRetention', act: () => registry.update('taken', { retentionHours: 1.5 }) },
    { code: 'InvalidPublishKey', act: () => registry.update('taken', { publishKey: 'short' }) },
    { code: 'TooManyTags', act: () => registry.update('taken', { tags: MANY_TAGS }) },
    {
      code: 'TooManyTags',
      act: () => registry.create({ name: 'x', retentionHours: 1, tags: MANY_TAGS }),
    },
    {
      code: 'InvalidPublishKey',
      act: () => registry.update('taken', { publishKey: 'with space' }),
    },
    { code: 'StreamNotFound', act: () => registry.update('nobody', { retentionHours: 1 }) },
    { code: 'StreamNotFound', act: () => registry.delete('nobody') },
  ])('$code', async ({ code, act }) => {
    await registry.create({ name: 'taken', retentionHours: 1 })

    await expect(act()).rejects.toMatchObject({ code })
  })
})

const MANY_TAGS = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, '']))

describe('openCredentials', () => {
  test('makes them once, readable by the owner only', async () => {
    const first = await openCredentials(directory)
    const second = await openCredentials(directory)

    expect(second).toEqual(first)
    expect(first.accessKeyId).toMatch(/^[A-Z0-9]{20}$/)
    expect((await stat(join(directory, 'credentials.json'))).mode & 0o777).toBe(0o600)
  })

  test('refuses a damaged file instead of making new keys over it', async () => {
    await writeFile(join(directory, 'credentials.json'), '{"accessKeyId":"TESTKEY"')

    await expect(openCredentials(directory)).rejects.toMatchObject({
      code: 'CredentialsUnreadable',
    })
    expect(await readFile(join(directory, 'credentials.json'), 'utf8')).toContain('TESTKEY')
  })
})
