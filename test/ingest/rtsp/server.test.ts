import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { UdpPortRange } from '../../../src/ingest/index.ts'
import { headerOf } from '../../../src/ingest/rtsp/message.ts'
import { parseTransports } from '../../../src/ingest/rtsp/transport-header.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { H264_SDP, keyFrame, RtspTestClient, toIndexes } from '../../support/rtsp-client.ts'
import { hex } from '../../support/fuzz.ts'
import { KEY, startFixture, UDP_PORTS } from './rtsp-fixture.ts'

const urlOf = (port: number, stream = 'x') => `rtsp://127.0.0.1:${port}/live/${stream}?key=${KEY}`

type Fixture = Awaited<ReturnType<typeof startFixture>>

const storedIndexes = async ({ stored }: Pick<Fixture, 'stored'>) =>
  toIndexes((await stored()).flatMap(({ samples }) => samples))

describe('a publisher', () => {
  test('is stored sample for sample, and seen while it publishes', async () => {
    const fixture = await startFixture()
    const client = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
    client.sendKeyFrames(6)
    await fixture.event('fragmentPersisted')

    expect(fixture.sessions.list()).toMatchObject([
      {
        stream: 'x',
        protocol: 'rtsp',
        tracks: [{ codec: 'avc1.4D400D', video: { widthPx: 322, heightPx: 242 } }],
        transport: { lower: 'tcp', packetsReceived: 18, packetsLost: 0 },
      },
    ])
    expect(await client.status('TEARDOWN', urlOf(fixture.port))).toBe(200)
    await fixture.event('sessionEnded', { stream: 'x', reason: 'unpublished' })

    const fragments = await fixture.stored()
    expect(fragments.length).toBeGreaterThan(1)
    expect(await storedIndexes(fixture)).toEqual([0, 1, 2, 3, 4, 5])
    const times = fragments.flatMap(({ samples }) => samples.map(({ ptsMs }) => ptsMs))
    expect(times.map((time) => time - times[0]!)).toEqual([0, 1000, 2000, 3000, 4000, 5000])
    expect(fixture.sessions.list()).toEqual([])
  })

  test('frees its stream with TEARDOWN at once, and may begin again on its connection', async () => {
    const fixture = await startFixture()
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.publishing(fixture.port, url)
    client.sendKeyFrames(1)
    await client.expectOk('TEARDOWN', url)
    const second = await RtspTestClient.publishing(fixture.port, url)
    second.sendKeyFrames(1, { from: 1 })
    await second.expectOk('TEARDOWN', url)
    client.session = null
    await client.publish(url)
    client.sendKeyFrames(1, { from: 2 })
    await client.expectOk('TEARDOWN', url)

    expect(await storedIndexes(fixture)).toEqual([0, 1, 2])
  })

  test('is left when its stream is removed under it', async () => {
    const { port, sessions, archive, streamId, event } = await startFixture()
    const client = await RtspTestClient.publishing(port, urlOf(port))
    client.sendKeyFrames(6)
    await event('fragmentPersisted')
    await sessions.whileClosed(streamId, () => archive.remove(streamId))
    await client.closed

    await event('sessionEnded', { reason: 'stream-removed' })
  })

  test('may pause and go on; what it sends meanwhile is not stored', async () => {
    const fixture = await startFixture()
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.publishing(fixture.port, url)
    client.sendKeyFrames(1)
    await client.expectOk('PAUSE', url)
    expect(fixture.sessions.list()).toEqual([])
    client.sendKeyFrames(1, { from: 1 })
    await client.expectOk('RECORD', url)
    client.sendKeyFrames(1, { from: 2 })
    await client.expectOk('TEARDOWN', url)

    expect(await storedIndexes(fixture)).toEqual([0, 2])
  })

  test('has ended when all its media say BYE', async () => {
    const fixture = await startFixture()
    const client = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
    client.sendKeyFrames(1)
    client.frame(1, hex('81cb0001 12345678'))

    await fixture.event('sessionEnded', { reason: 'unpublished' })
    expect(await client.status('TEARDOWN', urlOf(fixture.port))).toBe(200)
    expect(await storedIndexes(fixture)).toEqual([0])
  })

  test('is not heard before RECORD, nor on channels that it has not set up', async () => {
    const fixture = await startFixture()
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.connect(fixture.port)
    client.sendKeyFrames(1)
    await client.ready(url)
    client.sendKeyFrames(1, { from: 1 })
    await client.expectOk('RECORD', url)
    for (const packet of keyFrame(2, 0)) client.frame(7, packet)
    client.sendKeyFrames(1, { from: 3 })
    await client.expectOk('TEARDOWN', url)

    expect(await storedIndexes(fixture)).toEqual([3])
  })

  test('may lose its place in the stream and find it again', async () => {
    const fixture = await startFixture()
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.publishing(fixture.port, url)
    client.sendKeyFrames(1)
    client.send(hex('00010203 24 63 0000 24 00 ffff'))
    client.sendKeyFrames(1, { from: 1 })
    await client.expectOk('TEARDOWN', url)

    expect(await storedIndexes(fixture)).toEqual([0, 1])
  })

  test('gets receiver reports every 10 s', async () => {
    const clock = new ManualClock(Date.now())
    const fixture = await startFixture({ handshakeTimeoutMs: 60_000 }, () => ({ clock }))
    const client = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
    client.sendKeyFrames(2)
    await client.expectOk('GET_PARAMETER', urlOf(fixture.port)) // what came before is handled
    clock.advance(10_000)

    const report = await client.items.first(({ kind }) => kind === 'frame')
    expect(report).toMatchObject({ channel: 1 })
    const payload = Buffer.from((report as { payload: Uint8Array }).payload)
    // RFC 3550 §6.4.2: one block about our SSRC, with the highest sequence number
    expect(payload.subarray(0, 2).toString('hex')).toBe('81c9')
    expect(payload.readUInt32BE(8)).toBe(0x1234_5678)
    expect(payload.readUInt32BE(16)).toBe(5)
    await client.end()
  })

  test('is not read from while the disk is behind', async () => {
    const clock = new ManualClock(Date.now())
    let queuedBytes = 0
    const fixture = await startFixture({ pauseAboveBytes: 1000 }, (deps) => ({
      clock,
      archive: {
        ...deps.archive,
        openWriter: async (...args: Parameters<typeof deps.archive.openWriter>) => {
          const writer = await deps.archive.openWriter(...args)
          return new Proxy(writer, {
            get: (target, name) => {
              if (name === 'queuedBytes') return queuedBytes
              const value: unknown = Reflect.get(target, name, target)
              return typeof value === 'function' ? (value.bind(target) as unknown) : value
            },
          })
        },
      },
    }))
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.publishing(fixture.port, url)
    queuedBytes = 1001
    client.sendKeyFrames(1)
    await clock.sleeping(20)
    let isAnswered = false
    const answer = client.status('GET_PARAMETER', url).finally(() => (isAnswered = true))
    clock.advance(20)
    await clock.sleeping(20)
    expect(isAnswered).toBe(false)

    queuedBytes = 500
    clock.advance(20)
    expect(await answer).toBe(200)
    await client.end()
  })
})

