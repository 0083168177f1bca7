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

    expect(registry.list()).toMatchObject([{ name: 'cam-1', retentionHours: 48, version: 2 }])
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

  test.each([
    { code: 'StreamExists', act: () => registry.create({ name: 'taken', retentionHours: 1 }) },
    { code: 'InvalidStreamName', act: () => registry.create({ name: '../x', retentionHours: 1 }) },
    { code: 'InvalidStreamName', act: () => registry.create({ name: '..', retentionHours: 1 }) },
    { code: 'InvalidStreamName', act: () => registry.create({ name: '', retentionHours: 1 }) },
    { code: 'InvalidRetention', act: () => registry.create({ name: 'x', retentionHours: -1 }) },
    { code: 'InvalidRetention', act: () => registry.create({ name: 'x', retentionHours: 87_601 }) },
    { code: 'InvalidRetention', act: () => registry.update('taken', { retentionHours: 1.5 }) },
    { code: 'InvalidPublishKey', act: () => registry.update('taken', { publishKey: 'short' }) },
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
