import { describe, expect, test } from 'vitest'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import type { AmfObject } from '../../../src/ingest/amf/amf-cursor.ts'
import { encodeAmf0 } from '../../../src/ingest/amf/amf0.ts'
import { PullError, type PullTarget } from '../../../src/ingest/pull/pull.ts'
import { pullRtmp } from '../../../src/ingest/pull/pull-rtmp.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import {
  aacFrame,
  aacHeader,
  avcFrame,
  avcHeader,
  RtmpClient,
  toMessage,
} from '../../support/rtmp-client.ts'
import { hex, mutations } from '../../support/fuzz.ts'
import { serving, startPlayServer, type PlayPeer } from '../../support/rtmp-play-server.ts'
import { untilTestEnds } from '../../support/scratch.ts'
import { KEY, startFixture } from '../rtmp/rtmp-fixture.ts'
import { startPull } from './pull-fixture.ts'

const AUDIO = 8
const VIDEO = 9

/** Two GOPs of H.264 with AAC, 2 s apart: two fragments. */
function sendTwoGops(peer: PlayPeer): void {
  peer.status('NetStream.Play.Start')
  peer.media(VIDEO, 0, avcHeader())
  peer.media(AUDIO, 0, aacHeader())
  peer.media(VIDEO, 0, avcFrame({ isKey: true }))
  peer.media(AUDIO, 10, aacFrame(1))
  peer.media(VIDEO, 1000, avcFrame({ isKey: false }))
  peer.media(VIDEO, 2000, avcFrame({ isKey: true }))
}

const toTarget = (port: number): PullTarget => ({
  stream: 'x',
  url: new URL(`rtmp://127.0.0.1:${port}/live/cam`),
  credentials: null,
  transport: 'auto',
  verifyCertificate: true,
  connectTimeoutMs: 5_000,
  stallTimeoutMs: 10_000,
})

describe('a pull of RTMP', () => {
  test('stores what the server plays, and says goodbye', async () => {
    const { port, peers } = await startPlayServer(serving(sendTwoGops))
    const pull = await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/live/one/cam?token=a%20b`)
    await pull.event('fragmentPersisted')

    expect(pull.sessions.list()).toMatchObject([
      { stream: 'x', protocol: 'rtmp-pull', peer: `127.0.0.1:${port}` },
    ])
    pull.leave()
    expect(await pull.outcome).toBeNull()
    const [peer] = peers.items
    await peer!.closed
    const { commands } = peer!
    expect(commands.map(({ name }) => name)).toEqual([
      'connect',
      'createStream',
      'play',
      'deleteStream',
    ])
    expect(Object.fromEntries(commands[0]!.args[0] as AmfObject)).toMatchObject({
      app: 'live/one',
      tcUrl: `rtmp://127.0.0.1:${port}/live/one`,
    })
    expect(commands[2]!.args[1]).toBe('cam?token=a%20b')
    expect((await pull.stored()).map(({ samples }) => samples.length)).toEqual([3, 1])
    await pull.event('sessionEnded', { reason: 'source-changed' })
  })

  test('takes aggregates and metadata', async () => {
    const tag = (time: number, body: Uint8Array) =>
      Buffer.concat([
        hex('09 0000'),
        Uint8Array.of(body.length, 0, 0, time, 0, 0, 0, 0),
        body,
        hex('00000000'),
      ])
    const { port } = await startPlayServer(
      serving((peer) => {
        peer.media(18, 0, hex('02 000a 6f6e4d65746144617461 08 00000000 000009'))
        peer.media(VIDEO, 0, avcHeader())
        const parts = [avcFrame({ isKey: true }), avcFrame({ isKey: false })]
        peer.media(22, 0, Buffer.concat(parts.map((body, i) => tag(40 * i, body))))
        peer.status('NetStream.Play.UnpublishNotify')
      }),
    )
    const pull = await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/live/cam`)

    expect(await pull.outcome).toMatchObject({ reason: 'peer-closed' })
    expect((await pull.stored()).map(({ samples }) => samples.length)).toEqual([2])
  })

  test('acknowledges by the server’s window and answers pings', async () => {
    const { port, peers } = await startPlayServer(
      serving((peer) => {
        peer.socket.write(toMessage({ csid: 2, typeId: 5, payload: hex('00000400') }))
        peer.socket.write(toMessage({ csid: 2, typeId: 6, payload: hex('00000800 02') }))
        peer.socket.write(toMessage({ csid: 2, typeId: 4, payload: hex('0006 00000abc') }))
      }),
    )
    await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/live/cam`)
    const peer = await peers.first(() => true)

    await peer.messages.first(({ typeId }) => typeId === 3)
    await peer.messages.first(({ typeId, payload }) => typeId === 5 && payload[2] === 8)
    await peer.messages.first(({ typeId, payload }) => typeId === 4 && payload[1] === 7)
  })

  test('puts user name and password into the query, as cameras want them', async () => {
    const { port, peers } = await startPlayServer(serving(() => undefined))
    await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/bcs/cam.bcs?channel=0`, {
      credentials: { username: 'admin', password: 'p&w' },
    })
    const peer = await peers.first(() => true)
    await peer.messages.first(() => peer.commands.some(({ name }) => name === 'play'))

    expect(peer.commands.at(-1)!.args[1]).toBe('cam.bcs?channel=0&user=admin&password=p%26w')
    const connect = JSON.stringify([...(peer.commands[0]!.args[0] as AmfObject)])
    expect(connect).not.toContain('p%26w')
  })

  test('logs in as Adobe’s media server wants it', async () => {
    const md5 = (text: string) => createHash('md5').update(text).digest('base64')
    const { port, peers } = await startPlayServer((command, peer) => {
      const reject = (description: string) =>
        peer.command('_error', command.transactionId, null, {
          level: 'error',
          code: 'NetConnection.Connect.Rejected',
          description: `[ AccessManager.Reject ] : ${description}`,
        })
      if (command.name !== 'connect') {
        serving(sendTwoGops)(command, peer)
        return
      }
      const app = (command.args[0] as AmfObject).get('app') as string
      const query = new URLSearchParams(app.split('?')[1] ?? '')
      if (!app.includes('?')) {
        reject('[ code=403 need auth; authmod=adobe ] : ')
      } else if (!query.has('response')) {
        reject('[ authmod=adobe ] : ?reason=needauth&user=u&salt=s+1=&challenge=c&opaque=o+p=')
      } else {
        const challenge = query.get('challenge')!
        const expected = md5(md5('us+1=pw') + 'o+p=' + challenge)
        // The answer is base64 as it is, as its inventors' clients send it.
        if (app.includes(`response=${expected}`)) serving(sendTwoGops)(command, peer)
        else reject('[ authmod=adobe ] : ?reason=authfailed')
      }
    })
    const pull = await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/live/cam`, {
      credentials: { username: 'u', password: 'pw' },
    })
    await pull.event('fragmentPersisted')

    expect(peers.items).toHaveLength(3)
    expect(peers.items.at(-1)!.commands.at(-1)!.args[1]).toBe('cam')
  })
})

