import { beforeEach, describe, expect, test } from 'vitest'
import {
  createSecretBox,
  openSourceRegistry,
  openStreamRegistry,
  type NewSource,
  type SourceRegistry,
  type StreamRegistry,
} from '../../src/registry/index.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryMetaStore, type MetaContents } from '../support/memory-meta-store.ts'

const PASSWORD = 'made-up-pa55'
const URL_WITH_PASSWORD = `rtsp://admin:${PASSWORD}@cam.test:554/live`
let contents: MetaContents
let streams: StreamRegistry
let sources: SourceRegistry
let clock: ManualClock

async function open(declared: readonly NewSource[] = [], key = 7): Promise<void> {
  const meta = new MemoryMetaStore(contents)
  streams = await openStreamRegistry(meta, clock)
  for (const name of ['a', 'b']) {
    if (streams.find(name) === null) await streams.create({ name, retentionHours: 1 })
  }
  const box = createSecretBox(Buffer.alloc(32, key))
  sources = await openSourceRegistry({ meta, streams, clock, box }, declared)
}

beforeEach(async () => {
  contents = { entries: [] }
  clock = new ManualClock()
  await open()
})

describe('a source', () => {
  test('shows no secret and gives them to who calls it', async () => {
    const info = await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })

    expect(info).toMatchObject({
      stream: 'a',
      origin: 'runtime',
      url: 'rtsp://cam.test:554/live',
      username: 'admin',
      hasPassword: true,
      transport: 'auto',
      verifyCertificate: true,
      enabled: true,
      connectTimeoutMs: 5_000,
      stallTimeoutMs: 10_000,
    })
    expect(JSON.stringify([info, sources.list(), sources.find('a')])).not.toContain(PASSWORD)
    expect(sources.settings('a')).toMatchObject({
      credentials: { username: 'admin', password: PASSWORD },
    })
  })

  test('keeps no secret readable on disk', async () => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })
    await sources.create({ stream: 'b', url: 'http://cam.test/flv?user=viewer&password=hush-hush' })

    const stored = JSON.stringify(contents)
    expect(stored).toContain('cam.test')
    expect(stored).not.toMatch(/made-up-pa55|hush-hush|viewer/)
    expect(stored).not.toContain(Buffer.from(PASSWORD).toString('base64').slice(0, 12))
  })

  test('survives a restart, whole', async () => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD, transport: 'udp', enabled: false })
    const before = sources.get('a')
    const settings = sources.settings('a')

    await open()

    expect(sources.get('a')).toEqual(before)
    expect(sources.settings('a')).toEqual(settings)
  })

  test('that is gone with its stream does not come back with a stream of the same name', async () => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })
    await streams.delete('a')
    clock.advance(1)

    await open() // makes another stream `a`

    expect(sources.list()).toEqual([])
    expect(contents.entries.filter(({ key }) => key[0] === 'source')).toEqual([])
  })

  test('whose stream is removed is forgotten on disk too', async () => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })
    await streams.delete('a')

    await sources.prune()

    expect(contents.entries.filter(({ key }) => key[0] === 'source')).toEqual([])
  })

  test('whose key is another one now is listed, but cannot be called', async () => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })

    await open([], 8)

    expect(sources.list()).toMatchObject([{ stream: 'a' }])
    expect(() => sources.settings('a')).toThrow(/credentials\.json/)
    await sources.delete('a')
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })
    expect(sources.settings('a').credentials?.password).toBe(PASSWORD)
  })

  test('tells who watches', async () => {
    const changes: string[] = []
    const end = sources.watch((stream) => changes.push(stream))

    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })
    await sources.update('a', { enabled: false })
    await sources.delete('a')
    end()
    await sources.create({ stream: 'b', url: URL_WITH_PASSWORD })

    expect(changes).toEqual(['a', 'a', 'a'])
  })
})

