import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startSources } from '../../../src/ingest/index.ts'
import {
  createSecretBox,
  openSourceRegistry,
  type NewSource,
  type SourceRegistry,
} from '../../../src/registry/index.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { scratchMetaStore } from '../../support/scratch.ts'
import { KEY, openIngestFixture } from '../ingest-fixture.ts'
import { FakeCameras } from './fake-cameras.ts'

const PASSWORD = 'made-up-pa55'

/** Streams `a`, `b`, ... as the sources need them, and cameras that do what they are told. */
async function openFixture(declared: readonly NewSource[]) {
  const clock = new ManualClock()
  const ingest = await openIngestFixture(() => ({ clock }))
  for (const { stream } of declared) {
    await ingest.registry.create({ name: stream, retentionHours: 1, publishKey: KEY })
  }
  const box = createSecretBox(Buffer.alloc(32, 7))
  const meta = await scratchMetaStore()
  const sources: SourceRegistry = await openSourceRegistry(
    { meta, streams: ingest.registry, clock, box },
    [],
  )
  for (const source of declared) await sources.create(source)
  const cameras = new FakeCameras()
  const running = startSources({
    ...ingest.deps,
    sources,
    pullOf: () => cameras.pull,
    random: () => 0,
  })
  onTestFinished(() => running[Symbol.asyncDispose]())
  const waiting = (stream: string) =>
    until(() => running.status(stream)?.state === 'waiting' && running.status(stream)?.lastFailure)
  return { ...ingest, clock, sources, cameras, running, waiting }
}

/** Lets everything that is due happen, a bounded number of times. */
async function until(condition: () => unknown): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if (condition()) return
    await turn()
  }
  throw new Error(`does not come true: ${String(condition)}`)
}

const source = (stream: string, more: Partial<NewSource> = {}): NewSource => ({
  stream,
  url: `rtsp://admin:${PASSWORD}@camera-${stream}.test/live`,
  ...more,
})

