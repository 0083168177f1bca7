import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { pullHttpFlv } from '../../../src/ingest/pull/pull-http-flv.ts'
import { hashHex, parseAuthentication, toDigestResponse } from '../../../src/ingest/rtsp/digest.ts'
import { createDeferred } from '../../../src/platform/deferred.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { aacFrame, aacHeader, avcFrame, avcHeader } from '../../support/rtmp-client.ts'
import { hex } from '../../support/fuzz.ts'
import { untilTestEnds } from '../../support/scratch.ts'
import { flvFile } from '../flv/flv-file.ts'
import { startPull } from './pull-fixture.ts'

/** Two GOPs of H.264 with AAC, 2 s apart: two fragments. */
const TWO_GOPS = flvFile([
  [18, 0, hex('02 000a 6f6e4d65746144617461 08 00000000 000009')],
  [9, 0, avcHeader()],
  [8, 0, aacHeader()],
  [9, 0, avcFrame({ isKey: true })],
  [8, 10, aacFrame(1)],
  [9, 1000, avcFrame({ isKey: false })],
  [9, 2000, avcFrame({ isKey: true })],
])

type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function startHttp(answer: Answer) {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  untilTestEnds({
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/flv?app=bcs`, port, requests }
}

/** Answers, and keeps the stream open. */
const streaming: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'video/x-flv' })
  response.write(TWO_GOPS)
}

const CREDENTIALS = { credentials: { username: 'admin', password: 'pass word' } }

describe('a pull of HTTP-FLV', () => {
  test('stores what comes, and leaves', async () => {
    const { url, port, requests } = await startHttp(streaming)
    const pull = await startPull(pullHttpFlv, url)
    await pull.event('fragmentPersisted')

    expect(pull.sessions.list()).toMatchObject([
      { protocol: 'http-flv-pull', peer: `127.0.0.1:${port}` },
    ])
    const closed = once(requests[0]!.socket, 'close')
    pull.leave()
    expect(await pull.outcome).toBeNull()
    await closed
    expect(requests[0]!.url).toBe('/flv?app=bcs')
    expect((await pull.stored()).map(({ samples }) => samples.length)).toEqual([3, 1])
  })

  test('ends as peer-closed with the stream, which is stored', async () => {
    const { url } = await startHttp((_request, response) => response.end(TWO_GOPS))
    const pull = await startPull(pullHttpFlv, url)

    expect(await pull.outcome).toMatchObject({ reason: 'peer-closed' })
    expect((await pull.stored()).map(({ samples }) => samples.length)).toEqual([3, 1])
  })

  test.each(['MD5', 'SHA-256'] as const)('answers a digest challenge of %s', async (algorithm) => {
    const challenge = `Digest realm="cam", nonce="n", qop="auth", algorithm=${algorithm}`
    const { url, requests } = await startHttp((request, response) => {
      const [given] = parseAuthentication([request.headers.authorization ?? ''])
      const text = (name: string) => given?.parameters.get(name) ?? ''
      const expected = toDigestResponse({
        algorithm,
        ha1: hashHex(algorithm, 'admin:cam:pass word'),
        method: 'GET',
        uri: '/flv?app=bcs',
        nonce: 'n',
        qop: { name: 'auth', nc: text('nc'), cnonce: text('cnonce') },
      })
      if (given?.scheme === 'digest' && text('response') === expected) streaming(request, response)
      else response.writeHead(401, { 'www-authenticate': challenge }).end()
    })
    const pull = await startPull(pullHttpFlv, url, CREDENTIALS)
    await pull.event('fragmentPersisted')

    expect(requests.map(({ headers }) => headers.authorization === undefined)).toEqual([
      true,
      false,
    ])
  })

  test('answers a basic challenge', async () => {
    const basic = `Basic ${Buffer.from('admin:pass word').toString('base64')}`
    const { url } = await startHttp((request, response) => {
      if (request.headers.authorization === basic) streaming(request, response)
      else response.writeHead(401, { 'www-authenticate': 'Basic realm="cam"' }).end()
    })
    const pull = await startPull(pullHttpFlv, url, CREDENTIALS)

    await pull.event('fragmentPersisted')
  })

  test('follows redirects, and takes its password to nobody else', async () => {
    const other = await startHttp((request, response) => {
      if (request.headers.authorization !== undefined) response.writeHead(500).end()
      else streaming(request, response)
    })
    const { url } = await startHttp((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="cam"' }).end()
      } else if (request.url === '/there') {
        response.writeHead(307, { location: `${other.url}&moved=1` }).end()
      } else {
        response.writeHead(302, { location: '/there' }).end()
      }
    })
    const pull = await startPull(pullHttpFlv, url, CREDENTIALS)
    await pull.event('fragmentPersisted')

    expect(other.requests.map((each) => each.url)).toEqual(['/flv?app=bcs&moved=1'])
  })
})

describe('an attempt ends', () => {
  const saying = (status: number, headers = {}) =>
    startHttp((_request, response) => response.writeHead(status, headers).end())

  test.each([
    ['not-found', 'nothing there', () => saying(404)],
    ['unauthorised', 'a refusal', () => saying(403)],
    ['no-media', 'an error of the server', () => saying(500)],
    [
      'unauthorised',
      'a wish for a password',
      () => saying(401, { 'www-authenticate': 'Basic realm="x"' }),
    ],
    ['protocol-error', 'redirects without end', () => saying(302, { location: '/again' })],
    ['protocol-error', 'a redirect out of HTTP', () => saying(302, { location: 'file:///etc' })],
    [
      'protocol-error',
      'what is no FLV',
      () => startHttp((_request, response) => response.end('<html>no</html>')),
    ],
    [
      'protocol-error',
      'a tag that is too large',
      () =>
        startHttp((_request, response) =>
          response.end(Buffer.concat([flvFile([]), hex('09 ffffff 00000000 000000')])),
        ),
    ],
    [
      'protocol-error',
      'broken media',
      () =>
        startHttp((_request, response) => response.end(flvFile([[9, 0, hex('17 00 000000 01')]]))),
    ],
    [
      'peer-closed',
      'a connection that breaks',
      () =>
        startHttp((_request, response) => {
          response.write(TWO_GOPS, () => response.destroy())
        }),
    ],
  ])('as %s for %s', async (reason, _rule, start) => {
    const { url } = await start()
    const pull = await startPull(pullHttpFlv, url)

    expect(await pull.outcome).toMatchObject({ reason })
  })

  test('as unauthorised when the password is wrong, and the message has it not', async () => {
    const { url, requests } = await saying(401, { 'www-authenticate': 'Basic realm="x"' })
    const pull = await startPull(pullHttpFlv, url, CREDENTIALS)

    const outcome = await pull.outcome
    expect(outcome!.reason).toBe('unauthorised')
    expect(outcome!.message).not.toContain('pass word')
    expect(requests).toHaveLength(2)
  })

  test.each([
    ['protocol-error', 'http'],
    ['tls', 'https'],
  ])('as %s for a server of something else that is asked for %s', async (reason, scheme) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.end('220 mail.example ready\r\n')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    untilTestEnds({ [Symbol.asyncDispose]: async () => void server.close() })
    const { port } = server.address() as AddressInfo
    const pull = await startPull(pullHttpFlv, `${scheme}://127.0.0.1:${port}/x.flv`)

    expect(await pull.outcome).toMatchObject({ reason })
  })

  test('as unreachable where nobody listens', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const pull = await startPull(pullHttpFlv, `http://127.0.0.1:${port}/x.flv`)

    expect(await pull.outcome).toMatchObject({ reason: 'unreachable' })
  })

  test('as no-answer when the answer takes too long', async () => {
    const clock = new ManualClock(Date.now())
    const asked = createDeferred<void>()
    const { url } = await startHttp(() => asked.resolve())
    const pull = await startPull(pullHttpFlv, url, {}, () => ({ clock }))
    await asked.promise
    clock.advance(10_000)

    expect(await pull.outcome).toMatchObject({ reason: 'no-answer' })
  })

  test('as no-media when only the header comes', async () => {
    const clock = new ManualClock(Date.now())
    const { url } = await startHttp((_request, response) => response.write(flvFile([])))
    const pull = await startPull(pullHttpFlv, url, {}, () => ({ clock }))
    for (let i = 0; i < 30; i++) {
      await clock.sleeping(500)
      clock.advance(500)
    }

    expect(await pull.outcome).toMatchObject({ reason: 'no-media' })
  })
})
