import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { toPlaybackFailure } from '../../../src/api/playback/errors.ts'
import { parsePlaylistQuery } from '../../../src/api/playback/query.ts'
import { ServiceError, type ErrorKind } from '../../../src/domain/errors.ts'
import { toStreamId } from '../../../src/domain/stream.ts'
import { epochMs } from '../../../src/domain/time.ts'
import { CODEC_AVC, type Track } from '../../../src/domain/track.ts'
import { clusterStart, simpleBlockHead } from '../../../src/media/matroska/writer.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import { MemoryArchive } from '../../playback/support/memory-archive.ts'
import { servePlayback, type ServedPlayback } from '../../playback/support/serve.ts'

const streamId = toStreamId('camera', 0)
const video: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: Buffer.from(
    '014d4015ffe1001d674d4015e883c05ff02e02d40404050000030001000003003c0f162d1201000468ebaf20',
    'hex',
  ),
  timescale: 1000,
  video: { widthPx: 480, heightPx: 360 },
  audio: null,
}

let archive: MemoryArchive
let served: ServedPlayback
let allowed: string | null
const now = systemClock.now() - 2000
beforeEach(async () => {
  archive = new MemoryArchive()
  allowed = null
  served = await servePlayback({
    archive,
    streamId,
    authorise: (request, streamName) => {
      const { token } = request.query as { token?: string }
      if (allowed === null || (streamName === 'camera' && token === allowed)) return
      throw new ServiceError('permission-denied', 'WrongToken', 'No.')
    },
  })
})
afterEach(() => served[Symbol.asyncDispose]())

/** Two seconds of one picture of so many bytes. */
function store(pictureBytes = 1000, value = 7) {
  const data = new Uint8Array(pictureBytes).fill(value)
  const head = { trackNumber: 1, relativeMs: 0, isKey: true, payloadLength: data.length }
  const bytes = new Uint8Array(Buffer.concat([clusterStart(now), simpleBlockHead(head), data]))
  const stored = { header: new Uint8Array(0), tracks: [video], bytes }
  return archive.add({ streamId, producerTimestamp: epochMs(now) }, stored)
}