describe('over UDP', () => {
  async function publishUdp(fixture: Fixture, from = '127.0.0.1') {
    const sockets = [createSocket('udp4'), createSocket('udp4')]
    for (const socket of sockets) {
      socket.bind(0, from)
      await once(socket, 'listening')
    }
    const [rtp, rtcp] = sockets as [(typeof sockets)[0], (typeof sockets)[0]]
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.connect(fixture.port)
    await client.announce(url)
    const ports = `${rtp.address().port}-${rtcp.address().port}`
    const answer = await client.setUp(url, `RTP/AVP;unicast;client_port=${ports};mode=record`)
    const transport = parseTransports(headerOf(answer.headers, 'transport')!)[0]!
    expect(transport).toMatchObject({ lower: 'udp', mode: 'record' })
    await client.expectOk('RECORD', url)
    const send = async (socket: typeof rtp, packet: Uint8Array, port: number) =>
      new Promise<void>((resolve) => {
        socket.send(packet, port, '127.0.0.1', () => resolve())
      })
    return { client, url, rtp, rtcp, serverPort: transport.serverPort!, send, sockets }
  }

  test('media is taken from the peer and from nobody else', async () => {
    const fixture = await startFixture()
    const { client, url, rtp, serverPort, send, sockets } = await publishUdp(fixture)
    const stranger = createSocket('udp4').bind(0, '127.0.0.2')
    await once(stranger, 'listening')
    const other = createSocket('udp4').bind(0, '127.0.0.1')
    await once(other, 'listening')
    // The first who sends settles the port, but only from the peer's address.
    for (const packet of keyFrame(1, 90_000)) await send(stranger, packet, serverPort[0])
    for (const packet of keyFrame(0, 0)) await send(rtp, packet, serverPort[0])
    for (const packet of keyFrame(1, 90_000)) await send(other, packet, serverPort[0])
    for (const packet of keyFrame(2, 180_000)) await send(rtp, packet, serverPort[0])
    for (const packet of keyFrame(3, 270_000)) await send(rtp, packet, serverPort[0])
    while (fixture.sessions.list()[0]!.transport!.packetsReceived < 9) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    await client.expectOk('TEARDOWN', url)

    expect(await storedIndexes(fixture)).toEqual([0, 2, 3])
    for (const socket of [...sockets, stranger, other]) socket.close()
  })

  test('reports go to the peer’s second port', async () => {
    const clock = new ManualClock(Date.now())
    const fixture = await startFixture({ handshakeTimeoutMs: 60_000 }, () => ({ clock }))
    const { client, rtp, rtcp, serverPort, send, sockets } = await publishUdp(fixture)
    for (const packet of keyFrame(0, 0)) await send(rtp, packet, serverPort[0])
    while (fixture.sessions.list()[0]!.transport!.packetsReceived < 3) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    const report = once(rtcp, 'message')
    clock.advance(10_000)

    const [packet] = (await report) as [Buffer]
    expect(packet.subarray(0, 2).toString('hex')).toBe('81c9')
    await client.end()
    for (const socket of sockets) socket.close()
  })

  test('is refused when no port of the range is left', async () => {
    const { first } = UDP_PORTS
    const { port } = await startFixture({
      udpPorts: new UdpPortRange({ first: first + 100, last: first + 101 }),
    })
    const url = urlOf(port)
    const client = await RtspTestClient.connect(port)
    await client.announce(url, `${H264_SDP}m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n`)
    const udp = { Transport: 'RTP/AVP;unicast;client_port=5000-5001' }
    expect(await client.status('SETUP', `${url}/trackID=0`, udp)).toBe(200)
    expect(await client.status('SETUP', `${url}/trackID=1`, udp)).toBe(461)
    await client.expectOk('TEARDOWN', url)

    // They are free again with the session.
    client.session = null
    await client.announce(url)
    expect(await client.status('SETUP', `${url}/trackID=0`, udp)).toBe(200)
    await client.end()
  })

  test('is refused where it is off, so that encoders take TCP', async () => {
    const fixture = await startFixture({ udpPorts: null })
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.connect(fixture.port)
    await client.announce(url)
    const udp = 'RTP/AVP;unicast;client_port=5000-5001;mode=record'

    expect(await client.status('SETUP', `${url}/trackID=0`, { Transport: udp })).toBe(461)
    const answer = await client.setUp(url, `${udp},RTP/AVP/TCP;unicast;mode=record`)
    expect(headerOf(answer.headers, 'transport')).toContain('interleaved=0-1')
    await client.expectOk('RECORD', url)
    await client.end()
  })
})

