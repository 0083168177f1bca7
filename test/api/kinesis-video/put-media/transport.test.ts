import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startHttpServer } from '../../../../src/api/http-server.ts'
import {
  clusterStart,
  concat,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../../src/media/matroska/writer.ts'
import { systemClock } from '../../../../src/platform/clock.ts'
import { VIDEO_TRACK } from '../../../support/archive-media.ts'
import { LOCALHOST_TLS } from '../../localhost-tls.ts'
import { ACCESS_KEY, runKinesisVideoApi, type Ack } from '../running-video-api.ts'

const AT = Date.now() - 60_000
const HEADER = toMatroskaHeader([VIDEO_TRACK])
const fragment = (atMs: number) =>
  concat([
    clusterStart(atMs),
    simpleBlockHead({ trackNumber: 1, relativeMs: 0, isKey: true, payloadLength: 3 }),
    Uint8Array.of(1, 2, 3),
  ])
const WHOLE = ['BUFFERING', 'PERSISTED', 'RECEIVED']

/** As the C producer does it: hop-by-hop headers are signed, of a body that is not hashed. */
function signAsProducer(
  host: string,
  change: Record<string, string | undefined> = {},
): Record<string, string> {
  const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const all: Record<string, string | undefined> = {
    connection: 'keep-alive',
    host,
    'transfer-encoding': 'chunked',
    'user-agent': 'AWS-PRODUCER-SDK-KVS/1.6.0',
    'x-amz-date': at,
    'x-amzn-fragment-acknowledgment-required': '1',
    'x-amzn-fragment-timecode-type': 'ABSOLUTE',
    'x-amzn-producer-start-timestamp': `${Math.floor(AT / 1000)}.4`,
    'x-amzn-stream-name': 'x',
    ...change,
  }
  const signed = Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const names = Object.keys(signed).toSorted()
  const canonical = [
    ...['POST', '/putMedia', ''],
    ...names.map((name) => `${name}:${signed[name]}`),
    ...['', names.join(';'), sha256('')],
  ].join('\n')
  const scope = `${at.slice(0, 8)}/us-west-2/kinesisvideo/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', at, scope, sha256(canonical)].join('\n')
  const key = scope
    .split('/')
    .reduce<Buffer | string>(
      (secret, part) => hmac(secret, part),
      `AWS4${ACCESS_KEY.secretAccessKey}`,
    )
  const signature = hmac(key, toSign).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return { ...signed, authorization, 'content-type': 'application/json' }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest()

async function toAcks(body: Readable): Promise<readonly Ack[]> {
  let text = ''
  for await (const part of body.setEncoding('utf8')) text += part as string
  return text
    .split('\r\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Ack)
}

async function send(call: ClientRequest, media: Uint8Array): Promise<IncomingMessage> {
  call.end(media)
  const [answer] = (await once(call, 'response')) as [IncomingMessage]
  return answer
}

const kindsOf = (acks: readonly Ack[]) => acks.map(({ EventType }) => EventType).toSorted()

async function runEncrypted() {
  const running = await runKinesisVideoApi()
  const server = await startHttpServer({
    ...{ host: '127.0.0.1', port: 0, clock: systemClock, log: running.observed.log },
    tls: LOCALHOST_TLS,
    onRequest: (request, response) => running.api.handle(request, response),
  })
  onTestFinished(() => server.close(0))
  return { ...running, port: server.port }
}

describe('over TLS', () => {
  test.each([
    { offers: 'nothing', ALPNProtocols: undefined, speaks: false },
    { offers: 'http/1.1', ALPNProtocols: ['http/1.1'], speaks: 'http/1.1' },
  ])(
    'a producer that offers $offers by ALPN speaks HTTP/1.1',
    async ({ ALPNProtocols, speaks }) => {
      const { port } = await runEncrypted()
      const call = httpsRequest({
        ...{ port, host: '127.0.0.1', servername: 'localhost', ca: LOCALHOST_TLS.cert },
        ...{ method: 'POST', path: '/putMedia', agent: false },
        ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }),
        headers: signAsProducer('localhost'), // libcurl leaves the port out
      })
      const answer = await send(call, concat([HEADER, fragment(AT)]))
      const { alpnProtocol } = answer.socket as TLSSocket

      expect(answer.statusCode).toBe(200)
      expect(answer.httpVersion).toBe('1.1')
      expect(alpnProtocol).toBe(speaks)
      expect(kindsOf(await toAcks(answer))).toEqual(WHOLE)
    },
  )

  test('a producer whose library chose HTTP/2 is verified all the same, and told while it sends', async () => {
    const { port } = await runEncrypted()
    const options: object = { ca: LOCALHOST_TLS.cert, lookup }
    const session = connect(`https://localhost:${port}`, options)
    onTestFinished(() => session.destroy())
    const {
      host,
      connection,
      'transfer-encoding': chunked,
      ...headers
    } = signAsProducer(`localhost:${port}`)
    expect([host, connection, chunked]).toEqual([`localhost:${port}`, 'keep-alive', 'chunked'])
    const call = session.request({ ':method': 'POST', ':path': '/putMedia', ...headers })
    call.write(concat([HEADER, fragment(AT)]))
    const [status] = (await once(call, 'response')) as [Record<string, unknown>]
    const [first] = (await once(call, 'data')) as [Buffer]
    call.end(fragment(AT + 1000))

    expect(status[':status']).toBe(200)
    expect(JSON.parse(first.toString())).toMatchObject({ EventType: 'BUFFERING' })
    expect(kindsOf(await toAcks(call))).toContain('PERSISTED')
  })

  const lookup = (_host: string, _options: unknown, done: (...found: unknown[]) => void) =>
    done(null, [{ address: '127.0.0.1', family: 4 }])
})