/** Reads the beginning of an answer and goes away. */
async function leaveAfterTheFirstBytes(path: string): Promise<true> {
  const url = new URL(served.baseUrl + path)
  const socket = connect(Number(url.port), url.hostname)
  socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: test\r\n\r\n`)
  await once(socket, 'data')
  socket.destroy()
  return true
}

const get = (path: string, init?: RequestInit) => fetch(served.baseUrl + path, init)
const urisOf = async (path: string) => {
  const text = await (await get(path)).text()
  return [...text.matchAll(/^[^#\n].*|(?<=URI=").*(?=")/gm)].map(([uri]) => uri)
}

describe('the routes of a stream', () => {
  test.each([
    { path: 'master.m3u8', type: 'application/vnd.apple.mpegurl', cache: 'no-cache' },
    { path: 'media.m3u8', type: 'application/vnd.apple.mpegurl', cache: 'no-cache' },
    { path: 'init', type: 'video/mp4', cache: 'private, max-age=86400, immutable' },
    { path: 'segment', type: 'video/iso.segment', cache: 'private, max-age=86400, immutable' },
  ])('answer GET and HEAD alike: $path', async ({ path, type, cache }) => {
    store()
    const uri = (await urisOf('media.m3u8')).find((each) => each.startsWith(path)) ?? path

    const got = await get(uri)
    const head = await get(uri, { method: 'HEAD' })

    const body = await got.arrayBuffer()
    expect(body.byteLength).toBeGreaterThan(100)
    expect((await head.arrayBuffer()).byteLength).toBe(0)
    for (const { status, headers } of [got, head]) {
      expect(status).toBe(200)
      expect(headers.get('content-type')).toBe(type)
      expect(headers.get('cache-control')).toBe(cache)
      expect(headers.get('access-control-allow-origin')).toBeNull()
      expect(headers.get('content-length')).toBe(String(body.byteLength))
    }
  })

  test('send many viewers their own media, also while others go away in the middle', async () => {
    const fragments = Array.from({ length: 4 }, (_, i) => store(7_000_000, i + 1)) // beyond any socket's buffers
    const requests = Array.from({ length: 12 }, (_, i) => fragments[i % fragments.length]!)

    const right = await Promise.all(
      requests.map(async ({ fragmentNumber }, i) => {
        const path = `segment-${fragmentNumber}.m4s`
        if (i % 3 === 0) return leaveAfterTheFirstBytes(path)
        const response = await get(path)
        const media = Buffer.from(await response.arrayBuffer()).subarray(-7_000_000)
        return media.equals(Buffer.alloc(7_000_000, (i % fragments.length) + 1))
      }),
    )

    expect(right).toEqual(requests.map(() => true))
  })

  test('count the media bytes that they send', async () => {
    store(500_000)
    const [, uri] = await urisOf('media.m3u8')

    const sent = (await (await get(uri!)).arrayBuffer()).byteLength

    expect(
      await served.metrics.registry.getSingleMetricAsString('kinora_playback_sent_bytes_total'),
    ).toContain(`{stream="camera",format="hls"} ${sent}`)
  })

  test('carry range and token from playlist to playlist, the token alone to media', async () => {
    store()
    allowed = 'a"b\n#c'
    const query = new URLSearchParams({ from: String(now - 1), token: allowed, other: 'x' })

    const [child] = await urisOf(`master.m3u8?${query}`)
    const media = await urisOf(child!)

    expect(child).toBe(`media.m3u8?from=${now - 1}&token=a%22b%0A%23c`)
    expect(media).toHaveLength(2)
    for (const uri of media) {
      expect(uri).toMatch(/\?token=a%22b%0A%23c$/)
      const { status, headers } = await get(uri)
      expect(status).toBe(200)
      expect(headers.get('access-control-allow-origin')).toBe('*')
    }
  })

  test.each([
    'master.m3u8',
    'media.m3u8',
    'init-1.avc.4.3.AAAA.mp4',
    'segment-1.m4s',
    '../image.jpg?at=1',
  ])('ask first whether the viewer may see the stream: %s', async (path) => {
    allowed = 'secret'

    const refused = await get(path)

    expect(refused.status).toBe(403)
    expect(await refused.json()).toEqual({ code: 'WrongToken', message: 'No.' })
    expect(refused.headers.get('access-control-allow-origin')).toBeNull()
  })

  test.each([
    { path: 'master.m3u8', status: 404, code: 'NoMedia' },
    { path: 'media.m3u8', status: 404, code: 'NoMedia' },
    { path: 'media.m3u8?from=yesterday', status: 400, code: 'InvalidTime' },
    { path: 'media.m3u8?from=1&from=2', status: 400, code: 'InvalidTime' },
    { path: 'media.m3u8?from=5&to=5', status: 400, code: 'InvalidRange' },
    { path: 'media.m3u8?to=5', status: 400, code: 'InvalidTime' },
    { path: 'segment-12.m4s', status: 404, code: 'SegmentNotFound' },
    { path: `segment-${'9'.repeat(47)}.m4s`, status: 404, code: 'SegmentNotFound' },
    {
      path: `segment-91343852333181432387730302044767688728495783936.m4s`,
      status: 404,
      code: 'FragmentNotFound',
    },
    { path: 'segment-1.mp4', status: 404, code: 'SegmentNotFound' },
    { path: 'init-x.mp4', status: 404, code: 'InitSegmentNotFound' },
    { path: '../../other/hls/media.m3u8', status: 404, code: 'StreamNotFound' },
    { path: '../image.jpg?at=1', status: 404, code: 'NoMedia' },
    { path: '../image.png', status: 400, code: 'InvalidTime' },
  ])('refuse $path with $code', async ({ path, status, code }) => {
    const refused = await get(path)

    expect(refused.status).toBe(status)
    expect(refused.headers.get('cache-control')).toBe('no-store')
    expect(await refused.json()).toMatchObject({ code, message: expect.any(String) as string })
  })

  test('reveal nothing of a bug', async () => {
    store()
    archive.read = () => Promise.reject(new Error('ENOENT: /data/archive/secret.mkv'))

    const failed = await get('media.m3u8')

    expect(failed.status).toBe(500)
    expect(await failed.text()).toBe('{"code":"InternalFailure","message":"Internal failure."}')
  })

  test('hold one segment for a viewer who asks for many and does not read', async () => {
    const asked = 6
    const pictureBytes = 16 * 1024 * 1024 // more than the sockets' buffers take
    const { fragmentNumber } = store(pictureBytes)
    const { port, pathname } = new URL(`${served.baseUrl}segment-${fragmentNumber}.m4s`)
    const socket = connect(Number(port), '127.0.0.1')
    let received = 0
    socket.on('data', (data) => (received += data.length))
    await once(socket, 'connect')
    socket.pause()

    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(asked))
    const others = async () => (await get('init-1.avc.4.3.AAAA.mp4')).arrayBuffer()
    while (archive.reads === 0) await others()
    for (let i = 0; i < 20; i++) await others() // time enough to read more

    expect(archive.reads).toBe(1)
    socket.resume()
    while (received < asked * pictureBytes) await once(socket, 'data')
    expect(archive.reads).toBe(asked)
    socket.destroy()
  })
})

describe('parsePlaylistQuery', () => {
  test.each([
    { rule: 'milliseconds', from: '1767323045678', ms: 1_767_323_045_678 },
    { rule: 'ISO in UTC', from: '2026-01-02T03:04:05.678Z', ms: 1_767_323_045_678 },
    { rule: 'ISO with a zone', from: '2026-01-02T04:04:05.678+01:00', ms: 1_767_323_045_678 },
    { rule: 'a day', from: '2026-01-02', ms: 1_767_312_000_000 },
  ])('reads $rule', ({ from, ms }) => {
    expect(parsePlaylistQuery({ from }).range).toEqual({ from: ms, to: null })
  })

  test.each([
    '',
    'now',
    '-1',
    '1e3',
    '2026-01-02T03:04:05',
    '2026-13-02',
    '99999999999999999',
    ['1'],
    {},
  ])('refuses %j', (from) => {
    expect(() => parsePlaylistQuery({ from })).toThrow(
      expect.objectContaining({ code: 'InvalidTime' }),
    )
  })

  test('is live without a range', () => {
    expect(parsePlaylistQuery({ token: 't' })).toEqual({
      range: null,
      playlistQuery: '?token=t',
      segmentQuery: '?token=t',
    })
  })
})

describe('toPlaybackFailure', () => {
  test.each<[ErrorKind, number]>([
    ['invalid-argument', 400],
    ['unauthenticated', 401],
    ['permission-denied', 403],
    ['not-found', 404],
    ['limit-exceeded', 429],
    ['unavailable', 503],
    ['malformed-media', 500],
    ['data-loss', 500],
  ])('%s -> %i', (kind, status) => {
    expect(toPlaybackFailure(new ServiceError(kind, 'Code', 'why'))).toEqual({
      status,
      code: 'Code',
      message: 'why',
    })
  })

  test('hides our own bugs', () => {
    expect(toPlaybackFailure(new ServiceError('internal', 'Secret', 'path')).message).toBe(
      'Internal failure.',
    )
  })
})