describe('an answer', () => {
  const SDP = { 'Content-Type': 'application/sdp' }
  const TWO_MEDIAS = `${H264_SDP}m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n`
  const setUp = (transport: string, track = 0) =>
    ['SETUP', `/trackID=${track}`, { Transport: transport }] as const
  const TCP = 'RTP/AVP/TCP;unicast;interleaved=0-1;mode=record'
  const announce = (body: string) => ['ANNOUNCE', '', SDP, body] as const
  type Request = readonly [string, string, Readonly<Record<string, string>>?, string?]

  test.each<{ rule: string; requests: readonly Request[]; statuses: readonly number[] }>([
    { rule: 'OPTIONS at any time', requests: [['OPTIONS', '']], statuses: [200] },
    { rule: 'SETUP before ANNOUNCE', requests: [setUp(TCP)], statuses: [455] },
    { rule: 'RECORD before ANNOUNCE', requests: [['RECORD', '']], statuses: [455] },
    { rule: 'PAUSE before RECORD', requests: [['PAUSE', '']], statuses: [455] },
    { rule: 'TEARDOWN of nothing', requests: [['TEARDOWN', '']], statuses: [200] },
    {
      rule: 'a second ANNOUNCE',
      requests: [announce(H264_SDP), announce('')],
      statuses: [200, 455],
    },
    {
      rule: 'RECORD of nothing',
      requests: [announce(H264_SDP), ['RECORD', '']],
      statuses: [200, 400],
    },
    {
      rule: 'RECORD of a part',
      requests: [announce(TWO_MEDIAS), setUp(TCP), ['RECORD', '']],
      statuses: [200, 200, 400],
    },
    {
      rule: 'something other than SDP',
      requests: [['ANNOUNCE', '', { 'Content-Type': 'text/plain' }, H264_SDP]],
      statuses: [415],
    },
    { rule: 'SDP without media', requests: [announce('v=0\r\n')], statuses: [400] },
    {
      rule: 'an unknown track',
      requests: [announce(TWO_MEDIAS), setUp(TCP, 2)],
      statuses: [200, 404],
    },
    {
      rule: 'a track twice',
      requests: [announce(H264_SDP), setUp(TCP), setUp(TCP)],
      statuses: [200, 200, 400],
    },
    { rule: 'no Transport', requests: [announce(H264_SDP), setUp('')], statuses: [200, 400] },
    {
      rule: 'encrypted RTP',
      requests: [announce(H264_SDP), setUp('RTP/SAVP/TCP;interleaved=0-1')],
      statuses: [200, 461],
    },
    {
      rule: 'multicast',
      requests: [announce(H264_SDP), setUp('RTP/AVP;multicast;client_port=1-2')],
      statuses: [200, 461],
    },
    {
      rule: 'mode PLAY',
      requests: [announce(H264_SDP), setUp('RTP/AVP/TCP;interleaved=0-1;mode=PLAY')],
      statuses: [200, 461],
    },
    {
      rule: 'UDP without ports',
      requests: [announce(H264_SDP), setUp('RTP/AVP;unicast')],
      statuses: [200, 400],
    },
    {
      rule: 'channels that are no pair',
      requests: [announce(H264_SDP), setUp('RTP/AVP/TCP;interleaved=0-2')],
      statuses: [200, 400],
    },
    {
      rule: 'channels that are taken',
      requests: [announce(TWO_MEDIAS), setUp(TCP), setUp('RTP/AVP/TCP;interleaved=1-2', 1)],
      statuses: [200, 200, 400],
    },
    {
      rule: 'an odd first channel, then one of our choice',
      requests: [
        announce(TWO_MEDIAS),
        setUp('RTP/AVP/TCP;interleaved=1-2'),
        setUp('RTP/AVP/TCP', 1),
        ['RECORD', ''],
      ],
      statuses: [200, 200, 200, 200],
    },
    {
      rule: 'TCP and UDP in one session',
      requests: [announce(TWO_MEDIAS), setUp(TCP), setUp('RTP/AVP;client_port=5000-5001', 1)],
      statuses: [200, 200, 400],
    },
    { rule: 'a player', requests: [['DESCRIBE', '']], statuses: [405] },
    { rule: 'a method that nobody knows', requests: [['FLY', '']], statuses: [501] },
    {
      rule: 'a session that is not there',
      requests: [['TEARDOWN', '', { Session: 'abc' }]],
      statuses: [454],
    },
    {
      rule: 'a track of another stream',
      requests: [announce(H264_SDP), ['SETUP', '/../y/trackID=0', { Transport: TCP }]],
      statuses: [200, 404],
    },
  ])('to $rule: $statuses', async ({ requests, statuses }) => {
    const { port } = await startFixture()
    const client = await RtspTestClient.connect(port)
    const answers: number[] = []
    for (const [method, suffix, headers, body] of requests) {
      const url = suffix.startsWith('/../')
        ? urlOf(port).replace('/x', suffix.slice(3))
        : urlOf(port) + suffix
      answers.push(await client.status(method, url, headers, body))
    }

    expect(answers).toEqual(statuses)
    await client.end()
  })

  test('to the session of another connection is 454, and the session goes on', async () => {
    const fixture = await startFixture()
    const url = urlOf(fixture.port)
    const client = await RtspTestClient.publishing(fixture.port, url)
    const thief = await RtspTestClient.connect(fixture.port)
    thief.session = client.session

    for (const method of ['TEARDOWN', 'RECORD', 'PAUSE', 'GET_PARAMETER', 'SETUP']) {
      expect(await thief.status(method, url)).toBe(454)
    }
    client.sendKeyFrames(1)
    await client.expectOk('TEARDOWN', url)
    expect(await storedIndexes(fixture)).toEqual([0])
    await thief.end()
  })

  test('to a wrong key and to an unknown stream is the same', async () => {
    const { port, event } = await startFixture()
    const client = await RtspTestClient.connect(port)
    const refusals = []
    for (const path of ['live/x?key=wrong-key', 'live/y?key=wrong-key', `a/b?key=${KEY}`]) {
      const { status, reason, headers } = await client.request(
        'ANNOUNCE',
        `rtsp://127.0.0.1/${path}`,
        SDP,
        H264_SDP,
      )
      refusals.push({ status, reason, offers: headers.get('www-authenticate') })
    }

    expect(refusals[0]!.status).toBe(401)
    expect(refusals[1]).toEqual(refusals[0])
    expect(refusals[2]).toEqual(refusals[0])
    await event('sessionRefused', { reason: 'unauthorized' })
    await client.end()
  })

  test('to a second publisher says so, and the first is undisturbed', async () => {
    const fixture = await startFixture()
    const url = urlOf(fixture.port)
    const first = await RtspTestClient.publishing(fixture.port, url)
    first.sendKeyFrames(1)
    const second = await RtspTestClient.connect(fixture.port, '127.0.0.2')
    await second.ready(url)

    expect(await second.request('RECORD', url)).toMatchObject({
      status: 453,
      reason: 'Stream Is Busy',
    })
    await second.closed
    await fixture.event('sessionRefused', { reason: 'busy' })
    first.sendKeyFrames(1, { from: 1 })
    await first.expectOk('TEARDOWN', url)
    expect(await storedIndexes(fixture)).toEqual([0, 1])
  })

  test('to a key that was changed meanwhile is 401', async () => {
    const { port, registry, sessions } = await startFixture()
    const client = await RtspTestClient.connect(port)
    await client.ready(urlOf(port))
    await registry.update('x', { publishKey: 'another-key' })

    expect(await client.status('RECORD', urlOf(port))).toBe(401)
    expect(sessions.list()).toEqual([])
    await client.end()
  })
})

