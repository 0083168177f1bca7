import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { isInstalled } from '../support/installed.ts'
import { sharedMedia } from '../support/shared-media.ts'
import { KEY, startFixture } from './rtsp/rtsp-fixture.ts'

const VTEST = sharedMedia('vtest_tiodh.mp4')

/** RTP times its tracks each from a zero of its own: only the reports say how they lie. */
test.runIf(VTEST && isInstalled('ffmpeg', '-version'))(
  'ffmpeg over RTSP: its reports place both tracks, in one line and beside the wall',
  async () => {
    const fixture = await startFixture()
    const url = `rtsp://x:${KEY}@127.0.0.1:${fixture.port}/live/x`
    const args = ['-v', 'error', '-nostdin', '-re', '-t', '12', '-i', VTEST!, '-c', 'copy']
    const child = spawn('ffmpeg', [...args, '-rtsp_transport', 'tcp', '-f', 'rtsp', url])
    const exited = once(child, 'exit')
    await fixture.event('fragmentPersisted')
    const [session] = fixture.sessions.list()
    await exited
    await fixture.event('sessionEnded')
    const fragments = await fixture.stored()

    const samples = fragments.flatMap((each) => each.samples)
    const timesOf = (trackNumber: number) => {
      const track = samples.filter((each) => each.trackNumber === trackNumber)
      return track.map(({ ptsMs }) => ptsMs - samples[0]!.ptsMs)
    }
    const [video, audio] = [timesOf(1), timesOf(2)]

    // The file's first picture and its first sound are at 0; B-frames come behind what they need.
    expect(video.slice(0, 4)).toEqual([0, 300, 100, 200])
    const off = audio.map((ms, i) => Math.abs(ms - (i * 1024 * 1000) / 44_100))
    expect(audio.length).toBeGreaterThan(200)
    expect(Math.max(...off)).toBeLessThanOrEqual(3)
    expect(fragments.filter(({ fragment }) => fragment.discontinuity)).toHaveLength(1)
    expect(session!.clock!.source).toBe('sender-report')
  },
)