describe('an attempt ends', () => {
  const rejecting = (code: string, description = '') =>
    startPlayServer((command, peer) => {
      peer.command('_error', command.transactionId, null, { level: 'error', code, description })
    })
  const sayingOnPlay = (code: string, level: string) =>
    startPlayServer(serving((peer) => peer.status(code, level)))

  test.each([
    ['unauthorised', 'a rejected connection', () => rejecting('NetConnection.Connect.Rejected')],
    ['not-found', 'an unknown application', () => rejecting('NetConnection.Connect.InvalidApp')],
    [
      'unauthorised',
      'a wish for a login that we do not have',
      () => rejecting('NetConnection.Connect.Rejected', 'need auth; authmod=adobe'),
    ],
    [
      'unauthorised',
      'a wish for a login that we do not know',
      () => rejecting('NetConnection.Connect.Rejected', 'need auth; authmod=llnw'),
    ],
    [
      'not-found',
      'an unknown stream',
      () => sayingOnPlay('NetStream.Play.StreamNotFound', 'error'),
    ],
    ['no-media', 'a failure to play', () => sayingOnPlay('NetStream.Play.Failed', 'error')],
    ['peer-closed', 'the end of the stream', () => sayingOnPlay('NetStream.Play.Stop', 'status')],
    [
      'peer-closed',
      'a closed connection',
      () => startPlayServer(serving((peer) => peer.socket.destroy())),
    ],
    [
      'peer-closed',
      'the end of the stream as an event',
      () =>
        startPlayServer(
          serving((peer) =>
            peer.socket.write(toMessage({ csid: 2, typeId: 4, payload: hex('0001 00000001') })),
          ),
        ),
    ],
    [
      'protocol-error',
      'a message stream that is none',
      () => startPlayServer((command, peer) => peer.result(command, 'one')),
    ],
    [
      'protocol-error',
      'chunks that are none',
      () => startPlayServer(serving((peer) => peer.socket.write(hex('fafafafa')))),
    ],
    [
      'protocol-error',
      'broken media',
      () => startPlayServer(serving((peer) => peer.media(VIDEO, 0, hex('17 00 000000 01')))),
    ],
  ])('as %s for %s', async (reason, _rule, start) => {
    const { port } = await start()
    const pull = await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/live/cam`)

    expect(await pull.outcome).toMatchObject({ reason })
  })

  test('as unreachable where nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const pull = await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/live/cam`)

    expect(await pull.outcome).toMatchObject({ reason: 'unreachable' })
  })

  test.each([
    ['tls', 'rtmps'],
    ['protocol-error', 'rtmp'],
  ])('as %s for a server of something else that is asked for %s', async (reason, scheme) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    untilTestEnds({ [Symbol.asyncDispose]: async () => void server.close() })
    const { port } = server.address() as AddressInfo
    const pull = await startPull(pullRtmp, `${scheme}://127.0.0.1:${port}/live/cam`)

    expect(await pull.outcome).toMatchObject({ reason })
  })

  test('as busy while somebody publishes on the stream', async () => {
    const { port } = await startPlayServer(serving(sendTwoGops))
    const { deps, port: ours } = await startFixture()
    const publisher = await RtmpClient.publishing(ours, `x?key=${KEY}`)
    const { signal } = new AbortController()

    const attempt = pullRtmp(toTarget(port), { ...deps, onPublishing: () => undefined }, signal)
    await expect(attempt).rejects.toMatchObject({ reason: 'busy' })
    await publisher.end()
  })

  const withManualClock = async (port: number) => {
    const clock = new ManualClock(Date.now())
    const url = `rtmp://127.0.0.1:${port}/live/cam`
    return { clock, pull: await startPull(pullRtmp, url, {}, () => ({ clock })) }
  }
  const passHalfSeconds = async (clock: ManualClock, count: number) => {
    for (let i = 0; i < count; i++) {
      await clock.sleeping(500)
      clock.advance(500)
    }
  }

  test('as no-answer when it takes too long', async () => {
    const { port, peers } = await startPlayServer(() => undefined)
    const { clock, pull } = await withManualClock(port)
    await (await peers.first(() => true)).messages.first(() => true)
    clock.advance(10_000)

    expect(await pull.outcome).toMatchObject({ reason: 'no-answer' })
  })

  test('as no-media when no key frame comes', async () => {
    const { port } = await startPlayServer(serving(() => undefined))
    const { clock, pull } = await withManualClock(port)
    await passHalfSeconds(clock, 30)

    expect(await pull.outcome).toMatchObject({ reason: 'no-media' })
  })

  test('as stalled when no further key frame comes', async () => {
    const { port, peers } = await startPlayServer(
      serving((peer) => {
        sendTwoGops(peer)
        peer.socket.write(toMessage({ csid: 2, typeId: 4, payload: hex('0006 00000abc') }))
      }),
    )
    const { clock, pull } = await withManualClock(port)
    const peer = await peers.first(() => true)
    await peer.messages.first(({ typeId, payload }) => typeId === 4 && payload[1] === 7)
    await passHalfSeconds(clock, 21)

    expect(await pull.outcome).toMatchObject({ reason: 'stalled' })
    await pull.event('sessionEnded', { reason: 'no-media' })
  })
})