describe('peers that are gone', () => {
  test('a publisher from which nothing comes frees its stream', async () => {
    const clock = new ManualClock(Date.now())
    const fixture = await startFixture({}, () => ({ clock }))
    const client = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
    client.sendKeyFrames(1)
    await client.expectOk('OPTIONS', urlOf(fixture.port))
    clock.advance(10_000) // the time to begin is over
    for (let tick = 0; tick < 4; tick++) {
      await clock.sleeping(2_500)
      // Requests are no media: it may live and yet have nothing to say.
      await client.expectOk('OPTIONS', urlOf(fixture.port))
      clock.advance(2_500)
    }

    await fixture.event('sessionEnded', { reason: 'idle' })
    await client.closed
    expect(await storedIndexes(fixture)).toEqual([0])
  })

  test('one that sends goes on for ever', async () => {
    const clock = new ManualClock(Date.now())
    const fixture = await startFixture({}, () => ({ clock }))
    const client = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
    clock.advance(10_000)
    for (let tick = 0; tick < 20; tick++) {
      await clock.sleeping(2_500)
      client.frame(1, hex('80c90001 12345678'))
      await client.expectOk('OPTIONS', urlOf(fixture.port))
      clock.advance(2_500)
    }
    expect(fixture.sessions.list()).toHaveLength(1)
    await client.end()
  })

  test.each([
    { rule: 'says nothing', sent: '' },
    { rule: 'sends a header byte by byte', sent: 'OPTIONS rtsp://h/x RTSP/1.0\r\nX: ' },
    {
      rule: 'never sends the body that it promised',
      sent: 'A b RTSP/1.0\r\nContent-Length: 9\r\n\r\n',
    },
    { rule: 'only asks', sent: 'OPTIONS * RTSP/1.0\r\n\r\n' },
  ])('one that $rule may stay for 10 s', async ({ sent }) => {
    const clock = new ManualClock(Date.now())
    const { port, event } = await startFixture({}, () => ({ clock }))
    const client = await RtspTestClient.connect(port)
    client.send(sent)
    await clock.sleeping(10_000)
    clock.advance(10_000)

    await client.closed
    await event('sessionRefused', { reason: 'handshake-timeout' })
  })

  test('one that does not read its answers is closed', async () => {
    const { port } = await startFixture()
    const client = await RtspTestClient.connect(port)
    client.socket.pause()
    const many = Buffer.from('OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n'.repeat(2000))
    const pour = () => {
      while (!client.socket.destroyed && client.socket.write(many));
    }
    client.socket.on('drain', pour)
    client.socket.once('error', () => client.socket.destroy())
    pour()
    await client.closed
  })
})

