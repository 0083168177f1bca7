import { expect, test } from 'vitest'
import { setSessionGauges } from '../../src/ingest/index.ts'
import type { TransportFacts } from '../../src/ingest/session-info.ts'
import { createDeferred } from '../../src/platform/deferred.ts'
import { toAvcTrack } from '../../src/ingest/parameter-sets.ts'
import { AVC_CONFIG } from '../support/rtmp-client.ts'
import { KEY, openIngestFixture } from './ingest-fixture.ts'

const request = (protocol: 'rtmp' | 'rtsp', transport?: () => TransportFacts) => ({
  ...{ stream: 'x', protocol, peer: '192.0.2.1:5000' },
  ...(transport === undefined ? {} : { transport }),
  authorisation: { kind: 'publish-key', key: KEY } as const,
})

test('gauges are those of the sessions that are on, and gone with them', async () => {
  const { sessions, deps } = await openIngestFixture()
  const facts = { lower: 'udp', packetsReceived: 100, packetsLost: 3, jitterMs: 7 } as const
  const session = await sessions.open(request('rtsp', () => facts))
  session.publisher.describe({ ...toAvcTrack(AVC_CONFIG), timescale: 90_000 })
  session.publisher.expect(['video'])
  const arrivedAt = deps.clock.now()
  for (const [i, ticks] of [0, 90_000, 270_000].entries()) {
    const data = new Uint8Array(10).fill(i)
    const sample = { trackNumber: 1, pts: ticks, dts: ticks, isKey: true, data, arrivedAt }
    session.publisher.write(sample)
  }
  const scrape = async () => {
    setSessionGauges(deps.metrics, sessions.list())
    const text = await deps.metrics.registry.metrics()
    return text.split('\n').filter((line) => /^kinora_ingest_\w+\{stream="x"\}/.test(line))
  }
  const during = await scrape()
  await session.end('unpublished')
  const after = await scrape()

  const named = (lines: string[]) => lines.map((line) => line.slice('kinora_ingest_'.length))
  expect(named(during)).toEqual(
    expect.arrayContaining([
      'packets_received{stream="x"} 100',
      'packets_lost{stream="x"} 3',
      'jitter_seconds{stream="x"} 0.007',
      'reconnects{stream="x"} 0',
    ]),
  )
  expect(named(after).filter((line) => !line.includes('_total{'))).toEqual([])
})

test('a session knows how often its stream was published before, and why that ended', async () => {
  const { sessions } = await openIngestFixture()
  for (const reason of ['unpublished', 'connection-error'] as const) {
    const session = await sessions.open(request('rtmp'))
    await session.end(reason)
  }
  const session = await sessions.open(request('rtmp'))

  expect(session.snapshot().reconnects).toEqual({ count: 2, lastReason: 'connection-error' })
  session.noteReconnects({ count: 9, lastReason: 'stalled' })
  expect(session.snapshot().reconnects).toEqual({ count: 9, lastReason: 'stalled' })
  await session.end('unpublished')
})

test('whoever publishes to a stream that is removed is evicted; who comes meanwhile is refused', async () => {
  const { sessions, archive, registry, streamId, event } = await openIngestFixture()
  const session = await sessions.open(request('rtmp'))
  const reopened = createDeferred<void>()
  const removal = sessions.whileClosed(streamId, async () => {
    await archive.remove(streamId)
    await reopened.promise
  })
  const late = sessions.open(request('rtsp'))

  await expect(late).rejects.toMatchObject({ code: 'StreamRemoved' })
  await event('sessionEnded', { reason: 'stream-removed' })
  expect(session.evicted.aborted).toBe(true)
  expect(sessions.list()).toEqual([])
  reopened.resolve()
  await removal
  await (await sessions.open(request('rtmp'))).end('unpublished') // it was not removed after all
  await registry.delete('x')
  await expect(sessions.open(request('rtmp'))).rejects.toMatchObject({
    code: 'PublishUnauthorized',
  })
})

test('a publisher that waits for the former one finds its stream removed', async () => {
  const { sessions, archive, registry, streamId } = await openIngestFixture()
  await sessions.open(request('rtmp'))
  const refused = expect(sessions.open(request('rtmp'))).rejects.toMatchObject({
    code: 'StreamRemoved',
  })
  await sessions.whileClosed(streamId, async () => {
    await archive.remove(streamId)
    await registry.delete('x')
  })
  await refused

  expect(sessions.list()).toEqual([])
})
