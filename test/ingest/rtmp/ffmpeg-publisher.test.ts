import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { FormatContext, Packet } from 'node-av/lib'
import { describe, expect, test } from 'vitest'
import { isInstalled } from '../../support/installed.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { KEY, startFixture } from './rtmp-fixture.ts'

const PUBLISHER = fileURLToPath(new URL('../../support/publish.mjs', import.meta.url))
const VTEST = sharedMedia('vtest_tiodh.mp4')
const HEVC = sharedMedia('vtest_hevc_aac_15s.mp4')
const hasFfmpeg = isInstalled('ffmpeg', '-version')

type Expected = { readonly ptsMs: number; readonly isKey: boolean; readonly data: Buffer }

/** The file's samples as FFmpeg reads them, by kind of track; times as FLV rounds them. */
async function demux(path: string): Promise<{ video: Expected[]; audio: Expected[] }> {
  const input = new FormatContext()
  const packet = new Packet()
  packet.alloc()
  await input.openInput(path)
  await input.findStreamInfo()
  const found: { video: Expected[]; audio: Expected[] } = { video: [], audio: [] }
  while ((await input.readFrame(packet)) >= 0) {
    const { codecpar, timeBase } = input.streams[packet.streamIndex]!
    const isVideo = codecpar.width > 0
    found[isVideo ? 'video' : 'audio'].push({
      ptsMs: Math.round((Number(packet.pts) * 1000 * timeBase.num) / timeBase.den),
      isKey: packet.isKeyframe,
      data: Buffer.from(packet.data!),
    })
    packet.unref()
  }
  packet.free()
  await input.closeInput()
  return found
}

async function run(program: string, args: readonly string[]): Promise<number | null> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

const publish = (path: string, url: string, ...more: string[]) =>
  run(process.execPath, [PUBLISHER, path, url, ...more])

type Fixture = Awaited<ReturnType<typeof startFixture>>

/** Every stored sample is one of the file's, byte for byte and at its time, and none is missing. */
async function expectStored(fixture: Fixture, path: string): Promise<void> {
  const { video, audio } = await demux(path)
  const fragments = await fixture.stored()
  const samples = fragments.flatMap((each) => each.samples)
  const start = samples.find((each) => each.trackNumber === 1)!.ptsMs - video[0]!.ptsMs
  for (const [trackNumber, expected] of [
    [1, video],
    [2, audio],
  ] as const) {
    const stored = samples.filter((each) => each.trackNumber === trackNumber)
    expect(stored.length).toBe(expected.length)
    const differing = stored.findIndex(
      (sample, i) =>
        sample.ptsMs - start !== expected[i]!.ptsMs ||
        sample.isKey !== expected[i]!.isKey ||
        !sample.data.equals(expected[i]!.data),
    )
    expect(differing === -1 ? null : [trackNumber, differing, stored[differing]]).toBeNull()
  }
}