describe('hostile peers', () => {
  const huge = 'x'.repeat(20_000)

  test.each([
    { rule: 'HTTP', sent: 'GET / HTTP/1.1\r\nHost: h\r\n\r\n' },
    { rule: 'TLS', sent: Buffer.from('1603010200010001fc0303', 'hex') },
    { rule: 'zeroes', sent: Buffer.alloc(64) },
    { rule: 'a header without an end', sent: `OPTIONS * RTSP/1.0\r\nX: ${huge}` },
    { rule: 'a start line without an end', sent: `OPTIONS ${huge}` },
    { rule: 'a body too large', sent: 'ANNOUNCE * RTSP/1.0\r\nContent-Length: 70000\r\n\r\n' },
    { rule: 'a length below zero', sent: 'ANNOUNCE * RTSP/1.0\r\nContent-Length: -5\r\n\r\n' },
    { rule: 'garbage after a request', sent: 'OPTIONS * RTSP/1.0\r\n\r\n\x01\x02' },
  ])('who send $rule are closed, and others are undisturbed', async ({ sent }) => {
    const fixture = await startFixture()
    const url = urlOf(fixture.port)
    const good = await RtspTestClient.publishing(fixture.port, url)
    good.sendKeyFrames(1)
    const bad = await RtspTestClient.connect(fixture.port, '127.0.0.2')
    bad.send(sent)
    await bad.closed
    await fixture.event('sessionRefused', { reason: 'protocol-error' })

    good.sendKeyFrames(1, { from: 1 })
    await good.expectOk('TEARDOWN', url)
    expect(await storedIndexes(fixture)).toEqual([0, 1])
  })

  test('who guess keys have to wait, and others need not', async () => {
    const fixture = await startFixture({}, ({ clock }) => ({
      clock: { ...clock, sleep: (ms, signal) => clock.sleep(ms === 500 ? 0 : ms, signal) },
    }))
    const guess = async () => {
      const client = await RtspTestClient.connect(fixture.port, '127.0.0.2')
      const statuses: number[] = []
      for (let i = 0; i < 10 && !client.socket.destroyed; i++) {
        const url = `rtsp://h/live/x?key=guess-${i}`
        const { status } = await client.request('ANNOUNCE', url)
        statuses.push(status)
        if (status === 503) break
      }
      client.socket.destroy()
      return statuses
    }
    const guesses = (await Promise.all([guess(), guess(), guess(), guess()])).flat()

    expect(guesses.filter((status) => status === 401)).toHaveLength(30)
    expect(guesses).toContain(503)
    await fixture.event('sessionRefused', { reason: 'too-many-failures' })
    const good = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
    await good.end()
  })

  test('who open many connections: those beyond the limit are closed at once', async () => {
    const { port, event } = await startFixture({ maxConnections: 2 })
    const first = await RtspTestClient.connect(port)
    const second = await RtspTestClient.connect(port)
    const third = await RtspTestClient.connect(port)
    await third.closed
    await event('sessionRefused', { reason: 'too-many-connections' })

    expect(await first.status('OPTIONS', '*')).toBe(200)
    await first.end()
    await second.end()
  })

  test('who break the framing of a session end that session', async () => {
    const fixture = await startFixture()
    const client = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
    client.sendKeyFrames(1)
    client.send(Buffer.alloc(1_100_000))

    await fixture.event('sessionEnded', { reason: 'protocol-error' })
    expect(await storedIndexes(fixture)).toEqual([0])
    client.socket.destroy()
  })
})

test('closing the server completes the open fragments', async () => {
  const fixture = await startFixture()
  const client = await RtspTestClient.publishing(fixture.port, urlOf(fixture.port))
  client.sendKeyFrames(1)
  await client.expectOk('OPTIONS', '*')
  await fixture.server.close()

  await fixture.event('sessionEnded', { reason: 'shutdown' })
  expect(await storedIndexes(fixture)).toEqual([0])
  await client.closed
})
