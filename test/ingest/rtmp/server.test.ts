import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ServiceError } from '../../../src/domain/errors.ts'
import { decodeAmf0, encodeAmf0, type Amf0Answer } from '../../../src/ingest/amf/amf0.ts'
import type { FragmentWriter } from '../../../src/archive/index.ts'
import { createDeferred } from '../../../src/platform/deferred.ts'
import { isInstalled } from '../../support/installed.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import {
  aacFrame,
  aacHeader,
  avcFrame,
  avcHeader,
  handshake,
  RtmpClient,
  toChunk,
  toMessage,
} from '../../support/rtmp-client.ts'
import { hex, mutations } from '../../support/fuzz.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { KEY, startFixture } from './rtmp-fixture.ts'

const AUDIO = 8
const VIDEO = 9
const NAME = `x?key=${KEY}`

/** Two GOPs of H.264 with AAC, 2 s apart: two fragments. */
function sendTwoGops(client: RtmpClient): void {
  client.media(VIDEO, 0, avcHeader())
  client.media(AUDIO, 0, aacHeader())
  client.media(VIDEO, 0, avcFrame({ isKey: true }))
  client.media(AUDIO, 10, aacFrame(1))
  client.media(VIDEO, 1000, avcFrame({ isKey: false }))
  client.media(VIDEO, 2000, avcFrame({ isKey: true }))
}

const describeSample = (s: { trackNumber: number; isKey: boolean; data: Buffer }) =>
  `${s.trackNumber}${s.isKey ? 'k' : ''}:${s.data.toString('hex')}`

