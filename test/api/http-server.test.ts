import { once } from 'node:events'
import { request as httpRequest, Agent, type ServerResponse } from 'node:http'
import { connect as http2Connect, constants, type ClientHttp2Session } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { CreateStreamCommand, ListStreamsCommand, PutRecordCommand } from '@aws-sdk/client-kinesis'
import { createFastify } from '../../src/api/fastify.ts'
import {
  startHttpServer,
  type HttpRequest,
  type HttpResponse,
  type HttpServerOptions,
} from '../../src/api/http-server.ts'
import { silentLog } from '../../src/observe/log.ts'
import { createDeferred } from '../../src/platform/deferred.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { runKinesisApi } from './kinesis/running-api.ts'
import { LOCALHOST_TLS } from './localhost-tls.ts'

async function start(
  onRequest: HttpServerOptions['onRequest'],
  options: Partial<HttpServerOptions> = {},
) {
  const clock = new ManualClock()
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    onRequest,
    clock,
    log: silentLog,
    ...options,
  })
  let closing: Promise<void> | null = null
  const close = (graceMs: number) => (closing ??= server.close(graceMs))
  onTestFinished(async () => {
    const closed = close(0)
    clock.advance(60_000)
    await closed
  })
  return { ...server, clock, close }
}

/** Answers with the protocol, the method, the path and the body. */
async function echo(request: HttpRequest, response: HttpResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { httpVersion, method, url } = request
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ httpVersion, method, url, body: String(Buffer.concat(chunks)) }))
}

function openSocket(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => undefined) // a reset is one of the ways to be closed
  onTestFinished(() => void socket.destroy())
  return socket
}