describe('a body', () => {
  test('of fixed length is one call; the connection serves the next', async () => {
    const { port, stored } = await runKinesisVideoApi()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const sockets = new Set<unknown>()
    for (let call = 0; call < 3; call++) {
      const media = concat([HEADER, fragment(AT + call * 1000)])
      const headers = signAsProducer(`127.0.0.1:${port}`, {
        ...{ 'transfer-encoding': undefined, 'content-length': String(media.length) },
      })
      const request = httpRequest({ port, method: 'POST', path: '/putMedia', agent, headers })
      const answer = await send(request, media)
      sockets.add(answer.socket)
      expect(answer.statusCode).toBe(200)
      expect(kindsOf(await toAcks(answer))).toEqual(WHOLE)
    }

    expect(sockets.size).toBe(1)
    expect(await stored()).toHaveLength(3)
  })
})

describe('what official producers are odd in', () => {
  test('the token of temporary credentials is not signed, and has to be right', async () => {
    const terms = { ...ACCESS_KEY, sessionToken: 'a token of tests' }
    const { port } = await runKinesisVideoApi(new Map(), { accessKeys: () => terms })
    const status = async (token: Record<string, string>) => {
      const headers = { ...signAsProducer(`127.0.0.1:${port}`), ...token }
      const request = httpRequest({ port, method: 'POST', path: '/putMedia', headers })
      const answer = await send(request, concat([HEADER, fragment(AT)]))
      answer.resume()
      return answer.statusCode
    }

    expect(await status({ 'x-amz-security-token': 'a token of tests' })).toBe(200)
    expect(await status({ 'x-amz-security-token': 'another' })).toBe(403)
    expect(await status({})).toBe(403)
  })

  test.each([
    { rule: 'milliseconds without their zeros', start: '1795164241.4', ms: 1_795_164_241_400 },
    { rule: 'three digits', start: '1795164241.004', ms: 1_795_164_241_004 },
    { rule: 'as JavaScript divides', start: '1795164241.1234567', ms: 1_795_164_241_123 },
    { rule: 'whole seconds', start: '1795164241', ms: 1_795_164_241_000 },
  ])('the start of relative Timecodes: $rule', async ({ start, ms }) => {
    const { port, stored } = await runKinesisVideoApi()
    const headers = signAsProducer(`127.0.0.1:${port}`, {
      'x-amzn-fragment-timecode-type': 'RELATIVE',
      'x-amzn-producer-start-timestamp': start,
    })
    const request = httpRequest({ port, method: 'POST', path: '/putMedia', headers })
    const acks = await toAcks(await send(request, concat([HEADER, fragment(1800)])))

    expect(acks.map(({ FragmentTimecode }) => FragmentTimecode)).toEqual([1800, 1800, 1800])
    expect((await stored())[0]!.fragment.producerTimestamp).toBe(ms + 1800)
  })

  test('an ID of H.264 that Matroska does not have', async () => {
    const { port, stored } = await runKinesisVideoApi()
    const headers = signAsProducer(`127.0.0.1:${port}`)
    const request = httpRequest({ port, method: 'POST', path: '/putMedia', headers })
    const header = toMatroskaHeader([{ ...VIDEO_TRACK, codecId: 'V_MPEG/ISO/AVC' }])
    await toAcks(await send(request, concat([header, fragment(AT)])))

    expect((await stored())[0]!.tracks).toMatchObject([{ codecId: VIDEO_TRACK.codecId }])
  })
})
