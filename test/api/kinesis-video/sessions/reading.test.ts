import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { demux, type DemuxedFile } from '../../../playback/support/demux.ts'
import { decodeAac, mulaw, mulawTone } from '../../../playback/audio/sound-fixture.ts'
import { firstGroups, record, without } from '../../../playback/support/record.ts'
import { isInstalled } from '../../../support/installed.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { sharedMedia } from '../../../support/shared-media.ts'
import { getText, runSessions, selector } from './session-fixture.ts'

// What is stored comes back out of session URLs, seen by FFmpeg's own readers over HTTP.

const files = [
  { rule: 'B-frames and AAC 44.1 kHz', path: sharedMedia('vtest_tiodh.mp4') },
  { rule: 'H.265 and AAC', path: sharedMedia('vtest_hevc_aac_15s.mp4') },
  { rule: 'video alone', path: sharedMedia('intel_one-by-one-person-detection.mp4') },
].filter((file): file is { rule: string; path: string } => file.path !== null)

const READ = { timeout: 60_000 }

const CLOCKS = ['PRODUCER_TIMESTAMP', 'SERVER_TIMESTAMP'] as const
const CONTAINERS = ['FRAGMENTED_MP4', 'MPEG_TS'] as const
const MODES = CLOCKS.flatMap((clock) => CONTAINERS.map((container) => ({ clock, container })))

/** The API over a file that was recorded an hour ago. */
async function runRecorded(file: DemuxedFile, replace: Parameters<typeof runSessions>[0] = {}) {
  const running = await runSessions(replace)
  const { archive, streamId } = running
  const startMs = Date.now() - 3_600_000
  const fragments = await record(file, { archive, streamId, startMs })
  return { ...running, fragments, startMs }
}

/** Samples by kind, in the order of their track. */
function samplesOf({ tracks, packets }: DemuxedFile) {
  return Object.fromEntries(
    tracks.map(({ kind, number }) => [
      kind,
      packets.filter(({ trackNumber }) => trackNumber === number),
    ]),
  )
}

const countsOf = (file: DemuxedFile) =>
  Object.fromEntries(Object.entries(samplesOf(file)).map(([kind, { length }]) => [kind, length]))

describe.each(files)('FFmpeg reads every sample: $rule', ({ path }) => {
  test.each(MODES)('HLS, $container, by $clock', READ, async ({ clock, container }) => {
    const file = firstGroups(await demux(path), 5)
    const { hls, startMs } = await runRecorded(file)

    const url = await hls({
      PlaybackMode: 'ON_DEMAND',
      ContainerFormat: container,
      DiscontinuityMode: 'NEVER',
      HLSFragmentSelector: selector(clock, startMs, startMs + 600_000),
    })
    const played = await demux(url)

    expect(countsOf(played)).toEqual(countsOf(file))
    const stored = samplesOf(file)['video']!
    const video = samplesOf(played)['video']!
    const toStart = (packets: typeof video) => packets.map(({ ptsMs }) => ptsMs - packets[0]!.ptsMs)
    const offMs = toStart(video).map((ms, i) => Math.abs(ms - toStart(stored)[i]!))
    expect(Math.max(...offMs)).toBeLessThan(1.1) // stored in whole milliseconds
  })

  test('DASH', READ, async () => {
    const file = firstGroups(await demux(path), 5)
    const { dash, startMs } = await runRecorded(file)
    const DASHFragmentSelector = selector('PRODUCER_TIMESTAMP', startMs, startMs + 600_000)
    const url = await dash({ PlaybackMode: 'ON_DEMAND', DASHFragmentSelector })

    const played = await demux(url).catch((error: unknown) => {
      console.warn(`skipped: this FFmpeg has no reader of DASH (${String(error)})`)
      return null
    })

    if (played === null) return
    // It stops where the first of the tracks ends; the others go on a little.
    const left = Object.entries(countsOf(file)).map(([kind, count]) => {
      const found = countsOf(played)[kind]!
      return { isWhole: found === count, lacks: count - found }
    })
    expect(left.some(({ isWhole }) => isWhole)).toBe(true)
    expect(left.every(({ lacks }) => lacks >= 0 && lacks < 8)).toBe(true)
  })
})