describe('a source', () => {
  test('is called with its address, its credentials apart', async () => {
    const { cameras } = await openFixture([source('a', { transport: 'tcp' })])

    const { target } = await cameras.call('a')

    expect(target).toMatchObject({
      stream: 'a',
      credentials: { username: 'admin', password: PASSWORD },
      transport: 'tcp',
      verifyCertificate: true,
    })
    expect(target.url.href).toBe('rtsp://camera-a.test/live')
  })

  test('publishes; its session knows how often it was called before', async () => {
    const { cameras, clock, running, waiting, sessions } = await openFixture([source('a')])
    await (await cameras.call('a')).fail('unreachable')
    await waiting('a')
    clock.advance(60_000)

    await (await cameras.call('a', 2)).publish()

    expect(running.status('a')).toMatchObject({ state: 'publishing', failedAttempts: 1 })
    expect(sessions.list()).toMatchObject([
      { stream: 'a', reconnects: { count: 1, lastReason: 'unreachable' } },
    ])
  })

  test('is called again after every failure, each wait longer, up to a minute', async () => {
    const { cameras, clock, running, waiting } = await openFixture([source('a')])
    const waits: number[] = []

    for (let nth = 1; nth <= 8; nth++) {
      await (await cameras.call('a', nth)).fail('unreachable')
      await waiting('a')
      const waitMs = running.status('a')!.nextAttemptAt! - clock.now()
      waits.push(waitMs)
      clock.advance(waitMs)
    }

    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => seconds * 1000))
    expect(running.status('a')).toMatchObject({ reconnects: { unreachable: 8 } })
  })

  test('that was well for 30 s is called again at once', async () => {
    const { cameras, clock, running, waiting } = await openFixture([source('a')])
    await (await cameras.call('a')).fail('unreachable')
    await waiting('a')
    clock.advance(1_000)
    const call = await cameras.call('a', 2)
    await call.publish()
    clock.advance(30_000)
    call.sendFrame()

    await call.fail('peer-closed')
    await waiting('a')

    expect(running.status('a')).toMatchObject({ failedAttempts: 1 })
    expect(running.status('a')!.nextAttemptAt! - clock.now()).toBe(1_000)
  })

  test('whose media stopped early was not well, however long it was connected', async () => {
    const { cameras, clock, running, waiting } = await openFixture([source('a')])
    await (await cameras.call('a')).fail('unreachable')
    await waiting('a')
    clock.advance(1_000)
    const call = await cameras.call('a', 2)
    await call.publish()
    call.sendFrame()
    clock.advance(60_000)

    await call.fail('stalled')
    await waiting('a')

    expect(running.status('a')).toMatchObject({ failedAttempts: 2 })
  })

  test('that refuses the password is left alone for a minute', async () => {
    const { cameras, clock, running, waiting } = await openFixture([source('a')])

    await (await cameras.call('a')).fail('unauthorised', 'Wrong user name or password.')
    await waiting('a')
    clock.advance(59_000)
    await turn()

    expect(cameras.of('a')).toHaveLength(1)
    expect(running.status('a')).toMatchObject({
      state: 'waiting',
      lastFailure: { reason: 'unauthorised', message: 'Wrong user name or password.' },
    })
    clock.advance(1_000)
    await cameras.call('a', 2)
  })

  test('is not called while somebody else publishes, and is soon after', async () => {
    const { cameras, clock, running, waiting, sessions, sources } = await openFixture([
      source('a', { enabled: false }),
    ])
    const key = { kind: 'publish-key', key: KEY } as const
    const request = {
      stream: 'a',
      authorisation: key,
      protocol: 'rtmp',
      peer: '127.0.0.1:1',
    } as const
    const encoder = await sessions.open(request)

    await sources.update('a', { enabled: true })
    await waiting('a')
    const failure = running.status('a')!.lastFailure
    clock.advance(5_000)
    await waiting('a')
    const callsMeanwhile = cameras.of('a').length
    await encoder.end('unpublished')
    clock.advance(5_000)
    await cameras.call('a')

    expect(failure).toMatchObject({ reason: 'busy' })
    expect(callsMeanwhile).toBe(0)
  })

  test('that ends without a failure is called again', async () => {
    const { cameras, clock, running, waiting } = await openFixture([source('a')])

    ;(await cameras.call('a')).leave('peer-closed')
    await waiting('a')
    clock.advance(2_000)
    await cameras.call('a', 2)

    expect(running.status('a')).toMatchObject({ lastFailure: { reason: 'peer-closed' } })
  })
})

describe('a change', () => {
  test('leaves the old address before the new one is called', async () => {
    const { cameras, sources, running, sessions } = await openFixture([source('a')])
    const before = await cameras.call('a')
    await before.publish()

    await sources.update('a', { url: `rtsp://admin:${PASSWORD}@other.test/live` })
    const after = await cameras.call('a', 2)
    await after.publish()

    expect(before.leftFor).toBe('source-changed')
    expect(cameras.mostActive).toBe(1)
    expect(after.target.url.hostname).toBe('other.test')
    expect(sessions.list()).toHaveLength(1)
    expect(running.status('a')).toMatchObject({ state: 'publishing', reconnects: {} })
  })

  test('of the password ends the wait', async () => {
    const { cameras, sources, waiting } = await openFixture([source('a')])
    await (await cameras.call('a')).fail('unauthorised')
    await waiting('a')

    await sources.update('a', { password: 'another' })
    const { target } = await cameras.call('a', 2)

    expect(target.credentials).toEqual({ username: 'admin', password: 'another' })
  })

  test('disables, enables and removes at once', async () => {
    const { cameras, sources, running, sessions } = await openFixture([source('a')])
    await (await cameras.call('a')).publish()

    await sources.update('a', { enabled: false })
    await running.settled('a')
    const disabled = { status: running.status('a')?.state, sessions: sessions.list().length }
    await sources.update('a', { enabled: true })
    await (await cameras.call('a', 2)).publish()
    await sources.delete('a')
    await running.settled('a')

    expect(disabled).toEqual({ status: 'disabled', sessions: 0 })
    expect(running.status('a')).toBeNull()
    expect(cameras.active).toBe(0)
    expect(sessions.list()).toEqual([])
  })

  test('many at once end in the last one', async () => {
    const { cameras, sources, running } = await openFixture([source('a')])
    await (await cameras.call('a')).publish()

    for (const port of [1001, 1002, 1003]) {
      await sources.update('a', { url: `rtsp://x:y@camera.test:${port}/` })
    }
    await running.settled('a')
    await turn()

    expect(cameras.active).toBe(1)
    expect(cameras.of('a').at(-1)!.target.url.port).toBe('1003')
  })
})