test('100 mutated servers end their attempts and nothing else', async () => {
  const answers = Buffer.concat([
    toMessage({ csid: 2, typeId: 5, payload: hex('00000400') }),
    toMessage({ csid: 3, typeId: 20, payload: encodeAmf0('_result', 1, null, { code: 'x' }) }),
    toMessage({ csid: 3, typeId: 20, payload: encodeAmf0('_result', 2, null, 1) }),
    toMessage({ csid: 6, typeId: VIDEO, streamId: 1, payload: avcHeader() }),
    toMessage({ csid: 6, typeId: VIDEO, streamId: 1, payload: avcFrame({ isKey: true }) }),
  ])
  const { deps } = await startFixture()
  const pullDeps = { ...deps, onPublishing: () => undefined }
  for (const mutated of mutations([answers], 100)) {
    const { port } = await startPlayServer((command, peer) => {
      if (command.name === 'connect') peer.socket.end(mutated)
    })
    const attempt = pullRtmp(toTarget(port), pullDeps, new AbortController().signal)

    await expect(attempt).rejects.toBeInstanceOf(PullError)
  }
})

test('told to leave while it connects, a pull leaves', async () => {
  const { port, peers } = await startPlayServer(() => undefined)
  const pull = await startPull(pullRtmp, `rtmp://127.0.0.1:${port}/live/cam`)
  const peer = await peers.first(() => true)
  pull.leave()

  expect(await pull.outcome).toBeNull()
  await peer.closed
})
