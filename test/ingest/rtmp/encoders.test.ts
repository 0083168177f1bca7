import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { encodeAmf0, type Amf0Answer } from '../../../src/ingest/amf/amf0.ts'
import { isInstalled } from '../../support/installed.ts'
import { avcFrame, avcHeader, handshake, RtmpClient, toMessage } from '../../support/rtmp-client.ts'
import { hex } from '../../support/fuzz.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { KEY, startFixture } from './rtmp-fixture.ts'

const CLIP = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))
const PUBLISHER = fileURLToPath(new URL('../../support/publish.mjs', import.meta.url))
const NAME = `x?key=${KEY}`

type Step = { readonly stream?: number; readonly values: readonly Amf0Answer[] }
const say = (...values: readonly Amf0Answer[]): Step => ({ values })
const sayOn = (stream: number, ...values: readonly Amf0Answer[]): Step => ({ stream, values })

/**
 * What encoders say from connect to their first media, as their sources or captures have it, and what
 * they say when they stop.
 */
const ENCODERS: readonly {
  readonly name: string
  readonly properties: Record<string, Amf0Answer>
  readonly start: readonly Step[]
  readonly stop: readonly Step[]
}[] = [
  {
    name: 'OBS (librtmp)',
    properties: { type: 'nonprivate', flashVer: 'FMLE/3.0 (compatible; FMSc/1.0)', swfUrl: '' },
    start: [
      say('releaseStream', 2, null, NAME),
      say('FCPublish', 3, null, NAME),
      say('createStream', 4, null),
      sayOn(1, 'publish', 5, null, NAME, 'live'),
    ],
    stop: [say('FCUnpublish', 6, null, NAME), say('deleteStream', 7, null, 1)],
  },
  {
    name: 'OBS with enhanced RTMP',
    properties: { type: 'nonprivate', fourCcList: ['av01', 'vp09', 'hvc1'], capsEx: 2 },
    start: [
      say('releaseStream', 2, null, NAME),
      say('FCPublish', 3, null, NAME),
      say('createStream', 4, null),
      sayOn(1, 'publish', 5, null, NAME, 'live'),
    ],
    stop: [say('FCUnpublish', 6, null, NAME), say('deleteStream', 7, null, 1)],
  },
  {
    name: 'FFmpeg',
    properties: { type: 'nonprivate', flashVer: 'FMLE/3.0 (compatible; Lavf60.3.100)' },
    start: [
      say('releaseStream', 2, null, NAME),
      say('FCPublish', 3, null, NAME),
      say('createStream', 4, null),
      say('_checkbw', 5, null),
      sayOn(1, 'publish', 6, null, NAME, 'live'),
    ],
    stop: [say('FCUnpublish', 7, null, NAME), say('deleteStream', 8, null, 1)],
  },
  {
    name: 'GStreamer rtmp2sink',
    properties: { type: 'nonprivate', flashVer: 'FMLE/3.0 (compatible; GStreamer/1.22)' },
    start: [
      say('releaseStream', 2, null, NAME),
      say('FCPublish', 3, null, NAME),
      say('createStream', 4, null),
      sayOn(1, 'publish', 0, null, NAME, 'live'),
    ],
    stop: [sayOn(0, 'deleteStream', 0, null, 1)],
  },
  {
    name: 'Flash Media Live Encoder, Wirecast',
    properties: {
      type: 'nonprivate',
      flashVer: 'FMLE/3.0 (compatible; FMSc/1.0)',
      objectEncoding: 0,
    },
    start: [
      say('releaseStream', 2, null, NAME),
      say('FCPublish', 3, null, NAME),
      say('createStream', 4, null),
      say('_checkbw', 5, null),
      sayOn(1, 'publish', 0, null, NAME, 'live'),
    ],
    stop: [say('FCUnpublish', 0, null, NAME), sayOn(1, 'closeStream', 0, null)],
  },
  {
    name: 'Larix and other mobile encoders',
    properties: { flashVer: 'FMLE/3.0', capabilities: 239, audioCodecs: 3191, videoCodecs: 252 },
    start: [
      say('releaseStream', 2, null, NAME),
      say('FCPublish', 3, null, NAME),
      say('getStreamLength', 4, null, NAME),
      say('createStream', 5, null),
      sayOn(1, 'publish', 6, null, NAME),
    ],
    stop: [say('deleteStream', 7, null, 1)],
  },
  {
    name: 'an action camera that knows the shortest way',
    properties: {},
    start: [say('createStream', 2, null), sayOn(1, 'publish', 3, null, NAME, 'live')],
    stop: [],
  },
]

