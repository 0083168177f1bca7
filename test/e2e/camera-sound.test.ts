import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { decodeAac } from '../playback/audio/sound-fixture.ts'
import { demux } from '../playback/support/demux.ts'
import { isInstalled } from '../support/installed.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { freePort, startService, type Service } from '../support/service.ts'

const KEY = 'correct-horse'
const SECONDS = 24
const RATE = 16_000
/** FFmpeg has to encode on a machine that other suites use too. */
const TIMEOUT = { timeout: 120_000 }

describe.runIf(isInstalled('ffmpeg', '-version'))('a camera with G.711', () => {
  test('is heard in HLS: one tone, without a click, over twenty fragments', TIMEOUT, async () => {
    const port = await freePort()
    const service = await startService(await scratchDirectory(), {
      detection: { enabled: false },
      streams: [{ name: 'door', publishKey: KEY }],
      rtsp: { port, udp: false },
      archive: { fragmentTargetMs: 1000 },
    })
    const { master, playlist, played } = await (async () => {
      try {
        return await publishAndPlay(service, `rtsp://door:${KEY}@127.0.0.1:${port}/door`)
      } finally {
        await service.end('SIGTERM')
      }
    })()

    expect(master).toMatch(/CODECS="avc1\.[0-9A-F]{6},mp4a\.40\.2"/)
    expect(playlist.match(/^segment-/gm)!.length).toBeGreaterThanOrEqual(20)
    expect(playlist).not.toContain('#EXT-X-DISCONTINUITY\n')
    const sound = played.packets.filter(
      ({ trackNumber }) => played.tracks[trackNumber - 1]!.kind === 'audio',
    )
    const heard = decodeAac(
      sound.map(({ data }) => data),
      RATE,
    )
    expect(heard.length / RATE).toBeGreaterThan(SECONDS - 2)
    // Half a second in, so that what the encoder begins with is over.
    const tone = heard.subarray(RATE / 2, heard.length - RATE / 2)
    const { ratio, worstStep } = listen(tone, 440)
    expect(ratio).toBeGreaterThan(0.98)
    expect(worstStep).toBeLessThan(0.25)
  })
})

async function publishAndPlay(service: Service, rtspUrl: string) {
  const startMs = Date.now() - 60_000
  await publishTone(rtspUrl)
  await expect
    .poll(() => service.log.some(({ msg }) => msg === 'ingest session ended'), { timeout: 30_000 })
    .toBe(true)
  const range = `from=${startMs}&to=${Date.now() + 600_000}`
  const url = `${service.url}/streams/door/hls/master.m3u8?${range}`
  const master = await (await fetch(url)).text()
  const playlist = await (await fetch(url.replace('master', 'media'))).text()
  return { master, playlist, played: await demux(url) }
}

async function publishTone(url: string): Promise<void> {
  const args = [
    ...'-v error -nostdin -f lavfi -i testsrc2=size=160x120:rate=10'.split(' '),
    ...`-f lavfi -i sine=frequency=440:sample_rate=8000,volume=4 -t ${SECONDS}`.split(' '),
    ...'-c:v libx264 -preset ultrafast -g 10 -pix_fmt yuv420p -c:a pcm_mulaw -ac 1'.split(' '),
    ...['-f', 'rtsp', '-rtsp_transport', 'tcp', url],
  ]
  const child = spawn('ffmpeg', args, { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  expect(code).toBe(0)
}

/**
 * How much of the power is at the frequency, and by how much its phase moves at most from one window of
 * 16 ms to the next beside what it should: a click, a hole or a doubled sample is a step of the phase.
 */
function listen(samples: Float32Array, frequencyHz: number) {
  const window = RATE / 62.5
  let tonePower = 0
  let power = 0
  let worstStep = 0
  let before: number | null = null
  for (let at = 0; at + window <= samples.length; at += window) {
    let [re, im] = [0, 0]
    for (let i = 0; i < window; i++) {
      const angle = (2 * Math.PI * frequencyHz * (at + i)) / RATE
      re += samples[at + i]! * Math.cos(angle)
      im += samples[at + i]! * Math.sin(angle)
      power += samples[at + i]! ** 2
    }
    tonePower += (2 * (re * re + im * im)) / window
    const phase = Math.atan2(im, re)
    const step =
      before === null ? 0 : Math.abs(((phase - before + 3 * Math.PI) % (2 * Math.PI)) - Math.PI)
    worstStep = Math.max(worstStep, step)
    before = phase
  }
  return { ratio: tonePower / power, worstStep }
}
