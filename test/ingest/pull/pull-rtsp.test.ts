import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAuthentication, toDigestResponse, hashHex } from '../../../src/ingest/rtsp/digest.ts'
import { parseTransports } from '../../../src/ingest/rtsp/transport-header.ts'
import { isInstalled } from '../../support/installed.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { H264_SDP, keyFrame } from '../../support/rtsp-client.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import type { CameraConnection, CameraRequest } from '../../support/scripted-camera.ts'
import {
  PUBLIC,
  sendKeyFrame,
  startCamera,
  startPull,
  type CameraQuirks,
} from './rtsp-pull-fixture.ts'

const ok = ({ cseq }: { readonly cseq: string }) => `RTSP/1.0 200 OK\nCSeq: ${cseq}`
const status = (request: CameraRequest, line: string) => `RTSP/1.0 ${line}\nCSeq: ${request.cseq}`

/** Answers the method with this status, and all others as they should be. */
const answers =
  (method: string, line: string): CameraQuirks['instead'] =>
  (request, camera) => {
    if (request.method !== method) return false
    camera.say(status(request, line))
    return true
  }

describe('an attempt ends with its reason', () => {
  test.each<{ rule: string; reason: string; quirks: CameraQuirks }>([
    {
      rule: 'no such URL',
      reason: 'not-found',
      quirks: { instead: answers('DESCRIBE', '404 No') },
    },
    {
      rule: 'forbidden',
      reason: 'unauthorised',
      quirks: { instead: answers('DESCRIBE', '403 No') },
    },
    {
      rule: 'credentials are wanted and there are none',
      reason: 'unauthorised',
      quirks: { instead: answers('DESCRIBE', '401 No\nWWW-Authenticate: Basic realm="x"') },
    },
    {
      rule: 'too many clients',
      reason: 'no-media',
      quirks: { instead: answers('SETUP', '453 No') },
    },
    {
      rule: 'still starting',
      reason: 'no-media',
      quirks: { instead: answers('DESCRIBE', '503 No') },
    },
    {
      rule: 'a request that it does not like',
      reason: 'protocol-error',
      quirks: { instead: answers('PLAY', '457 Invalid Range') },
    },
    {
      rule: 'a description without media',
      reason: 'no-media',
      quirks: { describe: (request) => [ok(request), 'v=0\r\ns=x\r\n'] },
    },
    {
      rule: 'nothing but a back channel',
      reason: 'no-media',
      quirks: {
        describe: (request) => [
          ok(request),
          'm=audio 0 RTP/AVP 8\r\na=sendonly\r\na=control:a\r\n',
        ],
      },
    },
    {
      rule: 'it closes before it answers',
      reason: 'peer-closed',
      quirks: {
        instead: ({ method }, camera) => {
          if (method === 'DESCRIBE') camera.socket.end()
          return method === 'DESCRIBE'
        },
      },
    },
    {
      rule: 'it closes while it plays',
      reason: 'peer-closed',
      quirks: { media: (camera) => camera.socket.end() },
    },
    {
      rule: 'it says BYE',
      reason: 'peer-closed',
      quirks: {
        media: (camera) => {
          sendKeyFrame(camera, 0)
          camera.frame(1, Uint8Array.from(Buffer.from('81cb000112345678', 'hex')))
        },
      },
    },
    {
      rule: 'it tears the session down',
      reason: 'peer-closed',
      quirks: { media: (camera) => camera.say('TEARDOWN rtsp://h/live RTSP/1.0\nCSeq: 1') },
    },
    {
      rule: 'it redirects in a circle',
      reason: 'protocol-error',
      quirks: {
        instead: (request, camera) => {
          if (request.method !== 'DESCRIBE') return false
          camera.say(`${status(request, '302 Found')}\nLocation: /elsewhere`)
          return true
        },
      },
    },
    {
      rule: 'it redirects to something else',
      reason: 'protocol-error',
      quirks: { instead: answers('DESCRIBE', '301 Moved\nLocation: http://127.0.0.1/') },
    },
    {
      rule: 'a length that is none',
      reason: 'protocol-error',
      quirks: { instead: answers('DESCRIBE', '200 OK\nContent-Length: -1') },
    },
    {
      rule: 'headers without an end',
      reason: 'protocol-error',
      quirks: { instead: answers('DESCRIBE', `200 OK\nX: ${'x'.repeat(70_000)}`) },
    },
    {
      rule: 'garbage without an end',
      reason: 'protocol-error',
      quirks: { media: (camera) => camera.socket.write(Buffer.alloc(1_100_000)) },
    },
    {
      rule: 'UDP where TCP was asked for',
      reason: 'protocol-error',
      quirks: { setup: (request) => `${ok(request)}\nTransport: RTP/AVP;server_port=1-2` },
    },
  ])('$rule: $reason', async ({ reason, quirks }) => {
    const camera = await startCamera(quirks)
    const pull = await startPull({ url: camera.url() })

    expect(await pull.ended).toMatchObject({ reason })
    expect(pull.sessions.list()).toEqual([])
    expect(pull.events('sessionStarted').length).toBe(pull.events('sessionEnded').length)
  })

  test('nobody listens: unreachable', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    const pull = await startPull({ url: new URL(`rtsp://127.0.0.1:${port}/`) })
    expect(await pull.ended).toMatchObject({ reason: 'unreachable' })
  })

  test('somebody else publishes: busy', async () => {
    const camera = await startCamera()
    const pull = await startPull({ url: camera.url() })
    await pull.publishing.first(() => true)
    const second = await startCamera()
    const { pullRtsp } = await import('../../../src/ingest/pull/pull-rtsp.ts')
    const target = {
      ...{ stream: 'x', url: second.url(), credentials: null, transport: 'tcp' as const },
      ...{ verifyCertificate: true, connectTimeoutMs: 5_000, stallTimeoutMs: 5_000 },
    }
    const attempt = pullRtsp(
      target,
      { ...pull.deps, onPublishing: () => undefined },
      new AbortController().signal,
    )

    await expect(attempt).rejects.toMatchObject({ reason: 'busy' })
    expect(second.methods().at(-1)).toBe('TEARDOWN')
    expect(pull.sessions.list()).toHaveLength(1)
    await pull.stop()
  })

  test.each(['OPTIONS', 'DESCRIBE', 'SETUP', 'PLAY'])(
    'no answer to %s: no-answer, after twice the connect timeout',
    async (method) => {
      const clock = new ManualClock(Date.now())
      const camera = await startCamera({ instead: (request) => request.method === method })
      const pull = await startPull({ url: camera.url() }, () => ({ clock }))
      await camera.requests.first((request) => request.method === method)
      await clock.sleeping(10_000)
      clock.advance(10_000)
      expect(await pull.ended).toMatchObject({ reason: 'no-answer' })
    },
  )

  test('nothing comes after PLAY: no-media, and the camera is left politely', async () => {
    const clock = new ManualClock(Date.now())
    const camera = await startCamera({ media: () => undefined })
    const pull = await startPull({ url: camera.url() }, () => ({ clock }))
    await camera.requests.first(({ method }) => method === 'PLAY')
    for (let ms = 0; ms < 15_000; ms += 500) {
      await clock.sleeping(500)
      clock.advance(500)
    }
    expect(await pull.ended).toMatchObject({ reason: 'no-media' })
    expect(camera.methods().at(-1)).toBe('TEARDOWN')
    expect(pull.events('sessionStarted')).toEqual([])
  })

  test('media stops: stalled, and what came is stored', async () => {
    const clock = new ManualClock(Date.now())
    const camera = await startCamera()
    const pull = await startPull({ url: camera.url() }, () => ({ clock }))
    const live = await pull.publishing.first(() => true)
    while (live.snapshot().lastSampleAt === null) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (let ms = 0; ms < 5_500; ms += 500) {
      await clock.sleeping(500)
      clock.advance(500)
    }
    expect(await pull.ended).toMatchObject({ reason: 'stalled' })
    await pull.event('sessionEnded', { reason: 'no-media' })
    expect(await pull.indexes()).toEqual([0, 1, 2])
  })
})