const toCommand = ({ stream = 0, values }: Step) =>
  toMessage({
    csid: stream === 0 ? 3 : 4,
    typeId: 20,
    streamId: stream,
    payload: encodeAmf0(...values),
  })

describe('the order of commands of', () => {
  test.each(ENCODERS)('$name', async ({ properties, start, stop }) => {
    const { port, event, stored } = await startFixture()
    const client = await RtmpClient.connect(port)
    client.send(handshake())
    client.connectApp(properties)
    // In one go: none of them needs an answer's content but the stream's id, which is 1.
    client.send(...start.map(toCommand))
    await client.status('NetStream.Publish.Start')
    client.media(18, 0, encodeAmf0('@setDataFrame', 'onMetaData', { videocodecid: 7 }))
    client.media(9, 0, avcHeader())
    client.media(9, 0, avcFrame({ isKey: true }))
    client.media(9, 40, avcFrame({ isKey: false }))
    client.send(...stop.map(toCommand))
    if (stop.length > 0) await client.status('NetStream.Unpublish.Success')
    await client.end()
    await event('sessionEnded', { reason: stop.length > 0 ? 'unpublished' : 'peer-closed' })

    expect((await stored()).map(({ samples }) => samples.length)).toEqual([2])
  })

  test('one that speaks AMF 3', async () => {
    const { port, event, stored } = await startFixture()
    const client = await RtmpClient.connect(port)
    client.send(handshake())
    const amf3 = (streamId: number, typeId: number, payload: Uint8Array) =>
      client.send(toMessage({ csid: 3, typeId, streamId, payload }))
    const text = (value: string) => {
      const bytes = Buffer.from(value)
      return Buffer.concat([Uint8Array.of((bytes.length << 1) | 1), bytes])
    }
    // {app, tcUrl} as one AMF 3 object in an AMF 0 command, in the message type of AMF 3.
    const object = Buffer.concat([
      hex('11 0a 0b 01'),
      ...[text('app'), hex('06'), text('live'), text('tcUrl'), hex('06'), text('rtmp://h/live')],
      hex('01'),
    ])
    amf3(0, 17, Buffer.concat([hex('00'), encodeAmf0('connect', 1), object]))
    await client.command('_result')
    amf3(0, 17, Buffer.concat([hex('00'), encodeAmf0('createStream', 2, null)]))
    amf3(1, 17, Buffer.concat([hex('00'), encodeAmf0('publish', 3, null, NAME, 'live')]))
    await client.status('NetStream.Publish.Start')
    amf3(1, 15, Buffer.concat([hex('00'), encodeAmf0('onMetaData', { videocodecid: 7 })]))
    client.media(9, 0, avcHeader())
    client.media(9, 0, avcFrame({ isKey: true }))
    await client.end()
    await event('sessionEnded')

    expect(await stored()).toHaveLength(1)
  })

  test('data messages of every kind are taken, before and while it publishes', async () => {
    const { port, event, stored } = await startFixture()
    const client = await RtmpClient.ready(port)
    client.media(18, 0, encodeAmf0('@setDataFrame', 'onMetaData', { width: 640 }))
    client.publish(NAME)
    await client.status('NetStream.Publish.Start')
    client.media(18, 0, encodeAmf0('@setDataFrame', 'onMetaData', { videocodecid: 7 }))
    client.media(18, 0, encodeAmf0('onTextData', { text: 'x', language: 'eng' }))
    client.media(18, 0, encodeAmf0('onCuePoint', { name: 'ad', time: 1, type: 'event' }))
    client.media(18, 0, encodeAmf0('@clearDataFrame', 'onMetaData'))
    client.media(9, 0, avcHeader())
    client.media(9, 0, avcFrame({ isKey: true }))
    await client.end()
    await event('sessionEnded', { reason: 'peer-closed' })

    expect(await stored()).toHaveLength(1)
  })
})

async function run(program: string, args: readonly string[]): Promise<number | null> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

const hasFfmpeg = isInstalled('ffmpeg', '-version')
const QUIET = ['-v', 'error', '-nostdin']