describe('FFmpeg 8 publishes', () => {
  test.runIf(VTEST)('H.264 with B-frames and AAC: every sample is stored as it was', async () => {
    const fixture = await startFixture()
    const code = await publish(VTEST!, `rtmp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`)
    expect(code).toBe(0)
    await fixture.event('sessionEnded')

    await expectStored(fixture, VTEST!)
    const fragments = await fixture.stored()
    expect(fragments.length).toBeGreaterThan(5)
    expect(fragments.every(({ samples }) => samples[0]!.isKey)).toBe(true)
    expect(fragments.map(({ fragment }) => fragment.discontinuity).indexOf(true, 1)).toBe(-1)
    expect(fixture.events('samplesDropped')).toEqual([])
    for (const [i, { fragment }] of fragments.entries()) {
      expect(fragment.startsWithKey).toBe(true)
      const next = fragments[i + 1]?.fragment
      if (next === undefined) continue
      // Audio may reach a little over the cut.
      const gap = next.producerTimestamp - (fragment.producerTimestamp + fragment.durationMs)
      expect(Math.abs(gap)).toBeLessThanOrEqual(100)
    }
  })

  test.runIf(VTEST)('in a loop: the second round continues the first', async () => {
    const fixture = await startFixture()
    const url = `rtmp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`
    const code = await publish(VTEST!, url, '--rounds', '2')
    expect(code).toBe(0)
    await fixture.event('sessionEnded')

    const { video } = await demux(VTEST!)
    const fragments = await fixture.stored()
    const stored = fragments.flatMap(({ samples }) => samples.filter((s) => s.trackNumber === 1))
    expect(stored).toHaveLength(2 * video.length)
    expect(fragments.filter(({ fragment }) => fragment.discontinuity)).toHaveLength(1)
  })

  test.runIf(HEVC)('HEVC by FourCC and AAC: every sample is stored as it was', async () => {
    const fixture = await startFixture()
    const code = await publish(HEVC!, `rtmp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`)
    expect(code).toBe(0)
    await fixture.event('sessionEnded')

    await expectStored(fixture, HEVC!)
    const [first] = await fixture.stored()
    expect(first!.tracks).toMatchObject([
      { codecId: 'V_MPEGH/ISO/HEVC', video: { widthPx: 480, heightPx: 360 } },
      { codecId: 'A_AAC' },
    ])
  })

  test.runIf(VTEST)('with a wrong key: it fails and nothing is stored', async () => {
    const fixture = await startFixture()
    const child = spawn(
      process.execPath,
      [PUBLISHER, VTEST!, `rtmp://127.0.0.1:${fixture.port}/live/x?key=wrong`],
      { stdio: 'ignore' },
    )
    const [code] = (await once(child, 'exit')) as [number | null]

    expect(code).not.toBe(0)
    await fixture.event('sessionRefused', { reason: 'unauthorized' })
    expect(await fixture.stored()).toEqual([])
  })

  test.runIf(VTEST)('and is killed: what came before is stored', async () => {
    const fixture = await startFixture()
    const url = `rtmp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`
    const child = spawn(process.execPath, [PUBLISHER, VTEST!, url, '--realtime'], {
      stdio: 'ignore',
    })
    await fixture.event('fragmentPersisted')
    child.kill('SIGKILL')
    await fixture.event('sessionEnded')

    const { video } = await demux(VTEST!)
    const stored = (await fixture.stored()).flatMap(({ samples }) =>
      samples.filter((each) => each.trackNumber === 1),
    )
    expect(stored.length).toBeGreaterThan(19)
    expect(stored.every((sample, i) => sample.data.equals(video[i]!.data))).toBe(true)
  })
})

test.runIf(VTEST && hasFfmpeg)('the ffmpeg command publishes: every sample is stored', async () => {
  const fixture = await startFixture()
  const url = `rtmp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`
  const code = await run('ffmpeg', [
    ...['-v', 'error', '-nostdin', '-i', VTEST!, '-c', 'copy', '-f', 'flv', url],
  ])
  expect(code).toBe(0)
  await fixture.event('sessionEnded')

  await expectStored(fixture, VTEST!)
})

test.runIf(VTEST && hasFfmpeg)(
  "at the pace of a camera: times are the file's, up to now",
  async () => {
    const fixture = await startFixture()
    const url = `rtmp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`
    const code = await run('ffmpeg', [
      ...[
        '-v',
        'error',
        '-nostdin',
        '-re',
        '-t',
        '6',
        '-i',
        VTEST!,
        '-c',
        'copy',
        '-f',
        'flv',
        url,
      ],
    ])
    expect(code).toBe(0)
    await fixture.event('sessionEnded')

    const { video, audio } = await demux(VTEST!)
    const fragments = await fixture.stored()
    const samples = fragments.flatMap((each) => each.samples)
    const start = samples.find((each) => each.trackNumber === 1)!.ptsMs - video[0]!.ptsMs
    for (const [trackNumber, expected] of [
      [1, video],
      [2, audio],
    ] as const) {
      const stored = samples.filter((each) => each.trackNumber === trackNumber)
      const times = stored.map(({ ptsMs }) => ptsMs - start)
      expect(times.length).toBeGreaterThan(40)
      expect(times).toEqual(expected.slice(0, times.length).map(({ ptsMs }) => ptsMs))
    }
    for (const { fragment } of fragments) {
      // Beside the wall, as near as a loaded machine lets its first media come.
      const aheadMs = fragment.producerTimestamp - fragment.serverTimestamp
      expect(Math.abs(aheadMs)).toBeLessThan(5_000)
    }
  },
)