describe('a camera that is told to stop', () => {
  test('is left with TEARDOWN, also when it does not answer it', async () => {
    const clock = new ManualClock(Date.now())
    const camera = await startCamera({ instead: ({ method }) => method === 'TEARDOWN' })
    const pull = await startPull({ url: camera.url() }, () => ({ clock }))
    await pull.publishing.first(() => true)
    const stopped = pull.stop()
    await camera.requests.first(({ method }) => method === 'TEARDOWN')
    expect(camera.gone.items).toEqual([])
    clock.advance(500)

    expect(await stopped).toBeNull()
    await camera.gone.reaching(1)
    await pull.event('sessionEnded', { reason: 'shutdown' })
  })

  test.each(['OPTIONS', 'DESCRIBE', 'SETUP', 'PLAY'])(
    'while it thinks about %s',
    async (method) => {
      const camera = await startCamera({ instead: (request) => request.method === method })
      const pull = await startPull({ url: camera.url() })
      await camera.requests.first((request) => request.method === method)

      expect(await pull.stop()).toBeNull()
      await camera.gone.reaching(1)
    },
  )
})

describe('signs of life', () => {
  async function afterSeconds(
    options: { readonly public: string; readonly instead?: CameraQuirks['instead'] },
    seconds: number,
  ) {
    const clock = new ManualClock(Date.now())
    let connection: CameraConnection | null = null
    const camera = await startCamera({
      options: (request) => `${ok(request)}\nPublic: ${options.public}`,
      setup: (request) =>
        `${ok(request)}\nSession: 9;timeout=20\nTransport: RTP/AVP/TCP;interleaved=0-1`,
      media: (each) => (connection = each) && sendKeyFrame(each, 0),
      ...(options.instead === undefined ? {} : { instead: options.instead }),
    })
    const pull = await startPull({ url: camera.url() }, () => ({ clock }))
    const live = await pull.publishing.first(() => true)
    for (let ms = 0; ms < seconds * 1000; ms += 500) {
      await clock.sleeping(500)
      const before = live.snapshot().transport!.packetsReceived
      sendKeyFrame(connection!, 1 + ms / 500)
      while (live.snapshot().transport!.packetsReceived === before) {
        await new Promise((resolve) => setImmediate(resolve))
      }
      clock.advance(500)
    }
    await clock.sleeping(500)
    return { camera, pull, clock }
  }

  test.each([
    {
      rule: 'GET_PARAMETER, where it is listed',
      public: `${PUBLIC}, GET_PARAMETER`,
      method: 'GET_PARAMETER',
    },
    {
      rule: 'SET_PARAMETER, where only that is',
      public: `${PUBLIC}, SET_PARAMETER`,
      method: 'SET_PARAMETER',
    },
    { rule: 'OPTIONS, where neither is', public: PUBLIC, method: 'OPTIONS' },
  ])('$rule: every half of the session’s time', async (row) => {
    const { camera, pull } = await afterSeconds({ public: row.public }, 31)
    await pull.stop()

    const alive = camera.requests.items.filter((each) => each.headers.has('session'))
    expect(alive.map(({ method }) => method)).toEqual([
      ...['PLAY', row.method, row.method, row.method, 'TEARDOWN'],
    ])
    expect(new Set(alive.flatMap(({ headers }) => headers.get('session')))).toEqual(new Set(['9']))
  })

  test('that are never answered end nothing', async () => {
    const { pull } = await afterSeconds(
      {
        public: `${PUBLIC}, GET_PARAMETER`,
        instead: ({ method }) => method === 'GET_PARAMETER',
      },
      61,
    )
    expect(pull.sessions.list()).toHaveLength(1)
    await pull.stop()
  })

  test('that a camera lists and does not know after all become OPTIONS', async () => {
    const { camera, pull } = await afterSeconds(
      { public: `${PUBLIC}, GET_PARAMETER`, instead: answers('GET_PARAMETER', '501 No') },
      21,
    )
    await pull.stop()
    expect(camera.methods().slice(4)).toEqual(['GET_PARAMETER', 'OPTIONS', 'TEARDOWN'])
  })

  test('are receiver reports every 5 s, too', async () => {
    const { camera, pull } = await afterSeconds({ public: PUBLIC }, 11)
    await camera.frames.reaching(2)
    expect(camera.frames.items).toMatchObject([{ channel: 1 }, { channel: 1 }])
    expect(Buffer.from(camera.frames.items[0]!.payload).subarray(0, 2).toString('hex')).toBe('81c9')
    await pull.stop()
  })
})