describe('a change', () => {
  const credentials = { username: 'admin', password: PASSWORD }

  test.each([
    { rule: 'keeps what is absent', change: { enabled: false }, then: credentials },
    {
      rule: 'keeps the password on another path',
      change: { url: 'rtsp://cam.test:554/other' },
      then: credentials,
    },
    {
      rule: 'takes credentials from the URL',
      change: { url: 'rtsp://u:p@elsewhere.test/' },
      then: { username: 'u', password: 'p' },
    },
    {
      rule: 'takes a password for another host',
      change: { url: 'rtsp://elsewhere.test/', password: 'new' },
      then: { username: 'admin', password: 'new' },
    },
    { rule: 'drops credentials', change: { username: null }, then: null },
    {
      rule: 'drops them for another host',
      change: { url: 'rtsp://elsewhere.test/', username: null },
      then: null,
    },
  ])('$rule', async ({ change, then }) => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })

    const info = await sources.update('a', change)

    expect(info.version).toBe(2)
    expect(sources.settings('a').credentials).toEqual(then)
  })

  test.each([
    'rtsp://elsewhere.test:554/live',
    'rtsp://cam.test:555/live',
    'rtsps://cam.test:554/',
  ])('does not send the password to %s', async (url) => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })

    const update = sources.update('a', { url })

    await expect(update).rejects.toMatchObject({
      code: 'InvalidSource',
      message: expect.stringMatching(/^password: has to be given again/) as string,
    })
    expect(sources.get('a').url).toBe('rtsp://cam.test:554/live')
  })

  test('of two at a time, one is told', async () => {
    await sources.create({ stream: 'a', url: URL_WITH_PASSWORD })

    const outcomes = await Promise.allSettled([
      sources.update('a', { enabled: false }),
      sources.update('a', { transport: 'tcp' }),
    ])

    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })
})

describe('what is refused', () => {
  const url = 'rtsp://cam.test/'
  test.each([
    { code: 'StreamNotFound', act: () => sources.create({ stream: 'none', url }) },
    { code: 'SourceExists', act: () => sources.create({ stream: 'a', url }) },
    { code: 'SourceNotFound', act: () => sources.update('b', { enabled: false }) },
    { code: 'SourceNotFound', act: () => sources.delete('b') },
    { code: 'SourceNotFound', act: async () => sources.settings('none') },
  ])('$code', async ({ code, act }) => {
    await sources.create({ stream: 'a', url })

    await expect(act()).rejects.toMatchObject({ code })
  })

  test.each<{ field: string; source: Partial<NewSource> }>([
    { field: 'url', source: { url: 'file:///etc/passwd' } },
    { field: 'username', source: { username: 'a"\r\nX-Header: 1' } },
    { field: 'password', source: { password: 'a\u0000b' } },
    { field: 'password', source: { password: 'x'.repeat(257) } },
    { field: 'connectTimeoutMs', source: { connectTimeoutMs: 499 } },
    { field: 'connectTimeoutMs', source: { connectTimeoutMs: 1500.5 } },
    { field: 'stallTimeoutMs', source: { stallTimeoutMs: 300_001 } },
  ])('names the field: $field', async ({ field, source }) => {
    const creation = sources.create({ stream: 'b', url, ...source })

    await expect(creation).rejects.toMatchObject({
      code: 'InvalidSource',
      message: expect.stringMatching(new RegExp(`^${field}: `)) as string,
    })
  })
})

describe('a declared source', () => {
  const declared = [{ stream: 'a', url: URL_WITH_PASSWORD }]

  test('is there, and changed only in the configuration', async () => {
    await open(declared)

    expect(sources.get('a')).toMatchObject({ origin: 'config', username: 'admin' })
    expect(sources.settings('a').credentials?.password).toBe(PASSWORD)
    for (const act of [sources.update('a', { enabled: false }), sources.delete('a')]) {
      await expect(act).rejects.toMatchObject({ code: 'SourceDeclared' })
    }
    await expect(sources.create({ stream: 'a', url: 'rtsp://x/' })).rejects.toMatchObject({
      code: 'SourceExists',
    })
  })

  test('goes before one made at run time, which waits', async () => {
    await sources.create({ stream: 'a', url: 'rtsp://made-at-run-time.test/' })

    await open(declared)
    const whileDeclared = sources.list()
    await open([])

    expect(whileDeclared).toMatchObject([{ origin: 'config', url: 'rtsp://cam.test:554/live' }])
    expect(sources.list()).toMatchObject([{ url: 'rtsp://made-at-run-time.test/' }])
  })

  test('leaves nothing on disk', async () => {
    await open(declared)

    expect(contents.entries.filter(({ key }) => key[0] === 'source')).toEqual([])
  })
})

describe('a secret box', () => {
  const box = createSecretBox(Buffer.alloc(32, 7))

  test('opens what it sealed, only in its place, only with its key', () => {
    const sealed = box.seal(PASSWORD, 'a')
    const bytes = Buffer.from(sealed, 'base64')
    bytes[bytes.length - 1]! ^= 1

    expect(box.open(sealed, 'a')).toBe(PASSWORD)
    expect(() => box.open(sealed, 'b')).toThrow()
    expect(() => box.open(bytes.toString('base64'), 'a')).toThrow()
    expect(() => box.open('', 'a')).toThrow()
    expect(() => createSecretBox(Buffer.alloc(32, 8)).open(sealed, 'a')).toThrow()
  })

  test('seals the same text differently every time', () => {
    expect(box.seal(PASSWORD, 'a')).not.toBe(box.seal(PASSWORD, 'a'))
  })
})