/** The ffmpeg command makes the media, FFmpeg 8 publishes it by FourCC. */
describe('FFmpeg 8 publishes', () => {
  test.runIf(hasFfmpeg).each([
    ['AV1 and Opus', ['libsvtav1', '-preset', '12', '-g', '10'], ['libopus'], ['V_AV1', 'A_OPUS']],
    ['VP9 and FLAC', ['libvpx-vp9', '-cpu-used', '8', '-g', '10'], ['flac'], ['V_VP9', 'A_FLAC']],
    [
      'HEVC and AC-3',
      ['libx265', '-g', '10', '-x265-params', 'bframes=0:log-level=none'],
      ['ac3'],
      ['V_MPEGH/ISO/HEVC', 'A_AC3'],
    ],
    [
      'H.264 and E-AC-3',
      ['libx264', '-g', '10', '-bf', '0'],
      ['eac3'],
      ['V_MPEG4/ISO/AVC', 'A_EAC3'],
    ],
    [
      'H.264 and MP3',
      ['libx264', '-g', '10', '-bf', '0'],
      ['libmp3lame'],
      ['V_MPEG4/ISO/AVC', 'A_MPEG/L3'],
    ],
    ['Sorenson H.263 and AAC', ['flv', '-g', '10'], ['aac'], ['D_FLV/VIDEO/2', 'A_AAC']],
  ])('%s: it is stored', async (_codecs, video, audio, codecIds) => {
    const file = await encode(video, audio)
    await expectStored(codecIds, (url) => run(process.execPath, [PUBLISHER, file, url]))
  })
})

/** Which FFmpeg 8's muxer ends on an assertion of its own. */
describe('the ffmpeg command publishes', () => {
  test.runIf(hasFfmpeg).each([
    ['G.711', ['pcm_alaw', '-ar', '8000'], 'A_MS/ACM'],
    ['PCM', ['pcm_s16le', '-ar', '44100'], 'A_PCM/INT/LIT'],
  ])('H.264 and %s: it is stored', async (_codec, audio, codecId) => {
    const file = await encode(['libx264', '-g', '10', '-bf', '0'], audio)
    await expectStored(['V_MPEG4/ISO/AVC', codecId], (url) =>
      run('ffmpeg', [...QUIET, '-i', file, '-c', 'copy', '-f', 'flv', url]),
    )
  })
})

/** Three seconds of test picture and tone. */
async function encode(video: readonly string[], audio: readonly string[]): Promise<string> {
  const file = join(await scratchDirectory(), 'media.mkv')
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=10:d=3']
  const tone = ['-f', 'lavfi', '-i', 'sine=r=48000:d=3']
  const coded = ['-c:v', ...video, '-c:a', ...audio]
  expect(await run('ffmpeg', [...QUIET, ...picture, ...tone, ...coded, file])).toBe(0)
  return file
}

async function expectStored(
  codecIds: readonly string[],
  publish: (url: string) => Promise<number | null>,
): Promise<void> {
  const fixture = await startFixture()
  expect(await publish(`rtmp://127.0.0.1:${fixture.port}/live/${NAME}`)).toBe(0)
  await fixture.event('sessionEnded')

  const fragments = await fixture.stored()
  const { tracks } = fragments[0]!
  expect(tracks.map(({ codecId }) => codecId)).toEqual(codecIds)
  if (tracks[0]!.kind === 'video') {
    expect(tracks[0]!.video).toEqual({ widthPx: 320, heightPx: 240 })
    expect(fragments.every(({ samples }) => samples[0]!.isKey)).toBe(true)
  }
  const pictures = fragments.flatMap(({ samples }) =>
    samples.filter(({ trackNumber }) => trackNumber === 1),
  )
  expect(pictures).toHaveLength(30)
  expect(fixture.events('samplesDropped')).toEqual([])
}

test.runIf(isInstalled('gst-launch-1.0'))('GStreamer’s rtmp2sink publishes', async () => {
  const fixture = await startFixture()
  const location = `rtmp://127.0.0.1:${fixture.port}/live/${NAME}`
  const code = await run('gst-launch-1.0', [
    ...['-q', 'filesrc', `location=${CLIP}`, '!', 'qtdemux', 'name=d'],
    ...['d.video_0', '!', 'queue', '!', 'h264parse', '!', 'mux.'],
    ...['d.audio_0', '!', 'queue', '!', 'aacparse', '!', 'mux.'],
    ...['flvmux', 'name=mux', 'streamable=true', '!', 'rtmp2sink', `location=${location}`],
  ])
  expect(code).toBe(0)
  await fixture.event('sessionEnded')

  const fragments = await fixture.stored()
  expect(fragments[0]!.tracks.map(({ codecId }) => codecId)).toEqual(['V_MPEG4/ISO/AVC', 'A_AAC'])
  expect(fragments.length).toBeGreaterThan(1)
})