describe('credentials', () => {
  const CREDENTIALS = { username: 'admin', password: 'p@ss' }

  /** Digest with MD5, as a camera checks it; a new nonce for each of `nonces` requests. */
  function digestCamera(
    password: string,
    nonceOf: (nth: number) => string,
  ): CameraQuirks['instead'] {
    let nth = 0
    return (request, camera) => {
      const nonce = nonceOf(nth++)
      const header = parseAuthentication(request.headers.get('authorization') ?? [])[0]
      const value = (name: string) => header?.parameters.get(name) ?? ''
      const expected = toDigestResponse({
        ...{ algorithm: 'MD5', ha1: hashHex('MD5', `admin:cam:${password}`) },
        ...{ method: request.method, uri: request.uri, nonce, qop: null },
      })
      if (value('response') === expected) return false
      const isStale = value('nonce') !== '' && value('nonce') !== nonce
      const challenge = `Digest realm="cam", nonce="${nonce}"${isStale ? ', stale=true' : ''}`
      camera.say(`${status(request, '401 Unauthorized')}\nWWW-Authenticate: ${challenge}`)
      return true
    }
  }

  test('are given when they are asked for, and stand in no URL', async () => {
    const camera = await startCamera({ instead: digestCamera('p@ss', () => 'n') })
    const pull = await startPull({ url: camera.url(), credentials: CREDENTIALS })
    await pull.publishing.first(() => true)
    await pull.stop()

    expect(camera.methods()).toEqual([
      'OPTIONS',
      'OPTIONS',
      'DESCRIBE',
      'SETUP',
      'PLAY',
      'TEARDOWN',
    ])
    expect(camera.requests.items.some(({ uri }) => /admin|p@ss/.test(uri))).toBe(false)
  })

  test('are given again when a nonce has become stale in the middle', async () => {
    const camera = await startCamera({ instead: digestCamera('p@ss', (nth) => `n${nth >> 1}`) })
    const pull = await startPull({ url: camera.url(), credentials: CREDENTIALS })
    await pull.publishing.first(() => true)
    expect(await pull.stop()).toBeNull()
  })

  test('that are wrong are tried once: unauthorised', async () => {
    const camera = await startCamera({ instead: digestCamera('other', () => 'n') })
    const pull = await startPull({ url: camera.url(), credentials: CREDENTIALS })

    const failure = await pull.ended
    expect(failure).toMatchObject({ reason: 'unauthorised' })
    expect(failure!.message).not.toContain('p@ss')
    expect(camera.methods()).toEqual(['OPTIONS', 'OPTIONS'])
  })

  test('go with a redirect on the same host and to no other', async () => {
    const asks = answers('DESCRIBE', '401 No\nWWW-Authenticate: Basic realm="x"')!
    const target = await startCamera({
      instead: (request, camera) =>
        request.headers.has('authorization') ? false : asks(request, camera),
    })
    const redirectTo = (host: string) => ({
      instead: answers(
        'DESCRIBE',
        `302 Found\nLocation: rtsp://u:v@${host}:${target.port}/new?a=1`,
      ),
    })
    const same = await startCamera(redirectTo('127.0.0.1'))
    const pull = await startPull({ url: same.url(), credentials: CREDENTIALS })
    await pull.publishing.first(() => true)
    await pull.stop()
    expect(target.urls('SETUP')).toEqual([`rtsp://127.0.0.1:${target.port}/new?a=1/trackID=0`])

    const other = await startCamera(redirectTo('localhost'))
    const refused = await startPull({ url: other.url(), credentials: CREDENTIALS })
    expect(await refused.ended).toMatchObject({ reason: 'unauthorised' })
    const last = target.requests.items.at(-1)!
    expect([last.method, last.headers.get('authorization')]).toEqual(['DESCRIBE', undefined])
  })
})

