import { describe, expect, test } from 'vitest'
import { createTokenSealer } from '../../../../src/api/aws/sealed-token.ts'
import { createCallRates, DOCUMENTED_RATES } from '../../../../src/api/kinesis-video/index.ts'
import {
  openSessionToken,
  toSessionToken,
  type SessionGrant,
} from '../../../../src/api/kinesis-video/sessions/session-grant.ts'
import { epochMs } from '../../../../src/domain/time.ts'
import { CODEC_MJPEG } from '../../../../src/domain/track.ts'
import { systemClock } from '../../../../src/platform/clock.ts'
import { readManifest } from '../../../playback/support/check-manifest.ts'
import { readMasterPlaylist, readMediaPlaylist } from '../../../playback/support/check-playlist.ts'
import { toMatroskaHeader } from '../../../../src/media/matroska/writer.ts'
import { VIDEO_TRACK, writeFragment } from '../../../support/archive-media.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { createObserved } from '../../../support/observed.ts'
import { ACCESS_KEY } from '../running-video-api.ts'
import { getText, runSessions, selector } from './session-fixture.ts'

const HOUR_MS = 3_600_000

/** The avcC of a real camera; the pictures need not be. */
const CODEC_PRIVATE = Buffer.from(
  '014d4015ffe1001d674d4015e883c05ff02e02d40404050000030001000003003c0f162d1201000468ebaf20',
  'hex',
)
const TRACK = { ...VIDEO_TRACK, codecPrivate: CODEC_PRIVATE }

/** The API over a stream with ten fragments of an hour ago, two seconds each. */
async function runStored(
  options: { track?: typeof VIDEO_TRACK; fragments?: number; ageMs?: number } = {},
  replace: Parameters<typeof runSessions>[0] = {},
) {
  const running = await runSessions(replace)
  const { track = TRACK, fragments = 10, ageMs = HOUR_MS } = options
  const from = Date.now() - ageMs
  const writer = await running.archive.openWriter(running.streamId)
  const header = toMatroskaHeader([track])
  const stored = []
  for (let i = 0; i < fragments; i++) {
    const made = { at: from + i * 2000, header }
    const begin = writer.begin.bind(writer)
    writer.begin = (start) => begin({ ...start, tracks: [track] })
    stored.push(await writeFragment(writer, made))
    writer.begin = begin
  }
  await writer[Symbol.asyncDispose]()
  const all = selector('PRODUCER_TIMESTAMP', from, from + HOUR_MS / 2)
  return {
    ...running,
    from,
    stored,
    all,
    onDemand: () => running.hls({ PlaybackMode: 'ON_DEMAND', HLSFragmentSelector: all }),
    onDemandDash: () => running.dash({ PlaybackMode: 'ON_DEMAND', DASHFragmentSelector: all }),
  }
}

