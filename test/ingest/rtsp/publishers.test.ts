import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { demux } from '../../playback/support/demux.ts'
import { isInstalled } from '../../support/installed.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { KEY, startFixture } from './rtsp-fixture.ts'

const VTEST = sharedMedia('vtest_tiodh.mp4')
const HEVC = sharedMedia('vtest_hevc_aac_15s.mp4')
const hasFfmpeg = isInstalled('ffmpeg', '-version')
const hasGstreamer =
  isInstalled('gst-inspect-1.0') &&
  spawnSync('gst-inspect-1.0', ['rtspclientsink'], { stdio: 'ignore' }).status === 0

async function run(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** Without `-re`: as fast as it goes. */
const ffmpeg = (path: string, url: string, ...options: readonly string[]) =>
  run('ffmpeg', [
    ...['-v', 'warning', '-nostdin', '-i', path, '-c', 'copy'],
    ...[...options, '-f', 'rtsp', url],
  ])

type Fixture = Awaited<ReturnType<typeof startFixture>>

/**
 * Every sample of the file is stored, byte for byte, as a key or not, and at its time. Only the last
 * frames of AAC may be missing: ffmpeg keeps those that do not fill a packet to itself.
 */
async function expectStored(fixture: Fixture, path: string): Promise<void> {
  const { packets } = await demux(path)
  const samples = (await fixture.stored()).flatMap((each) => each.samples)
  for (const trackNumber of [1, 2]) {
    const expected = packets.filter((each) => each.trackNumber === trackNumber)
    const stored = samples.filter((each) => each.trackNumber === trackNumber)
    const kept = trackNumber === 1 ? 0 : expected.length - stored.length
    expect(stored.length).toBe(expected.length - kept)
    expect(kept).toBeLessThan(8)
    const start = stored[0]!.ptsMs - expected[0]!.ptsMs
    const differing = stored.findIndex(
      (sample, i) =>
        Math.abs(sample.ptsMs - start - expected[i]!.ptsMs) > 1 ||
        sample.isKey !== expected[i]!.isKey ||
        !sample.data.equals(expected[i]!.data),
    )
    const found = { ...stored[differing], ptsMs: (stored[differing]?.ptsMs ?? 0) - start }
    expect(differing === -1 ? null : [differing, found, expected[differing]]).toBeNull()
  }
  expect(fixture.events('samplesDropped')).toEqual([])
}

describe.runIf(hasFfmpeg && VTEST)('the ffmpeg command publishes', () => {
  test.each([
    { rule: 'over TCP, by the key in the URL', options: ['-rtsp_transport', 'tcp'], by: 'key' },
    { rule: 'over TCP, by digest', options: ['-rtsp_transport', 'tcp'], by: 'digest' },
    { rule: 'by whatever works, where UDP is off', options: [], by: 'digest', udpPorts: null },
  ])('H.264 with B-frames and AAC $rule: every sample is stored', async (row) => {
    const { udpPorts, by, options } = row
    const fixture = await startFixture(udpPorts === null ? { udpPorts } : {})
    const host = `127.0.0.1:${fixture.port}`
    const url =
      by === 'key' ? `rtsp://${host}/live/x?a=1&key=${KEY}` : `rtsp://x:${KEY}@${host}/live/x`
    const { code, output } = await ffmpeg(VTEST!, url, ...options)
    expect(code, output).toBe(0)
    await fixture.event('sessionEnded', { reason: 'unpublished' })

    await expectStored(fixture, VTEST!)
  })

  test.runIf(HEVC)('HEVC and AAC over TCP: every sample is stored', async () => {
    const fixture = await startFixture()
    const url = `rtsp://x:${KEY}@127.0.0.1:${fixture.port}/x`
    const { code, output } = await ffmpeg(HEVC!, url, '-rtsp_transport', 'tcp')
    expect(code, output).toBe(0)
    await fixture.event('sessionEnded')

    await expectStored(fixture, HEVC!)
    const [first] = await fixture.stored()
    expect(first!.tracks).toMatchObject([
      { codecId: 'V_MPEGH/ISO/HEVC', video: { widthPx: 480, heightPx: 360 } },
      { codecId: 'A_AAC' },
    ])
  })

  test('over UDP in real time: every sample is stored', async () => {
    const fixture = await startFixture()
    const url = `rtsp://x:${KEY}@127.0.0.1:${fixture.port}/live/x`
    // A quarter of a second early at the end: BYE may overtake the last packets.
    const { code, output } = await run('ffmpeg', [
      ...['-v', 'warning', '-nostdin', '-re', '-t', '4', '-i', VTEST!, '-c', 'copy'],
      ...['-rtsp_transport', 'udp', '-f', 'rtsp', url],
    ])
    expect(code, output).toBe(0)
    await fixture.event('sessionEnded')

    const { packets } = await demux(VTEST!)
    const stored = (await fixture.stored()).flatMap(({ samples }) => samples)
    for (const trackNumber of [1, 2]) {
      const expected = packets.filter((each) => each.trackNumber === trackNumber)
      const kept = stored.filter((each) => each.trackNumber === trackNumber)
      expect(kept.length).toBeGreaterThan(trackNumber === 1 ? 36 : 160)
      expect(kept.every(({ data }, i) => data.equals(expected[i]!.data))).toBe(true)
    }
  })

  test('with a wrong key, or on a busy stream: it is told so', async () => {
    const fixture = await startFixture()
    const host = `127.0.0.1:${fixture.port}`
    const wrong = await ffmpeg(VTEST!, `rtsp://x:wrong-key@${host}/live/x`)
    expect(wrong.code).not.toBe(0)
    expect(wrong.output).toContain('401 Unauthorized')

    const first = spawn(
      'ffmpeg',
      [
        ...['-v', 'error', '-nostdin', '-re', '-i', VTEST!, '-c', 'copy'],
        ...['-rtsp_transport', 'tcp', '-f', 'rtsp', `rtsp://x:${KEY}@${host}/live/x`],
      ],
      { stdio: 'ignore' },
    )
    await fixture.event('sessionStarted')
    const second = await ffmpeg(VTEST!, `rtsp://x:${KEY}@${host}/live/x`, '-rtsp_transport', 'tcp')
    expect(second.code).not.toBe(0)
    expect(second.output).toContain('453 Stream Is Busy')
    first.kill('SIGINT') // it says goodbye
    await fixture.event('sessionEnded', { reason: 'unpublished' })
    expect(fixture.events('sessionStarted')).toHaveLength(1)
  })

  test.runIf(isInstalled('openssl', 'version'))('over TLS: every sample is stored', async () => {
    const directory = await scratchDirectory()
    const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
    const made = spawnSync('openssl', [
      ...'req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost'.split(' '),
      ...['-keyout', keyFile, '-out', certFile],
    ])
    expect(made.status).toBe(0)
    const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
    const fixture = await startFixture({ tls })
    const url = `rtsps://x:${KEY}@127.0.0.1:${fixture.port}/live/x`
    const { code, output } = await ffmpeg(VTEST!, url, '-rtsp_transport', 'tcp')
    expect(code, output).toBe(0)
    await fixture.event('sessionEnded', { protocol: 'rtsps', reason: 'unpublished' })

    await expectStored(fixture, VTEST!)
  })

  test('and is killed: what came before is stored', async () => {
    const fixture = await startFixture()
    const url = `rtsp://x:${KEY}@127.0.0.1:${fixture.port}/live/x`
    const args = ['-v', 'error', '-nostdin', '-re', '-i', VTEST!, '-c', 'copy']
    const child = spawn('ffmpeg', [...args, '-rtsp_transport', 'tcp', '-f', 'rtsp', url], {
      stdio: 'ignore',
    })
    await fixture.event('fragmentPersisted')
    child.kill('SIGKILL')
    await fixture.event('sessionEnded')

    const { packets } = await demux(VTEST!)
    const video = packets.filter(({ trackNumber }) => trackNumber === 1)
    const samples = (await fixture.stored()).flatMap((each) => each.samples)
    const stored = samples.filter(({ trackNumber }) => trackNumber === 1)
    expect(stored.length).toBeGreaterThan(10)
    expect(stored.every(({ data }, i) => data.equals(video[i]!.data))).toBe(true)
  })
})

// Once more when it loses an answer: a known defect of the client, seen with 1.22 under load.
const GSTREAMER_SUITE = { retry: 1 }

describe.runIf(hasGstreamer && hasFfmpeg && VTEST)(
  'rtspclientsink of GStreamer publishes',
  GSTREAMER_SUITE,
  () => {
    /** It sends in real time, so a short clip. */
    async function clip(): Promise<string> {
      const path = join(await scratchDirectory(), 'clip.mp4')
      const made = await run('ffmpeg', ['-v', 'error', '-t', '4', '-i', VTEST!, '-c', 'copy', path])
      expect(made.code, made.output).toBe(0)
      return path
    }

    test.each([
      { rule: 'over TCP, by the key in the URL', by: 'key', protocols: 'tcp' },
      { rule: 'over TCP, by digest', by: 'digest', protocols: 'tcp' },
      { rule: 'over UDP, by digest', by: 'digest', protocols: 'udp' },
    ])('H.264 with B-frames and AAC $rule: every sample is stored', async ({ by, protocols }) => {
      const fixture = await startFixture()
      const path = await clip()
      const url = `rtsp://127.0.0.1:${fixture.port}/live/x`
      const args = [
        ...['-q', 'filesrc', `location=${path}`, '!', 'qtdemux', 'name=d'],
        ...['rtspclientsink', 'name=s', `protocols=${protocols}`],
        ...(by === 'key' ? [`location=${url}?key=${KEY}`] : [`location=${url}`]),
        ...(by === 'key' ? [] : ['user-id=x', `user-pw=${KEY}`]),
        ...['d.video_0', '!', 'queue', '!', 'h264parse', '!', 's.sink_0'],
        ...['d.audio_0', '!', 'queue', '!', 'aacparse', '!', 's.sink_1'],
      ]
      const child = spawn('gst-launch-1.0', args, { stdio: 'ignore' })
      onTestFinished(() => void child.kill('SIGKILL'))
      // Not its exit: on a busy machine 1.22 loses an answer at the end now and then and waits for ever,
      // all media sent. Its stream is free by its BYE, or by its silence.
      await fixture.event('sessionEnded')

      const { packets } = await demux(path)
      const samples = (await fixture.stored()).flatMap((each) => each.samples)
      for (const trackNumber of [1, 2]) {
        const of = (all: readonly { trackNumber: number }[]) =>
          all.filter((each) => each.trackNumber === trackNumber).length
        expect(of(packets) - of(samples)).toBeLessThanOrEqual(trackNumber === 1 ? 1 : 2)
      }
    })
  },
)