describe('transports', () => {
  /** Sends three key frames to the ports of SETUP, the first one twice from a stranger. */
  function udpCamera(refusesTcp: boolean): CameraQuirks {
    const sockets = [createSocket('udp4'), createSocket('udp4')]
    let clientPort = 0
    return {
      instead: (request, camera) => {
        if (request.method === 'TEARDOWN') for (const socket of sockets) socket.close()
        if (request.method !== 'SETUP') return false
        const asked = parseTransports(request.headers.get('transport')![0]!)[0]!
        if (asked.lower === 'tcp' && refusesTcp) {
          camera.say(status(request, '461 Unsupported Transport'))
          return true
        }
        clientPort = asked.clientPort![0]
        const bind = (i: number): void => {
          if (i < 2) {
            sockets[i]!.bind(0, '127.0.0.1', () => bind(i + 1))
            return
          }
          const ports = sockets.map((socket) => socket.address().port).join('-')
          const transport = `RTP/AVP;unicast;client_port=${asked.clientPort!.join('-')};server_port=${ports}`
          camera.say(`${ok(request)}\nSession: 5\nTransport: ${transport};ssrc=12345678`)
        }
        bind(0)
        return true
      },
      media: () => {
        for (const index of [0, 1, 2]) {
          for (const packet of keyFrame(index, index * 90_000)) {
            sockets[0]!.send(packet, clientPort, '127.0.0.1')
          }
        }
      },
    }
  }

  test.each([
    { rule: 'TCP is refused: UDP is taken', transport: 'auto' as const, refusesTcp: true },
    { rule: 'UDP is wanted', transport: 'udp' as const, refusesTcp: false },
  ])('$rule', async ({ transport, refusesTcp }) => {
    const camera = await startCamera(udpCamera(refusesTcp))
    const pull = await startPull({ url: camera.url(), transport })
    const live = await pull.publishing.first(() => true)
    while (live.snapshot().transport!.packetsReceived < 9) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(live.snapshot().transport).toMatchObject({ lower: 'udp', packetsLost: 0 })
    expect(await pull.stop()).toBeNull()
    expect(await pull.indexes()).toEqual([0, 1, 2])
  })

  test('TCP is refused and nothing else is wanted: no-media', async () => {
    const camera = await startCamera(udpCamera(true))
    const pull = await startPull({ url: camera.url(), transport: 'tcp' })
    expect(await pull.ended).toMatchObject({ reason: 'no-media' })
  })

  test('a sound that the camera does not give is left out', async () => {
    const camera = await startCamera({
      describe: (request) => [ok(request), `${H264_SDP}m=audio 0 RTP/AVP 8\r\na=control:audio\r\n`],
      instead: (request, each) =>
        request.uri.endsWith('/audio') && answers('SETUP', '404 No')!(request, each),
    })
    const pull = await startPull({ url: camera.url() })
    await pull.publishing.first(() => true)
    await pull.stop()
    expect(camera.methods()).toEqual(['OPTIONS', 'DESCRIBE', 'SETUP', 'SETUP', 'PLAY', 'TEARDOWN'])
  })

  test('a key frame that overtakes the answer to PLAY is not lost', async () => {
    const camera = await startCamera({
      before: ({ method }, each) => {
        if (method === 'PLAY') sendKeyFrame(each, 0)
      },
      media: (each) => {
        sendKeyFrame(each, 1)
        sendKeyFrame(each, 2)
      },
    })
    const pull = await startPull({ url: camera.url() })
    const live = await pull.publishing.first(() => true)
    while (live.snapshot().transport!.packetsReceived < 9) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    await pull.stop()
    expect(await pull.indexes()).toEqual([0, 1, 2])
  })

  test('a camera that asks whether we are there is answered', async () => {
    const answered: string[] = []
    const camera = await startCamera({
      media: (each) => {
        each.socket.on('data', (bytes: Buffer) => answered.push(bytes.toString('latin1')))
        each.say('GET_PARAMETER rtsp://h/live RTSP/1.0\nCSeq: 77')
        each.say('FLY rtsp://h/live RTSP/1.0\nCSeq: 78')
        sendKeyFrame(each, 0)
      },
    })
    const pull = await startPull({ url: camera.url() })
    await pull.publishing.first(() => true)
    await pull.stop()
    expect(answered.join('')).toMatch(/200 OK\r\nCSeq: 77[^]*501 Not Implemented\r\nCSeq: 78/)
  })

  test.runIf(isInstalled('openssl', 'version'))(
    'a certificate that the camera signed itself is taken only when that is wanted',
    async () => {
      const directory = await scratchDirectory()
      const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
      spawnSync('openssl', [
        ...'req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=camera'.split(' '),
        ...['-keyout', keyFile, '-out', certFile],
      ])
      const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
      const camera = await startCamera({ tls })
      const strict = await startPull({ url: camera.url() })
      expect(await strict.ended).toMatchObject({ reason: 'tls' })

      const pull = await startPull({ url: camera.url(), verifyCertificate: false })
      const live = await pull.publishing.first(() => true)
      expect(live.snapshot().peer).toBe(`127.0.0.1:${camera.port}`)
      await pull.stop()
    },
  )
})