describe('the removal of a stream', () => {
  test('ends its source', async () => {
    const { cameras, running, registry, sources, archive, clock } = await openFixture([source('a')])
    await (await cameras.call('a')).publish()
    const { streamId } = registry.get('a')

    await running.whileStopped('a', async () => {
      await archive.remove(streamId)
      await registry.delete('a')
    })
    clock.advance(1) // a stream's ID carries the millisecond
    await registry.create({ name: 'a', retentionHours: 1 })

    expect(cameras.active).toBe(0)
    expect(running.status('a')).toBeNull()
    expect(sources.list()).toEqual([])
  })

  test('that fails leaves the source as it was', async () => {
    const { cameras, running } = await openFixture([source('a')])
    await (await cameras.call('a')).publish()

    const removal = running.whileStopped('a', () => Promise.reject(new Error('held')))

    await expect(removal).rejects.toThrow('held')
    await cameras.call('a', 2)
  })
})

describe('sources among each other', () => {
  test('start one after the other, and few connect at a time', async () => {
    const declared = Array.from({ length: 40 }, (_, i) => source(`s${i}`))
    const { cameras, clock } = await openFixture(declared)
    await cameras.calls.reaching(1)
    const atOnce = cameras.calls.items.length

    for (let i = 0; i < 40; i++) {
      clock.advance(100)
      await turn()
    }
    const whileAllHang = cameras.calls.items.length
    clock.advance(3_000)
    await cameras.calls.reaching(32)
    clock.advance(3_000)
    await cameras.calls.reaching(40)

    expect(atOnce).toBe(1)
    // 16 places; the first ones are given up after 3 s, the others began later.
    expect(whileAllHang).toBeGreaterThanOrEqual(16)
    expect(whileAllHang).toBeLessThan(32)
  })

  test('a bug in one ends neither it nor the others', async () => {
    const { cameras, clock, running, waiting, sessions } = await openFixture([
      source('a'),
      source('b'),
    ])
    clock.advance(5_000)
    const [a, b] = [await cameras.call('a'), await cameras.call('b')]
    await a.publish()
    await b.publish()

    a.throwUnexpected(new TypeError('x is not a function'))
    await waiting('a')
    const left = sessions.list().map(({ stream }) => stream)
    clock.advance(2_000)
    await (await cameras.call('a', 2)).publish()

    expect(left).toEqual(['b'])
    expect(running.status('a')).toMatchObject({
      state: 'publishing',
      lastFailure: { reason: 'failed', message: 'x is not a function' },
    })
    expect(running.status('b')).toMatchObject({ state: 'publishing', reconnects: {} })
  })
})