/** Everything that a URL leads to, by its file name. */
async function filesOf(url: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  const visit = async (uri: string) => {
    const file = new URL(uri, url)
    files.set(file.pathname.split('/').at(-1)!, file.href)
    if (!/\.m3u8$/.test(file.pathname)) return
    const text = await getText(file.href)
    const uris = [...text.matchAll(/URI="([^"]+)"/g)].map(([, each]) => each!)
    for (const each of [...uris, ...text.split('\n').filter((line) => /^[^#]/.test(line))]) {
      await visit(each)
    }
  }
  await visit(url)
  return files
}

describe('a session URL', () => {
  test('has the service’s shape, and names its files relative to itself', async () => {
    const { onDemand, port, stored } = await runStored()

    const url = await onDemand()
    const { variants } = readMasterPlaylist(await getText(url))
    const media = await getText(new URL(variants[0]!.uri, url).href)

    expect(url).toMatch(
      new RegExp(
        `^http://127.0.0.1:${port}/hls/v1/getHLSMasterPlaylist\\.m3u8\\?SessionToken=[\\w-]+~$`,
      ),
    )
    expect(variants).toMatchObject([{ CODECS: 'avc1.4D4015', RESOLUTION: '64x48' }])
    const { segments } = readMediaPlaylist(media)
    expect(segments).toHaveLength(10)
    expect(segments[0]!.uri).toMatch(
      `getMP4MediaFragment.mp4?FragmentNumber=${stored[0]!.fragmentNumber}&SessionToken=`,
    )
    expect(segments[0]!.map).toMatch(/^getMP4InitFragment\.mp4\?.*SessionToken=.*TrackNumber=1$/)
  })

  test('uses the configured address', async () => {
    const { onDemand } = await runStored({}, { publicOrigin: 'https://video.test' })

    expect(await onDemand()).toMatch('https://video.test/hls/v1/getHLSMasterPlaylist.m3u8?')
  })

  test('carries no secret and nothing that can be read', async () => {
    const { onDemand } = await runStored()
    const token = new URL(await onDemand()).searchParams.get('SessionToken')!

    const bytes = Buffer.from(token, 'base64url').toString('latin1')

    expect(token.length).toBeLessThan(400)
    for (const word of ['"x"', ACCESS_KEY.accessKeyId, ACCESS_KEY.secretAccessKey, 'DEMAND']) {
      expect(bytes).not.toContain(word)
    }
  })

  test('means the same to a service that was started again', async () => {
    const { registry } = await runSessions()
    const { name, createdAt, streamId } = registry.get('x')
    const grant: SessionGrant = {
      protocol: 'HLS',
      container: 'MPEG_TS',
      stream: { name, createdAt, streamId },
      accessKeyId: ACCESS_KEY.accessKeyId,
      expiresAt: Date.now() + 60_000,
      session: {
        streamId,
        mode: 'LIVE_REPLAY',
        clock: 'producer',
        range: { from: 1_767_323_045_678, to: null },
        discontinuities: 'ON_DISCONTINUITY',
        showTimestamps: true,
        showNumbers: false,
        window: { fragments: 5000, bound: 'asked' },
        madeAt: epochMs(1_767_323_999_999),
        start: { afterCounter: 77, sequence: 66, waits: true, targetDurationS: 9 },
      },
    }
    const key = Buffer.alloc(32, 5)
    const token = toSessionToken(createTokenSealer(key), grant)

    const opened = openSessionToken(
      { registry, clock: systemClock, sealer: createTokenSealer(key) },
      token,
    )

    expect(opened).toMatchObject(grant)
  })

  test.each(['m3u8', 'mp4', 'mpd'])(
    'answers players on every site, GET, HEAD and OPTIONS: %s',
    async (suffix) => {
      const { onDemand, onDemandDash } = await runStored()
      const files = suffix === 'mpd' ? [await onDemandDash()] : await filesOf(await onDemand())
      const found = [...files.values()].find((each) => new URL(each).pathname.endsWith(suffix))!

      const answers = await Promise.all(
        ['GET', 'HEAD', 'OPTIONS'].map((method) =>
          fetch(found, { method, headers: { origin: 'https://elsewhere.test' } }),
        ),
      )

      for (const { headers } of answers) {
        expect(headers.get('access-control-allow-origin')).toBe('*')
        expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin')
      }
      const [got, head, options] = answers
      expect(got!.status).toBe(200)
      expect(head!.status).toBe(200)
      expect(options!.status).toBe(204)
      expect((await head!.arrayBuffer()).byteLength).toBe(0)
      expect((await got!.arrayBuffer()).byteLength).toBeGreaterThan(100)
      expect(got!.headers.get('content-type')).toBe(head!.headers.get('content-type'))
    },
  )

  test('ends after the time that was asked for', async () => {
    const clock = new ManualClock(Date.now())
    const { hls, all } = await runStored({}, { clock })
    const url = await hls({ PlaybackMode: 'ON_DEMAND', HLSFragmentSelector: all, Expires: 300 })

    clock.advance(299_999)
    const last = await fetch(url)
    clock.advance(1)
    const late = await fetch(url)

    expect(last.status).toBe(200)
    expect(late.status).toBe(403)
    expect(late.headers.get('access-control-allow-origin')).toBe('*')
    expect(await late.json()).toEqual({ Message: 'The session has expired.' })
  })

  test('ends with the key that made it', async () => {
    const keys = new Map([[ACCESS_KEY.accessKeyId, ACCESS_KEY]])
    const { onDemand } = await runStored({}, { accessKeys: (id) => keys.get(id) ?? null })
    const url = await onDemand()
    const before = await fetch(url)

    keys.clear()

    expect(before.status).toBe(200)
    expect((await fetch(url)).status).toBe(403)
  })

  test('ends with the stream, and does not open another of its name', async () => {
    const { onDemand, registry } = await runStored()
    const url = await onDemand()

    await registry.delete('x')
    const gone = await fetch(url)
    await registry.create({ name: 'x', retentionHours: 24 })
    const other = await fetch(url)

    expect([gone.status, other.status]).toEqual([404, 404])
    expect(other.headers.get('x-amzn-errortype')).toBe('ResourceNotFoundException')
  })

  test.each([
    { rule: 'none', token: '' },
    { rule: 'nonsense', token: 'AAAA~' },
    { rule: 'far too long', token: 'A'.repeat(10_000) },
    { rule: 'with a sign that base64url has not', token: '../../etc/passwd' },
  ])('is refused with a token that is $rule', async ({ token }) => {
    const { port } = await runSessions()
    const query = new URLSearchParams({ SessionToken: token })

    const refused = await fetch(
      `http://127.0.0.1:${port}/hls/v1/getHLSMasterPlaylist.m3u8?${query}`,
    )

    expect(refused.status).toBe(403)
    expect(await refused.json()).toEqual({ Message: 'The session token is not valid.' })
  })

  test('is refused when a single character of its token is another', async () => {
    const { onDemand } = await runStored()
    const url = await onDemand()
    const start = url.indexOf('=') + 1

    for (let at = start; at < url.length - 1; at += 7) {
      const other = url[at] === 'A' ? 'B' : 'A'
      const forged = url.slice(0, at) + other + url.slice(at + 1)
      expect((await fetch(forged)).status).toBe(403)
    }
  })

  test('is refused when another key of the service sealed it', async () => {
    const { onDemand } = await runStored({}, { sealer: createTokenSealer(Buffer.alloc(32, 1)) })
    const { port } = await runSessions()
    const url = new URL(await onDemand())
    url.port = String(port)

    expect((await fetch(url)).status).toBe(403)
  })

  test('opens nothing that its session does not play', async () => {
    const { hls, onDemandDash, stored, from } = await runStored()
    const narrow = selector('PRODUCER_TIMESTAMP', from, from + 5000)
    const url = await hls({ PlaybackMode: 'ON_DEMAND', HLSFragmentSelector: narrow })
    const token = new URL(url).search.slice(1)
    const dashToken = new URL(await onDemandDash()).search.slice(1)
    const at = (path: string) => new URL(path, url).href
    const statusOf = async (path: string) => (await fetch(at(path))).status
    const number = (i: number) => stored[i]!.fragmentNumber

    expect(
      await Promise.all([
        statusOf(`getMP4MediaFragment.mp4?FragmentNumber=${number(2)}&TrackNumber=1&${token}`),
        statusOf(`getMP4MediaFragment.mp4?FragmentNumber=${number(3)}&TrackNumber=1&${token}`),
        statusOf(`getTSFragment.ts?FragmentNumber=${number(2)}&${token}`),
        statusOf(`/dash/v1/getDASHManifest.mpd?${token}`),
        statusOf(`getHLSMasterPlaylist.m3u8?${dashToken}`),
        statusOf(`getHLSMediaPlaylist.m3u8?TrackNumber=3&${token}`),
        statusOf(`getMP4MediaFragment.mp4?FragmentNumber=1&TrackNumber=1&${token}`),
        statusOf(`getMP4InitFragment.mp4?Init=1.avc.4.3.&${token}`),
        statusOf(`/dash/v1/getMP4MediaFragment.mp4?Time=${from + 1}&TrackNumber=1&${dashToken}`),
        statusOf(`/dash/v1/getMP4MediaFragment.mp4?Time=-1&TrackNumber=1&${dashToken}`),
      ]),
    ).toEqual([200, 404, 404, 404, 404, 404, 404, 404, 404, 404])
  })

  test('sends long playlists compressed to who wants that', async () => {
    const { onDemand } = await runStored({ fragments: 100 })
    const url = await onDemand()
    const { variants } = readMasterPlaylist(await getText(url))
    const media = new URL(variants[0]!.uri, url).href

    const plain = await fetch(media, { headers: { 'accept-encoding': 'identity' } })
    const packed = await fetch(media, { headers: { 'accept-encoding': 'gzip' } })

    expect(plain.headers.get('content-encoding')).toBeNull()
    expect(packed.headers.get('content-encoding')).toBe('gzip')
    const packedBytes = Number(packed.headers.get('content-length'))
    const text = await plain.text()
    expect(packedBytes).toBeLessThan(text.length / 10)
    expect(await packed.text()).toBe(text)
  })

  test('counts what is asked for and what is sent', async () => {
    const { onDemand, observed } = await runStored()
    const files = await filesOf(await onDemand())
    const media = files.get('getMP4MediaFragment.mp4')!

    const sent = (await (await fetch(media)).arrayBuffer()).byteLength

    const told = await observed.metrics.registry.metrics()
    for (const operation of ['GetHLSStreamingSessionURL', 'GetHLSMasterPlaylist']) {
      expect(told).toContain(
        `kinora_playback_calls_total{operation="${operation}",stream="x",outcome="success"} 1`,
      )
    }
    expect(told).toContain(`kinora_playback_sent_bytes_total{stream="x",format="hls"} ${sent}`)
    expect(told).toMatch(/consumed_total\{stream="x",bucket="media"\} 1/)
  })

  test('may be slowed down as the service does it', async () => {
    const clock = new ManualClock(Date.now())
    const { metrics } = createObserved()
    const callRates = createCallRates(DOCUMENTED_RATES, { clock, metrics })
    const { onDemand } = await runStored({}, { clock, callRates })
    const url = await onDemand()

    const statuses = await Promise.all(
      Array.from({ length: 7 }, async () => (await fetch(url)).status),
    )

    expect(statuses.filter((status) => status === 200)).toHaveLength(5)
    expect(statuses.filter((status) => status === 400)).toHaveLength(2)
  })
})

describe('is not given', () => {
  test.each([
    {
      rule: 'LIVE with a range',
      asked: { HLSFragmentSelector: selector('SERVER_TIMESTAMP', 1, 2) },
      message: /must not be specified when the PlaybackMode is LIVE/,
    },
    {
      rule: 'ON_DEMAND without a range',
      asked: { PlaybackMode: 'ON_DEMAND' },
      message: /StartTimestamp .* is required when the PlaybackMode is ON_DEMAND/,
    },
    {
      rule: 'LIVE_REPLAY without a start',
      asked: { PlaybackMode: 'LIVE_REPLAY' },
      message: /is required when the PlaybackMode is LIVE_REPLAY/,
    },
    {
      rule: 'an end before the start',
      asked: {
        PlaybackMode: 'ON_DEMAND',
        HLSFragmentSelector: selector('PRODUCER_TIMESTAMP', 2000, 1000),
      },
      message: /later than its StartTimestamp/,
    },
    {
      rule: 'more than a day',
      asked: {
        PlaybackMode: 'ON_DEMAND',
        HLSFragmentSelector: selector('PRODUCER_TIMESTAMP', 0, 24 * HOUR_MS + 1),
      },
      message: /within 24 hours/,
    },
    {
      rule: 'the future of the server’s clock',
      asked: {
        PlaybackMode: 'ON_DEMAND',
        HLSFragmentSelector: selector('SERVER_TIMESTAMP', Date.now(), Date.now() + HOUR_MS),
      },
      message: /must be in the past/,
    },
    {
      rule: 'Expires of less than five minutes',
      asked: { Expires: 299 },
      message: /'expires' failed to satisfy constraint: .* greater than or equal to 300/,
    },
    {
      rule: 'Expires of more than twelve hours',
      asked: { Expires: 43_201 },
      message: /less than or equal to 43200/,
    },
    {
      rule: 'more than 5000 fragments',
      asked: { MaxMediaPlaylistFragmentResults: 5001 },
      message: /less than or equal to 5000/,
    },
    {
      rule: 'a mode that does not exist',
      asked: { PlaybackMode: 'REWIND' },
      message: /enum value set: \[LIVE, LIVE_REPLAY, ON_DEMAND\]/,
    },
  ])('$rule: InvalidArgumentException', async ({ asked, message }) => {
    const { hls } = await runSessions()

    await expect(hls(asked as object)).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: expect.stringMatching(message) as string,
    })
  })

  test('a range without media: ResourceNotFoundException', async () => {
    const { hls, dash, from } = await runStored()
    const range = selector('PRODUCER_TIMESTAMP', from - 100_000, from - 50_000)
    const asked = { PlaybackMode: 'ON_DEMAND' } as const

    const error = { name: 'ResourceNotFoundException', $metadata: { httpStatusCode: 404 } }
    await expect(hls({ ...asked, HLSFragmentSelector: range })).rejects.toMatchObject(error)
    await expect(dash({ ...asked, DASHFragmentSelector: range })).rejects.toMatchObject(error)
  })

  test('a stream that does not exist: ResourceNotFoundException', async () => {
    const { hls } = await runSessions()

    await expect(hls({ StreamName: 'y' })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    })
  })

  test('a stream without retention: NoDataRetentionException', async () => {
    const { hls, dash, registry } = await runSessions()
    await registry.create({ name: 'y', retentionHours: 0 })

    const error = { name: 'NoDataRetentionException', $metadata: { httpStatusCode: 400 } }
    await expect(hls({ StreamName: 'y' })).rejects.toMatchObject(error)
    await expect(dash({ StreamName: 'y' })).rejects.toMatchObject(error)
  })

  test.each([
    {
      rule: 'pictures that no player plays',
      track: { ...TRACK, codecId: CODEC_MJPEG },
      name: 'UnsupportedStreamMediaTypeException',
    },
    {
      rule: 'no parameters of the codec',
      track: { ...TRACK, codecPrivate: new Uint8Array(0) },
      name: 'MissingCodecPrivateDataException',
    },
    {
      rule: 'parameters that are none',
      track: { ...TRACK, codecPrivate: Uint8Array.of(7, 7, 7, 7) },
      name: 'InvalidCodecPrivateDataException',
    },
  ])('$rule: $name', async ({ track, name }) => {
    const { onDemand } = await runStored({ track })

    await expect(onDemand()).rejects.toMatchObject({ name, $metadata: { httpStatusCode: 400 } })
  })
})

test('a manifest of DASH is what its schema wants, and leads to media', async () => {
  const { onDemandDash, stored } = await runStored()
  const url = await onDemandDash()

  const { periods } = readManifest(await getText(url))
  const [template] = periods[0]!.sets[0]!.children
  const at = (uri: string) =>
    new URL(uri.replace('$Time$', String(stored[9]!.producerTimestamp)), url)
  const init = await fetch(at(template!.attributes['initialization']!))
  const media = await fetch(at(template!.attributes['media']!))

  expect(url).toMatch(/\/dash\/v1\/getDASHManifest\.mpd\?SessionToken=/)
  expect(periods[0]!.segments).toHaveLength(10)
  expect(
    Buffer.from(await init.arrayBuffer())
      .subarray(4, 8)
      .toString(),
  ).toBe('ftyp')
  expect(
    Buffer.from(await media.arrayBuffer())
      .subarray(4, 8)
      .toString(),
  ).toBe('moof')
})