describe('a publisher', () => {
  test('is stored sample for sample, and seen while it publishes', async () => {
    const { port, sessions, stored, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    sendTwoGops(client)
    await event('fragmentPersisted')

    expect(sessions.list()).toMatchObject([
      {
        stream: 'x',
        protocol: 'rtmp',
        tracks: [{ codec: 'avc1.42C00A' }, { codec: 'mp4a.40.2' }],
      },
    ])
    await client.end()
    await event('sessionEnded', { stream: 'x', reason: 'peer-closed' })

    const fragments = await stored()
    expect(fragments.map(({ samples }) => samples.map(describeSample))).toEqual([
      ['1k:0000000465010203', '2k:01', '1:0000000441010203'],
      ['1k:0000000465010203'],
    ])
    const [first, second] = fragments
    expect(second!.fragment.producerTimestamp - first!.fragment.producerTimestamp).toBe(2000)
    expect([first!.fragment.discontinuity, second!.fragment.discontinuity]).toEqual([true, false])
    expect(sessions.list()).toEqual([])
  })

  test('keeps a negative composition time', async () => {
    const { port, stored, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    client.media(VIDEO, 0, avcHeader())
    client.media(VIDEO, 100, avcFrame({ isKey: true }))
    client.media(VIDEO, 140, avcFrame({ isKey: false, compositionMs: -80 }))
    await client.end()
    await event('sessionEnded')

    const [{ samples }] = (await stored()) as [Awaited<ReturnType<typeof stored>>[number]]
    expect(samples[1]!.ptsMs - samples[0]!.ptsMs).toBe(-40)
  })

  test('does not notice that its timestamps wrap', async () => {
    const { port, stored, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    client.media(VIDEO, 0, avcHeader())
    client.media(VIDEO, 2 ** 32 - 1000, avcFrame({ isKey: true }))
    client.media(VIDEO, 2 ** 32 - 1, avcFrame({ isKey: false }))
    client.media(VIDEO, 1000, avcFrame({ isKey: true }))
    await client.end()
    await event('sessionEnded')

    const fragments = await stored()
    const [first, second] = fragments.map(({ fragment }) => fragment)
    expect(second!.producerTimestamp - first!.producerTimestamp).toBe(2000)
    expect(second!.discontinuity).toBe(false)
  })

  test('may send aggregates, Annex B, three-byte chunk stream ids, and an Abort', async () => {
    const { port, stored, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    client.media(VIDEO, 0, avcHeader())
    const tag = (time: number, body: Uint8Array) =>
      Buffer.concat([
        hex('09 0000'),
        Uint8Array.of(body.length, 0, 0, time, 0, 0, 0, 0),
        body,
        hex('00000000'),
      ])
    const aggregate = Buffer.concat([
      tag(10, avcFrame({ isKey: true, bytes: [1] })),
      tag(50, avcFrame({ isKey: false, bytes: [2] })),
    ])
    client.media(22, 1000, aggregate)
    client.media(VIDEO, 1080, hex('27 01 000000 00000001 4103'))
    const wide = { basicHeader: [1, 0, 1], streamId: 1 }
    const payload = avcFrame({ isKey: false, bytes: [4] })
    client.send(toChunk({ format: 0, ...wide, timestamp: 1120, payload }))
    client.send(
      toChunk({ format: 0, csid: 33, streamId: 1, length: 500, payload: new Uint8Array(128) }),
    )
    client.send(toMessage({ csid: 2, typeId: 2, payload: hex('00000021') }))
    client.send(
      toMessage({
        csid: 33,
        typeId: VIDEO,
        streamId: 1,
        timestamp: 1160,
        payload: avcFrame({ isKey: false, bytes: [5] }),
      }),
    )
    await client.end()
    await event('sessionEnded')

    const [{ samples }] = (await stored()) as [Awaited<ReturnType<typeof stored>>[number]]
    expect(samples.map((s) => [s.data.toString('hex'), s.ptsMs - samples[0]!.ptsMs])).toEqual([
      ['000000026501', 0],
      ['000000024102', 40],
      ['000000024103', 80],
      ['000000024104', 120],
      ['000000024105', 160],
    ])
  })

  test('is answered releaseStream, FCPublish, _checkbw and pings', async () => {
    const { port } = await startFixture()
    const client = await RtmpClient.ready(port)
    client.call('releaseStream', 11, null, 'x')
    client.call('FCPublish', 12, null, 'x')
    client.call('_checkbw', 13, null)
    client.call('somethingElse', 14, null)
    client.send(toMessage({ csid: 2, typeId: 4, payload: hex('0006 00000abc') }))

    const pong = await client.messages.first((m) => m.typeId === 4 && m.payload[1] === 7)
    expect(Buffer.from(pong.payload).toString('hex')).toBe('000700000abc')
    await client.command('onFCPublish')
    const answers = client.messages.items
      .filter((m) => m.typeId === 20)
      .map((m) => decodeAmf0(m.payload).slice(0, 2))
    expect(answers).toEqual([
      ['_result', 1],
      ['_result', 11],
      ['_result', 12],
      ['onFCPublish', 0],
      ['_result', 13],
      ['_error', 14],
    ])
    await client.end()
  })

  test('is told which codecs it may send', async () => {
    const { port } = await startFixture()
    const client = await RtmpClient.ready(port)

    const { args } = await client.command('_result')
    expect(args[0]).toEqual(
      expect.objectContaining(
        new Map<string, unknown>([
          [
            'fourCcList',
            [
              ...['avc1', 'hvc1', 'vvc1', 'av01', 'vp09', 'vp08'],
              ...['mp4a', 'Opus', 'fLaC', 'ac-3', 'ec-3', '.mp3'],
            ],
          ],
          ['capsEx', 6],
        ]),
      ),
    )
    await client.end()
  })

  test('gets an acknowledgement for each window of its own', async () => {
    const { port } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    client.send(toMessage({ csid: 2, typeId: 5, payload: hex('00000400') }))
    const acks = () => client.messages.items.filter((m) => m.typeId === 3)
    const values: number[] = []
    for (const count of [1, 2, 3]) {
      for (let i = 0; i < 10; i++) client.media(18, 0, encodeAmf0('note', 'x'.repeat(100)))
      await client.messages.first(() => acks().length >= count)
      values.push(Buffer.from(acks()[count - 1]!.payload).readUInt32BE(0))
    }

    expect(values[0]).toBeGreaterThan(3073) // all bytes count, the handshake's too
    expect(values[1]! - values[0]!).toBeGreaterThanOrEqual(1024)
    expect(values[2]! - values[1]!).toBeGreaterThanOrEqual(1024)
    await client.end()
  })

  test('can unpublish and publish again on its connection', async () => {
    const { port, event, events, stored } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    sendTwoGops(client)
    client.call('FCUnpublish', 5, null, 'x')
    client.call('deleteStream', 6, null, 1)
    await event('sessionEnded', { reason: 'unpublished' })

    client.send(
      toMessage({
        csid: 4,
        typeId: 20,
        streamId: 1,
        payload: encodeAmf0('publish', 7, null, NAME),
      }),
    )
    await client.messages.first(
      () => client.statuses.filter((s) => s === 'NetStream.Publish.Start').length === 2,
    )
    await client.end()
    await event('sessionEnded', { reason: 'peer-closed' })

    expect(events('sessionStarted')).toHaveLength(2)
    expect(await stored()).toHaveLength(2)
  })

  test('is left when its stream is removed under it', async () => {
    const { port, sessions, archive, streamId, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    sendTwoGops(client)
    await event('fragmentPersisted')
    await sessions.whileClosed(streamId, () => archive.remove(streamId))
    await client.closed

    await event('sessionEnded', { reason: 'stream-removed' })
  })

  test('that reconnects at once is not refused for its own last fragment', async () => {
    const { port, event, events } = await startFixture()
    for (let i = 0; i < 3; i++) {
      const client = await RtmpClient.publishing(port, NAME)
      sendTwoGops(client)
      client.call('FCUnpublish', 5, null, 'x')
      await client.status('NetStream.Unpublish.Success')
      client.socket.destroy()
    }
    await event('sessionEnded')

    expect(events('sessionStarted')).toHaveLength(3)
    expect(events('sessionRefused')).toEqual([])
  })

  test('that is cut off and reconnects at once is not refused either', async () => {
    const { port, events } = await startFixture()
    for (let i = 0; i < 20; i++) {
      const client = await RtmpClient.publishing(port, NAME)
      client.media(VIDEO, 0, avcHeader())
      client.socket.destroy()
    }
    const last = await RtmpClient.publishing(port, NAME)
    await last.end()

    expect(events('sessionRefused')).toEqual([])
  })

  test('may put its key into the URL of connect', async () => {
    const { port } = await startFixture()
    const client = await RtmpClient.connect(port)
    client.send(handshake())
    client.connectApp({ app: `live?key=${KEY}`, tcUrl: `rtmp://127.0.0.1/live?key=${KEY}` })
    client.publish('x')

    await client.status('NetStream.Publish.Start')
    await client.end()
  })

  test('loses nothing that is complete when the server stops', async () => {
    const { port, server, stored, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    sendTwoGops(client)
    await event('fragmentPersisted')
    await server.close()
    await client.closed

    expect((await stored()).map(({ samples }) => samples.length)).toEqual([3, 1])
  })

  test('survives an archive that cannot write for a while', async () => {
    let broken = false
    const { port, event, events, stored } = await startFixture({}, (deps) => ({
      archive: replaceWriter(deps.archive, (writer) => ({
        append: (...args: Parameters<FragmentWriter['append']>) => {
          if (broken) {
            writer.abandon('test')
            throw new ServiceError('unavailable', 'ArchiveWriteFailed', 'ENOSPC')
          }
          writer.append(...args)
        },
      })),
    }))
    const client = await RtmpClient.publishing(port, NAME)
    sendTwoGops(client)
    await event('fragmentPersisted')
    broken = true
    client.media(VIDEO, 2040, avcFrame({ isKey: false }))
    client.media(VIDEO, 4000, avcFrame({ isKey: true }))
    client.send(toMessage({ csid: 2, typeId: 4, payload: hex('0006 00000001') }))
    await client.messages.first((m) => m.typeId === 4 && m.payload[1] === 7)
    broken = false
    client.media(VIDEO, 6000, avcFrame({ isKey: true }))
    await client.end()
    await event('sessionEnded')

    expect(events('samplesDropped').map(({ fields }) => fields.reason)).toContain('archive-failed')
    const fragments = await stored()
    expect(fragments.map(({ fragment }) => fragment.discontinuity)).toEqual([true, true])
  })

  test('is not read from while the disk is behind', async () => {
    const clock = new ManualClock(Date.now())
    let queuedBytes = 0
    let appended = 0
    const { port, event } = await startFixture({ pauseAboveBytes: 1000 }, (deps) => ({
      clock,
      archive: replaceWriter(deps.archive, (writer) => ({
        append: (...args: Parameters<FragmentWriter['append']>) => {
          appended++
          queuedBytes += 400
          writer.append(...args)
        },
        get queuedBytes() {
          return queuedBytes
        },
      })),
    }))
    const client = await RtmpClient.publishing(port, NAME)
    client.media(18, 0, encodeAmf0('onMetaData', { videocodecid: 7 }))
    client.media(VIDEO, 0, avcHeader())
    client.media(VIDEO, 0, avcFrame({ isKey: true }))
    await clock.sleeping(250)
    clock.advance(250) // the start is over
    for (let i = 1; i < 50; i++) client.media(VIDEO, i, avcFrame({ isKey: false }))

    for (const round of [1, 2, 3]) {
      await clock.sleeping(20)
      expect(appended).toBe(round * 3)
      clock.advance(20) // still behind
      await clock.sleeping(20)
      expect(appended).toBe(round * 3)
      queuedBytes = 0
      clock.advance(20)
    }
    queuedBytes = Number.NEGATIVE_INFINITY // the disk has caught up for good
    await client.end()
    await event('sessionEnded')
    expect(appended).toBe(50)
  })
})

describe('trust', () => {
  test.each([
    ['a wrong key', 'x?key=wrong-key'],
    ['no key', 'x'],
    ['an unknown stream', `nobody?key=${KEY}`],
    ['no name', ''],
  ])('%s gets the same answer and nothing of it is stored', async (_rule, name) => {
    const { port, event, events, stored } = await startFixture()
    const client = await RtmpClient.ready(port)
    client.publish(name)
    sendTwoGops(client)

    const description = await client.status('NetStream.Publish.Unauthorized')
    expect(description).toBe('There is no such stream, or its publish key is another.')
    sendTwoGops(client)
    await client.closed
    await event('sessionRefused', { reason: 'unauthorized' })
    expect(client.statuses).toEqual(['NetStream.Publish.Unauthorized'])
    expect(events('sessionStarted')).toEqual([])
    expect(await stored()).toEqual([])
  })

  test('after many wrong keys an address is not asked for its key for a while; others are', async () => {
    const { port, events } = await startFixture()
    const attempts = Array.from({ length: 32 }, async () => {
      const client = await RtmpClient.ready(port)
      client.publish('x?key=wrong')
      await client.closed
    })
    await Promise.all(attempts)
    const locked = await RtmpClient.ready(port)
    locked.publish(NAME)
    await locked.status('NetStream.Publish.Unauthorized')
    await locked.closed
    const other = await RtmpClient.publishing(port, NAME, '127.0.0.2')
    await other.end()

    expect(events('sessionRefused').at(-1)!.fields.reason).toBe('too-many-failed-logins')
  })

  test('the key is in no event', async () => {
    const { port, observed, event } = await startFixture()
    const client = await RtmpClient.ready(port)
    client.publish('x?key=almost-right')
    await client.closed
    await event('sessionRefused')

    expect(JSON.stringify(observed.recorder.items)).not.toContain('almost-right')
  })

  test('a second publisher gets BadName and leaves the first alone', async () => {
    const { port, event, events, stored } = await startFixture()
    const first = await RtmpClient.publishing(port, NAME)
    first.media(VIDEO, 0, avcHeader())
    first.media(VIDEO, 0, avcFrame({ isKey: true }))
    const second = await RtmpClient.ready(port)
    second.publish(NAME)
    sendTwoGops(second)

    await second.status('NetStream.Publish.BadName')
    await second.closed
    first.media(VIDEO, 40, avcFrame({ isKey: false }))
    await first.end()
    await event('sessionEnded')

    expect(second.statuses).toEqual(['NetStream.Publish.BadName'])
    expect(events('sessionStarted')).toHaveLength(1)
    const [fragment] = await stored()
    expect(fragment!.samples).toHaveLength(2)
  })

  test('a player is told where to look, and what it sends then is not stored', async () => {
    const { port, stored } = await startFixture()
    const client = await RtmpClient.ready(port)
    client.call('createStream', 2, null)
    client.send(
      toMessage({ csid: 4, typeId: 20, streamId: 1, payload: encodeAmf0('play', 3, null, NAME) }),
    )
    sendTwoGops(client)

    expect(await client.status('NetStream.Play.Failed')).toContain('HLS')
    await client.closed
    expect(await stored()).toEqual([])
  })

  test('another application is refused', async () => {
    const { port } = await startFixture()
    const client = await RtmpClient.connect(port)
    client.send(handshake())
    client.connectApp({ app: 'vod' })

    await client.status('NetConnection.Connect.Rejected')
    await client.closed
  })
})

const command = (...values: readonly Amf0Answer[]) =>
  toMessage({ csid: 3, typeId: 20, payload: encodeAmf0(values[0]!, ...values.slice(1)) })
const connectWith = (properties: Record<string, Amf0Answer>) =>
  Buffer.concat([handshake(), command('connect', 1, properties)])
const afterConnect = (...parts: Uint8Array[]) =>
  Buffer.concat([connectWith({ app: 'live', tcUrl: 'rtmp://h/live' }), ...parts])

describe('a hostile peer ends its own connection and nothing else', () => {
  const deep = `03000161`.repeat(4000)
  const bigMessages = Array.from({ length: 12 }, (_, i) =>
    toChunk({ format: 0, csid: 10 + i, length: 0xff_ffff, payload: new Uint8Array(128) }),
  )
  const manyStreams = Array.from({ length: 50 }, (_, i) =>
    toChunk({ format: 0, csid: 10 + i, length: 1000, payload: new Uint8Array(128) }),
  )

  test.each<[string, Uint8Array]>([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a TLS hello', hex('160301020001000001fc0303')],
    ['connect without tcUrl', connectWith({ app: 'live' })],
    ['connect with a tcUrl that is no URL', connectWith({ app: 'live', tcUrl: '::::' })],
    ['connect with a tcUrl that is a number', connectWith({ app: 'live', tcUrl: 5 })],
    ['connect with an http tcUrl', connectWith({ app: 'live', tcUrl: 'http://h/live' })],
    ['connect without app', connectWith({ tcUrl: 'rtmp://h/live' })],
    ['connect without an object', Buffer.concat([handshake(), command('connect', 1)])],
    ['connect twice', afterConnect(command('connect', 2, {}))],
    ['a command without a name', afterConnect(command(7, 1))],
    ['publish before connect', Buffer.concat([handshake(), command('publish', 1, null, NAME)])],
    ['publish without a name', afterConnect(command('publish', 1, null))],
    [
      'video before connect',
      Buffer.concat([handshake(), toMessage({ csid: 4, typeId: 9, payload: avcHeader() })]),
    ],
    [
      'video before publish',
      afterConnect(toMessage({ csid: 4, typeId: 9, streamId: 1, payload: avcHeader() })),
    ],
    [
      'an aggregate before publish',
      afterConnect(toMessage({ csid: 4, typeId: 22, streamId: 1, payload: avcHeader() })),
    ],
    [
      'AMF 0 nested thousands deep',
      afterConnect(toMessage({ csid: 3, typeId: 20, payload: hex(deep) })),
    ],
    [
      'a string length that lies',
      afterConnect(toMessage({ csid: 3, typeId: 20, payload: hex('02ffff') })),
    ],
    ['chunk size 0', afterConnect(toMessage({ csid: 2, typeId: 1, payload: hex('00000000') }))],
    [
      'chunk size 2^31-1',
      afterConnect(toMessage({ csid: 2, typeId: 1, payload: hex('7fffffff') })),
    ],
    ['messages of 16 MB', afterConnect(...bigMessages)],
    ['half messages on many chunk streams', afterConnect(...manyStreams)],
    ['a type 3 chunk from nowhere', afterConnect(hex('fa'))],
    [
      'message streams without end',
      afterConnect(...Array.from({ length: 20 }, (_, i) => command('createStream', i, null))),
    ],
  ])('%s', async (_rule, bytes) => {
    const { port, event, events } = await startFixture()
    const publisher = await RtmpClient.publishing(port, NAME)
    const client = await RtmpClient.connect(port)
    client.send(bytes)

    await client.closed
    await event('sessionRefused', { reason: 'protocol-error' })
    publisher.media(18, 0, encodeAmf0('alive'))
    publisher.call('_checkbw', 99, null)
    await publisher.messages.first(
      (m) => m.typeId === 20 && Buffer.from(m.payload).includes('_result'),
    )
    expect(events('sessionEnded')).toEqual([])
    await publisher.end()
  })

  test.each<[string, number, Uint8Array]>([
    ['a cut HEVC header', VIDEO, hex('91 6876')],
    ['an AVC configuration that lies', VIDEO, hex('17 00 000000 0142c00affe1ffff')],
    ['an AV1 configuration that is none', VIDEO, hex('90 61763031 00')],
    ['an AAC configuration that is none', AUDIO, hex('af 00 ff')],
    ['an aggregate that lies', 22, hex('09 ffffff 000000 00 000000 27')],
    ['metadata that lie', 18, hex('02 000a 6f6e')],
  ])('of a publisher, %s ends the session after what it sent before', async (_rule, type, body) => {
    const { port, stored, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    sendTwoGops(client)
    client.media(type, 2040, body)

    await client.closed
    await event('sessionEnded', { reason: 'protocol-error' })
    expect((await stored()).map(({ samples }) => samples.length)).toEqual([3, 1])
    const next = await RtmpClient.publishing(port, NAME)
    await next.end()
  })

  test('300 mutated sessions leave a server that takes the next publisher', async () => {
    const { port, stored, event } = await startFixture({ handshakeTimeoutMs: 2_000 })
    const body = Buffer.concat([
      command('connect', 1, { app: 'live', tcUrl: 'rtmp://h/live' }),
      command('createStream', 2, null),
      toMessage({ csid: 4, typeId: 20, streamId: 1, payload: encodeAmf0('publish', 3, null, 'x') }),
      toMessage({ csid: 6, typeId: 9, streamId: 1, payload: avcHeader() }),
    ])
    let open: Promise<void>[] = []
    for (const mutated of mutations([body], 300)) {
      const client = await RtmpClient.connect(port)
      client.send(handshake(), mutated)
      client.socket.end()
      open.push(client.closed)
      if (open.length === 20) {
        await Promise.all(open)
        open = []
      }
    }
    await Promise.all(open)
    const client = await RtmpClient.publishing(port, NAME, '127.0.0.2') // nobody has failed there
    sendTwoGops(client)
    await client.end()
    await event('sessionEnded')

    expect(await stored()).toHaveLength(2)
  })

  test('media on a message stream that does not publish', async () => {
    const { port, event } = await startFixture()
    const client = await RtmpClient.publishing(port, NAME)
    client.send(toMessage({ csid: 6, typeId: 9, streamId: 2, payload: avcHeader() }))

    await client.closed
    await event('sessionEnded', { reason: 'protocol-error' })
  })
})

describe('time', () => {
  test.each([
    ['before the handshake', new Uint8Array(0)],
    ['inside the handshake', handshake().subarray(0, 2000)],
    ['after the handshake', handshake()],
    ['after connect', afterConnect()],
  ])('a peer that stalls %s is closed', async (_rule, bytes) => {
    const clock = new ManualClock(Date.now())
    const { port, event } = await startFixture({}, () => ({ clock }))
    const client = await RtmpClient.connect(port)
    client.send(bytes)
    await clock.sleeping(10_000)
    clock.advance(10_000)

    await client.closed
    await event('sessionRefused', { reason: 'handshake-timeout' })
  })

  test('a peer that drips its bytes is closed all the same', async () => {
    const clock = new ManualClock(Date.now())
    const { port, event } = await startFixture({}, () => ({ clock }))
    const client = await RtmpClient.connect(port)
    const bytes = Buffer.concat([handshake(), command('connect', 1, { app: 'live' })])
    for (let i = 0; i < 10; i++) {
      client.send(bytes.subarray(i, i + 1))
      await clock.sleeping(10_000 - i * 1_000)
      clock.advance(1_000)
    }

    await client.closed
    await event('sessionRefused', { reason: 'handshake-timeout' })
  })

  test('a publisher that is half open is pinged, then its stream is free again', async () => {
    const clock = new ManualClock(Date.now())
    const { port, event } = await startFixture({ idleTimeoutMs: 8_000 }, () => ({ clock }))
    const client = await RtmpClient.publishing(port, NAME)
    await clock.sleeping(10_000)
    clock.advance(10_000) // the handshake was in time

    await clock.sleeping(4_000)
    clock.advance(4_000)
    await client.messages.first((m) => m.typeId === 4 && m.payload[1] === 6)
    await clock.sleeping(4_000)
    clock.advance(4_000)
    await event('sessionEnded', { reason: 'idle' })
    await client.closed

    const next = await RtmpClient.publishing(port, NAME)
    await next.end()
  })

  test.each([
    { rule: 'one that answers and sends media now and then stays', sends: true, reasons: [] },
    {
      rule: 'one that only answers is let go after twice the time',
      sends: false,
      reasons: ['idle'],
    },
  ])('$rule', async ({ sends, reasons }) => {
    const clock = new ManualClock(Date.now())
    const { port, event, events } = await startFixture({ idleTimeoutMs: 8_000 }, () => ({ clock }))
    const client = await RtmpClient.publishing(port, NAME)
    client.media(VIDEO, 0, avcHeader())
    await clock.sleeping(10_000)
    clock.advance(10_000)
    for (let tick = 1; tick <= 4; tick++) {
      await clock.sleeping(4_000)
      if (sends) client.media(VIDEO, tick * 4_000, avcFrame({ isKey: true }))
      client.call('_checkbw', 100 + tick, null)
      await client.messages.first(
        (m) => m.typeId === 20 && Buffer.from(m.payload).readDoubleBE(11) === 100 + tick,
      )
      clock.advance(4_000)
    }
    if (!sends) await event('sessionEnded', { reason: 'idle' })
    else await clock.sleeping(4_000)

    expect(events('sessionEnded').map(({ fields }) => fields.reason)).toEqual(reasons)
    await client.end()
  })
})

describe('the server', () => {
  test('takes so many connections and no more', async () => {
    const { port, event } = await startFixture({ maxConnections: 2 })
    const clients = [await RtmpClient.connect(port), await RtmpClient.connect(port)]
    const third = await RtmpClient.connect(port)

    await third.closed
    await event('sessionRefused', { reason: 'too-many-connections' })
    for (const client of clients) await client.end()
  })

  test('gives a flood from one address a hundred places, and publishers of that address theirs', async () => {
    const { port, event } = await startFixture()
    const publisher = await RtmpClient.publishing(port, NAME)
    const flood = await Promise.all(Array.from({ length: 100 }, () => RtmpClient.connect(port)))
    const beyond = await RtmpClient.connect(port)

    await beyond.closed
    await event('sessionRefused', { reason: 'too-many-connections' })
    const other = await RtmpClient.ready(port, '127.0.0.2')
    for (const client of [publisher, other, ...flood]) client.socket.destroy()
    await Promise.all(flood.map(({ closed }) => closed))
  })

  test('frees its port when it is closed, with connections in every state', async () => {
    const { port, server } = await startFixture()
    const clients = [
      await RtmpClient.connect(port),
      await RtmpClient.ready(port),
      await RtmpClient.publishing(port, NAME),
    ]
    await Promise.all([server.close(), server.close()])
    await Promise.all(clients.map(({ closed }) => closed))

    const [error] = (await once(connect(port, '127.0.0.1'), 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNREFUSED')
  })

  test('does not leave a writer open when it is closed in the middle of a claim', async () => {
    const asked = createDeferred<void>()
    const answer = createDeferred<void>()
    const { port, server, archive, streamId, events } = await startFixture({}, (deps) => ({
      archive: new Proxy(deps.archive, {
        get: (target, name) =>
          name === 'openWriter'
            ? async () => {
                asked.resolve()
                await answer.promise
                return target.openWriter(streamId)
              }
            : (Reflect.get(target, name) as unknown),
      }),
    }))
    const client = await RtmpClient.ready(port)
    client.publish(NAME)
    await asked.promise
    const closing = server.close()
    answer.resolve()
    await closing

    const writer = await archive.openWriter(streamId)
    await writer[Symbol.asyncDispose]()
    expect(events('sessionStarted')).toEqual([])
    await client.closed
  })

  test.runIf(isInstalled('openssl', 'version'))(
    'speaks TLS when it has a certificate',
    async () => {
      const directory = await scratchDirectory()
      const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
      const request = `req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost`
      const made = spawnSync('openssl', [
        ...request.split(' '),
        ...['-keyout', keyFile, '-out', certFile],
      ])
      expect(made.status).toBe(0)
      const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
      const { port, sessions, event, stored } = await startFixture({ tls })
      const plain = await RtmpClient.connect(port)
      plain.send(handshake())
      await plain.closed

      const client = await RtmpClient.connectSecurely(port)
      client.send(handshake())
      client.connectApp({ tcUrl: 'rtmps://127.0.0.1/live' })
      client.publish(NAME)
      await client.status('NetStream.Publish.Start')
      sendTwoGops(client)
      await event('fragmentPersisted')
      expect(sessions.list()).toMatchObject([{ protocol: 'rtmps' }])
      await client.end()
      await event('sessionEnded', { protocol: 'rtmps' })
      expect(await stored()).toHaveLength(2)
    },
  )

  test('rejects when its port is taken', async () => {
    const { port } = await startFixture()

    await expect(startFixture({ port })).rejects.toThrow('EADDRINUSE')
  })
})

/** The archive with parts of its writers replaced. */
function replaceWriter<A extends { openWriter(id: never): Promise<FragmentWriter> }>(
  archive: A,
  parts: (writer: FragmentWriter) => Partial<FragmentWriter>,
): A {
  return new Proxy(archive, {
    get(target, name) {
      if (name !== 'openWriter') {
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      }
      return async (id: never) => {
        const writer = await target.openWriter(id)
        const replaced = parts(writer)
        return new Proxy(writer, {
          get(inner, key) {
            if (Object.hasOwn(replaced, key)) return Reflect.get(replaced, key) as unknown
            const value: unknown = Reflect.get(inner, key, inner)
            return typeof value === 'function' ? (value.bind(inner) as unknown) : value
          },
        })
      }
    },
  })
}