test.each(CONTAINERS)('FFmpeg hears µ-law as a tone in AAC: %s', READ, async (container) => {
  const startMs = Date.now() - 3_600_000
  const running = await runSessions()
  const { archive, streamId, hls } = running
  const packets = mulawTone(startMs, 300)
  await record({ tracks: [mulaw], packets }, { archive, streamId, startMs })

  const url = await hls({
    PlaybackMode: 'ON_DEMAND',
    ContainerFormat: container,
    DiscontinuityMode: 'NEVER',
    HLSFragmentSelector: selector('PRODUCER_TIMESTAMP', startMs, startMs + 600_000),
  })
  const played = await demux(url)

  expect(played.tracks.map(({ audio }) => audio)).toEqual([{ sampleRateHz: 16_000, channels: 1 }])
  // MPEG-TS has an ADTS header of seven bytes before each frame.
  const headerBytes = container === 'MPEG_TS' ? 7 : 0
  const heard = decodeAac(
    played.packets.map(({ data }) => data.subarray(headerBytes)),
    16_000,
  ).subarray(16_000, 5 * 16_000)
  const crossings = heard.filter((value, i) => i > 0 && value >= 0 !== heard[i - 1]! >= 0).length
  expect(Math.abs(crossings / 4 / 2 - 440)).toBeLessThan(2) // in hertz, over four seconds
  const power = heard.reduce((sum, value) => sum + value * value, 0) / heard.length
  expect(Math.abs(Math.sqrt(power) - 0.5 / Math.SQRT2)).toBeLessThan(0.02)
})

const camera = sharedMedia('vtest_tiodh.mp4')

describe.skipIf(camera === null)('FFmpeg', () => {
  test.each(CONTAINERS)(
    'reads a LIVE_REPLAY session to its end: %s',
    READ,
    async (ContainerFormat) => {
      const clock = new ManualClock(Date.now())
      const file = await demux(camera!)
      const { archive, streamId, hls } = await runSessions({ clock })
      const startMs = clock.now() - 3_600_000
      await record(file, { archive, streamId, startMs })
      const url = await hls({
        PlaybackMode: 'LIVE_REPLAY',
        ContainerFormat,
        Expires: 3600,
        MaxMediaPlaylistFragmentResults: 1000,
        HLSFragmentSelector: selector('PRODUCER_TIMESTAMP', startMs, startMs + 1_800_000),
      })
      clock.advance(600_000)

      const played = await demux(url)

      expect(countsOf(played)).toEqual(countsOf(file))
    },
  )

  test('reads sound alone', READ, async () => {
    const file = without('video', firstGroups(await demux(camera!), 2))
    const { hls, startMs } = await runRecorded(file)
    const HLSFragmentSelector = selector('PRODUCER_TIMESTAMP', startMs, startMs + 600_000)

    const url = await hls({ PlaybackMode: 'ON_DEMAND', HLSFragmentSelector })

    expect(await getText(url)).not.toContain('EXT-X-MEDIA')
    expect(countsOf(await demux(url))).toEqual(countsOf(file))
  })

  test
    .skipIf(!isInstalled('ffmpeg', '-version'))
    .each([
      ...MODES.map((mode) => ({ protocol: 'HLS', ...mode })),
      { protocol: 'DASH', clock: CLOCKS[0], container: CONTAINERS[0] },
    ])(
    'as a command decodes without a complaint: $protocol, $container, $clock',
    READ,
    async ({ protocol, clock, container }) => {
      const { hls, dash, startMs } = await runRecorded(firstGroups(await demux(camera!), 4))
      const range = selector(clock, startMs, startMs + 600_000)
      const asked = { PlaybackMode: 'ON_DEMAND' } as const
      const url =
        protocol === 'DASH'
          ? await dash({ ...asked, DASHFragmentSelector: range })
          : await hls({ ...asked, ContainerFormat: container, HLSFragmentSelector: range })

      expect(await decode(url)).toEqual({ code: 0, complaints: '' })
    },
  )
})

async function decode(url: string) {
  const args = ['-v', 'warning', '-xerror', '-i', url, '-map', '0', '-f', 'null', '-']
  const child = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 50_000 })
  let complaints = ''
  child.stderr.on('data', (data: Buffer) => (complaints += data.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, complaints }
}