function openSession(port: number): ClientHttp2Session {
  const session = http2Connect(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  onTestFinished(() => session.destroy())
  return session
}

async function http2Call(session: ClientHttp2Session, body = '', path = '/x'): Promise<string> {
  const stream = session.request({ ':method': 'POST', ':path': path })
  stream.setEncoding('utf8')
  stream.end(body)
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

async function http1Call(port: number, body = '', path = '/x', agent?: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { host: '127.0.0.1', port, method: 'POST', path, agent },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve(text)).on('error', reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function readUntilClosed(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  if (!socket.closed) await once(socket, 'close')
  return text
}

describe('both protocols on one port', () => {
  test('HTTP/1.1 and HTTP/2 cleartext requests reach the same handler', async () => {
    const { port } = await start(echo)

    const answers = [await http1Call(port, 'one'), await http2Call(openSession(port), 'two')]

    expect(answers.map((text) => JSON.parse(text) as unknown)).toEqual([
      { httpVersion: '1.1', method: 'POST', url: '/x', body: 'one' },
      { httpVersion: '2.0', method: 'POST', url: '/x', body: 'two' },
    ])
  })

  test.each([
    {
      rule: 'a request',
      text: 'GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      expected: '200',
    },
    {
      rule: 'a method that starts as the preface does',
      text: 'PROPFIND /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      expected: '200',
    },
  ])('$rule that comes byte by byte is served', async ({ text, expected }) => {
    const { port } = await start(echo)
    const socket = openSocket(port).setNoDelay(true)
    const answer = readUntilClosed(socket)
    for (const byte of text) {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }

    expect(await answer).toContain(`HTTP/1.1 ${expected} `)
  })

  test('an HTTP/2 preface that comes byte by byte starts a session', async () => {
    const { port } = await start(echo)
    const socket = openSocket(port).setNoDelay(true)
    const first = once(socket, 'data') as Promise<[Buffer]>
    const settings = Buffer.from('000000040000000000', 'hex')
    for (const byte of Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings])) {
      socket.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }

    expect((await first)[0][3]).toBe(4) // SETTINGS, RFC 9113 §6.5
  })

  test('a client that closes its sending side after the request gets its answer', async () => {
    const { port } = await start(echo)
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    const answer = readUntilClosed(socket)
    socket.end('GET /a HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.on('end', () => socket.end())

    expect(await answer).toContain('HTTP/1.1 200')
  })

  test('a body of many megabytes arrives whole over both', async () => {
    const { port } = await start(echo)
    const body = 'x'.repeat(12 << 20)

    for (const text of [await http1Call(port, body), await http2Call(openSession(port), body)]) {
      expect((JSON.parse(text) as { body: string }).body.length).toBe(body.length)
    }
  })

  test('TLS takes both by ALPN', async () => {
    const { port } = await start(echo, { tls: LOCALHOST_TLS })
    const session = http2Connect(`https://localhost:${port}`, { ca: LOCALHOST_TLS.cert })
    onTestFinished(() => session.destroy())

    const second = JSON.parse(await http2Call(session, 'two')) as unknown
    const first = await new Promise<string>((resolve, reject) => {
      const outgoing = httpsRequest(
        { host: 'localhost', port, ca: LOCALHOST_TLS.cert, agent: false },
        (response) => {
          let text = ''
          response.on('data', (chunk: Buffer) => (text += String(chunk)))
          response.on('end', () => resolve(text))
        },
      )
      outgoing.on('error', reject)
      outgoing.end()
    })

    expect(second).toMatchObject({ httpVersion: '2.0' })
    expect(JSON.parse(first)).toMatchObject({ httpVersion: '1.1' })
  })

  test('a port in use is an error, not a server', async () => {
    const { port } = await start(echo)

    await expect(start(echo, { port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})

describe('fastify behind it', () => {
  test('serves HTTP/1.1 and HTTP/2 cleartext, hooks, bodies, errors and 404', async () => {
    const fastify = createFastify()
    fastify.post('/x', async (request) => ({ body: request.body, host: request.host }))
    fastify.get('/fail', () => Promise.reject(new Error('no')))
    await fastify.ready()
    onTestFinished(() => fastify.close())
    const { port } = await start((request, response) => fastify.routing(request, response))
    const session = openSession(port)
    const json = { 'content-type': 'application/json' }

    const first = await fetch(`http://127.0.0.1:${port}/x`, {
      method: 'POST',
      headers: json,
      body: '{"a":1}',
    })
    const stream = session.request({ ':method': 'POST', ':path': '/x', ...json })
    const status = once(stream, 'response')
    stream.end('{"a":2}')
    stream.setEncoding('utf8')
    let second = ''
    for await (const chunk of stream) second += String(chunk)

    expect(await first.json()).toEqual({ body: { a: 1 }, host: `127.0.0.1:${port}` })
    expect(JSON.parse(second)).toEqual({ body: { a: 2 }, host: `127.0.0.1:${port}` })
    expect(((await status)[0] as Record<string, unknown>)[':status']).toBe(200)
    expect((await fetch(`http://127.0.0.1:${port}/fail`)).status).toBe(500)
    expect((await fetch(`http://127.0.0.1:${port}/none`)).status).toBe(404)
    expect(JSON.parse(await http2Call(session, '', '/none'))).toMatchObject({ statusCode: 404 })
  })
})

describe('bad peers', () => {
  test('what the router itself refuses is answered as everything else is', async () => {
    const fastify = createFastify()
    fastify.get('/streams/:name', async () => 'never')
    await fastify.ready()
    onTestFinished(() => fastify.close())
    const { port } = await start((request, response) => fastify.routing(request, response))
    const ask = (name: string) => fetch(`http://127.0.0.1:${port}/streams/${name}`)

    const [broken, long] = [await ask('%ff'), await ask('a'.repeat(300))]

    expect([broken.status, await broken.json()]).toEqual([
      400,
      { code: 'InvalidRequest', message: expect.stringContaining('not a valid url') as string },
    ])
    expect([long.status, await long.json()]).toEqual([
      414,
      { code: 'InvalidRequest', message: expect.any(String) as string },
    ])
  })

  test('many that say nothing at the same time are no leak, and Node does not take them for one', async () => {
    const warnings: string[] = []
    const onWarning = ({ name }: Error) => void warnings.push(name)
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    const { port, connections } = await start(echo)

    Array.from({ length: 40 }, () => openSocket(port))
    await vi.waitFor(() => expect(connections()).toBe(40))
    await http1Call(port)

    expect(warnings).toEqual([])
  })

  test('a connection that says nothing is closed', async () => {
    const { port } = await start(echo, { firstBytesTimeoutMs: 20 })

    expect(await readUntilClosed(openSocket(port))).toBe('')
  })

  test('a connection that says one byte of the preface and ends is closed', async () => {
    const { port, connections } = await start(echo)
    const socket = openSocket(port)
    socket.end('P')

    await readUntilClosed(socket)
    await vi.waitFor(() => expect(connections()).toBe(0))
  })

  test('a connection that does not come to the end of its headers is closed', async () => {
    const { port } = await start(echo, { headersTimeoutMs: 50 })
    const socket = openSocket(port)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n')

    expect(await readUntilClosed(socket)).toMatch(/^HTTP\/1\.1 4\d\d /)
  })

  test('an HTTP/2 session without a stream is ended', async () => {
    const { port, connections } = await start(echo, { idleTimeoutMs: 50 })
    const session = openSession(port)
    await http2Call(session)

    await once(session, 'close')
    await vi.waitFor(() => expect(connections()).toBe(0))
  })

  test('an HTTP/2 session is not ended while a stream waits for its answer', async () => {
    const release = createDeferred<void>()
    const idle = createDeferred<void>()
    const { port } = await start(
      async (_request, response) => {
        await release.promise
        response.end('late')
      },
      { idleTimeoutMs: 20 },
    )
    const session = openSession(port)
    session.setTimeout(60, () => idle.resolve()) // the server's idle time has passed meanwhile
    const answer = http2Call(session)
    await idle.promise
    release.resolve()

    expect(await answer).toBe('late')
  })

  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const frame = (
    type: number,
    flags: number,
    stream: number,
    payload: Buffer,
    length = payload.length,
  ) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    return Buffer.concat([head, payload])
  }
  const settings = frame(4, 0, 0, Buffer.alloc(0))
  test.each([
    {
      garbage: 'a preface that goes on differently',
      bytes: Buffer.from('PRI * HTTP/9.9\r\n\r\nXX\r\n\r\n'),
    },
    {
      garbage: 'noise after the preface',
      bytes: Buffer.concat([preface, Buffer.alloc(4096, 0xee)]),
    },
    {
      garbage: 'headers on stream 0',
      bytes: Buffer.concat([preface, settings, frame(1, 5, 0, Buffer.from([0x82]))]),
    },
    {
      garbage: 'data on an idle stream',
      bytes: Buffer.concat([preface, settings, frame(0, 0, 5, Buffer.from('x'))]),
    },
    {
      garbage: 'a broken header block',
      bytes: Buffer.concat([preface, settings, frame(1, 5, 1, Buffer.alloc(64, 0xff))]),
    },
    {
      garbage: 'a frame above the size limit',
      bytes: Buffer.concat([preface, settings, frame(0, 0, 1, Buffer.alloc(100), 0xffffff)]),
    },
    {
      garbage: 'a window update of zero',
      bytes: Buffer.concat([preface, settings, frame(8, 0, 0, Buffer.alloc(4))]),
    },
    { garbage: 'noise', bytes: Buffer.from([0, 255, 1, 254, 13, 10, 13, 10]) },
    {
      garbage: 'a request with a broken length',
      bytes: Buffer.from('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n'),
    },
    { garbage: 'a TLS hello', bytes: Buffer.from('1603010200010001fc0303', 'hex') },
  ])('$garbage ends its own connection only', async ({ bytes }) => {
    // After some errors Node sends GOAWAY and leaves the closing to the peer, or to idleness.
    const { port, connections } = await start(echo, { idleTimeoutMs: 100 })
    const socket = openSocket(port)
    socket.write(bytes)
    await readUntilClosed(socket)

    expect(JSON.parse(await http2Call(openSession(port), 'fine'))).toMatchObject({ body: 'fine' })
    await vi.waitFor(() => expect(connections()).toBe(0))
  })

  test('a stream that is reset in the middle of its body does not disturb the session', async () => {
    const broken = createDeferred<unknown>()
    const { port } = await start(async (request, response) => {
      if (request.url !== '/reset') return echo(request, response)
      await echo(request, response).catch(broken.resolve)
      broken.resolve(null)
    })
    const session = openSession(port)
    const stream = session.request({ ':method': 'POST', ':path': '/reset' })
    stream.on('error', () => undefined)
    stream.write('half')
    await once(session, 'remoteSettings')
    stream.close(constants.NGHTTP2_CANCEL)
    await broken.promise

    expect(JSON.parse(await http2Call(session, 'fine'))).toMatchObject({ body: 'fine' })
  })

  test('a handler that throws answers 500, or breaks off what it has begun', async () => {
    const { port } = await start((request, response) => {
      if (request.url === '/begun') (response as ServerResponse).write('half')
      throw new Error('a bug')
    })
    const session = openSession(port)

    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(500)
    expect(await http2Call(session)).toBe('')
    const begun = fetch(`http://127.0.0.1:${port}/begun`).then((response) => response.text())
    await expect(begun).rejects.toThrow()
  })
})

describe('closing', () => {
  test('requests in flight of both protocols finish; idle connections do not hold it up', async () => {
    const arrived = { '1.1': createDeferred<void>(), '2.0': createDeferred<void>() }
    const release = createDeferred<void>()
    const server = await start(async (request, response) => {
      if (request.url === '/slow') {
        arrived[request.httpVersion as '1.1' | '2.0'].resolve()
        await release.promise
      }
      response.end('done')
    })
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    await http1Call(server.port, '', '/', agent) // leaves an idle keep-alive connection
    await http2Call(openSession(server.port)) // and an idle session
    openSocket(server.port) // and one that never said a word
    const answers = Promise.all([
      http1Call(server.port, '', '/slow', new Agent({ keepAlive: true })),
      http2Call(openSession(server.port), '', '/slow'),
    ])
    await Promise.all([arrived['1.1'].promise, arrived['2.0'].promise])

    const closed = server.close(60_000)
    release.resolve()

    expect(await answers).toEqual(['done', 'done'])
    await closed // without the clock having moved
    expect(server.connections()).toBe(0)
    await expect(http1Call(server.port)).rejects.toThrow()
  })

  test('what is not finished when the grace is over is cut', async () => {
    const arrived = createDeferred<void>()
    const server = await start(() => arrived.resolve()) // never answers
    const answer = http1Call(server.port)
    const refused = expect(answer).rejects.toThrow()
    await arrived.promise
    const closed = server.close(5_000)
    await server.clock.sleeping(5_000)

    server.clock.advance(5_000)

    await closed
    await refused
    expect(server.connections()).toBe(0)
  })
})

test('200 SDK calls, a connection each, leave none behind', async () => {
  const api = await runKinesisApi()
  const client = api.client('h2c')
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))

  for (let i = 0; i < 100; i++) {
    await client.send(
      new PutRecordCommand({ StreamName: 's', Data: Buffer.from('x'), PartitionKey: 'k' }),
    )
    await client.send(new ListStreamsCommand({}))
  }

  await vi.waitFor(() => expect(api.server.connections()).toBeLessThanOrEqual(1))
})