describe('the end of the service', () => {
  test('leaves every peer', async () => {
    const { cameras, clock, running, sessions } = await openFixture([source('a'), source('b')])
    clock.advance(5_000)
    const [a, b] = [await cameras.call('a'), await cameras.call('b')]
    await a.publish()

    await running[Symbol.asyncDispose]()

    expect([a.leftFor, b.leftFor]).toEqual(['shutdown', 'shutdown'])
    expect(sessions.list()).toEqual([])
  })

  test('does not wait for a pull that does not leave', async () => {
    const { cameras, clock, running, sessions } = await openFixture([source('a')])
    const call = await cameras.call('a')
    await call.publish()
    call.isDeaf = true

    const ending = running[Symbol.asyncDispose]()
    await clock.sleeping(5_000)
    clock.advance(5_000)
    await ending

    expect(sessions.list()).toEqual([])
    call.throwUnexpected(new Error('late')) // and nobody is bothered
  })

  test('calls nobody any more', async () => {
    const { cameras, clock, running, sources, waiting } = await openFixture([source('a')])
    await (await cameras.call('a')).fail('unreachable')
    await waiting('a')

    await running[Symbol.asyncDispose]()
    await sources.update('a', { url: `rtsp://u:p@other.test/` })
    clock.advance(600_000)
    await turn()

    expect(cameras.calls.items).toHaveLength(1)
  })
})

describe('secrets', () => {
  test.each([
    { where: 'password', url: `rtsp://admin:${PASSWORD}@c.test/`, says: `401 for ${PASSWORD}` },
    {
      where: 'password, encoded',
      url: 'rtsp://admin:p%40ss%2Fword@c.test/',
      says: 'GET rtsp://admin:p%40ss%2Fword@c.test/ failed',
    },
    {
      where: 'query',
      url: 'http://c.test/flv?user=viewer&password=hush-hush',
      says: 'http://c.test/flv?user=viewer&password=hush-hush: 404',
    },
    {
      where: 'header',
      url: `rtsp://admin:${PASSWORD}@c.test/`,
      says: `refused Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}`,
    },
  ])('a message that quotes one is left out: $where', async ({ url, says }) => {
    const { cameras, running, waiting, observed } = await openFixture([source('a', { url })])

    await (await cameras.call('a')).fail('not-found', says)
    await waiting('a')

    const shown = JSON.stringify([running.status('a'), observed.recorder.items])
    expect(running.status('a')?.lastFailure?.message).toMatch(/cannot be shown/)
    expect(shown).not.toMatch(/hush-hush|p%40ss|p@ss|viewer/)
    expect(shown).not.toContain(PASSWORD)
  })

  test('sealed with another key are told, and asked for again later', async () => {
    const { cameras, clock, observed } = await openFixture([])
    const ingest = await openIngestFixture(() => ({ clock }))
    const meta = await scratchMetaStore()
    const open = (fill: number) =>
      openSourceRegistry(
        { meta, streams: ingest.registry, clock, box: createSecretBox(Buffer.alloc(32, fill)) },
        [],
      )
    await (await open(1)).create(source('x'))
    const sources = await open(2)

    const running = startSources({
      ...{ ...ingest.deps, ...observed, sources, pullOf: () => cameras.pull, random: () => 0 },
    })
    onTestFinished(() => running[Symbol.asyncDispose]())
    await until(() => running.status('x')?.lastFailure)

    expect(running.status('x')).toMatchObject({
      state: 'waiting',
      lastFailure: {
        reason: 'failed',
        message: expect.stringContaining('credentials.json') as string,
      },
    })
  })
})

test('metrics say what is up, why it was not, and forget what is not called', async () => {
  const { cameras, clock, observed, waiting, sources, running } = await openFixture([source('a')])
  await (await cameras.call('a')).fail('tls')
  await waiting('a')
  const down = await observed.metrics.registry.metrics()
  clock.advance(2_000)
  await (await cameras.call('a', 2)).publish()
  const up = await observed.metrics.registry.metrics()
  await sources.delete('a')
  await running.settled('a')
  const gone = await observed.metrics.registry.metrics()

  expect(down).toContain('kinora_source_publishing{stream="a"} 0')
  expect(down).toContain('kinora_source_reconnects_total{stream="a",reason="tls"} 1')
  expect(up).toContain('kinora_source_publishing{stream="a"} 1')
  expect(gone).not.toContain('kinora_source_publishing{')
})
