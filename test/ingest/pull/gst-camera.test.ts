import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hasRtspCamera, startRtspCamera } from '../../support/rtsp-camera.ts'
import { startPull } from './rtsp-pull-fixture.ts'

const CREDENTIALS = { username: 'admin', password: 'secret' }

async function startCamera(options: {
  readonly method?: 'digest' | 'basic'
  readonly pipeline?: string
}) {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const camera = await startRtspCamera({ port, ...CREDENTIALS, method: 'digest', ...options })
  onTestFinished(() => camera.kill())
  return { url: new URL(camera.url), camera }
}

const PICTURES = 'videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1'
const SOUND = 'audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1'
const H264_AND_PCMA =
  `( ${PICTURES} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ` +
  `! rtph264pay name=pay0 pt=96 ${SOUND} ! alawenc ! rtppcmapay name=pay1 pt=8 )`
const HEVC =
  `( ${PICTURES} ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ` +
  '! rtph265pay name=pay0 pt=96 )'

describe.runIf(hasRtspCamera())('gst-rtsp-server is pulled', () => {
  test.each([
    {
      rule: 'H.264 and A-law over TCP, by digest',
      ...{ pipeline: H264_AND_PCMA, transport: 'tcp' as const, method: 'digest' as const },
      tracks: [{ codecId: 'V_MPEG4/ISO/AVC' }, { kind: 'audio' }],
    },
    {
      rule: 'H.264 and A-law over UDP, by basic',
      ...{ pipeline: H264_AND_PCMA, transport: 'udp' as const, method: 'basic' as const },
      tracks: [{ codecId: 'V_MPEG4/ISO/AVC' }, { kind: 'audio' }],
    },
    {
      rule: 'HEVC over TCP, by digest',
      ...{ pipeline: HEVC, transport: 'auto' as const, method: 'digest' as const },
      tracks: [{ codecId: 'V_MPEGH/ISO/HEVC' }],
    },
  ])('$rule: nothing is missing between two fragments', async (row) => {
    const { pipeline, transport, method, tracks } = row
    const { url } = await startCamera({ pipeline, method })
    const pull = await startPull({ url, transport, credentials: CREDENTIALS })
    const live = await pull.publishing.first(() => true)
    await pull.observed.recorder.first(() => pull.events('fragmentPersisted').length >= 2)
    const seen = live.snapshot()
    expect(await pull.stop()).toBeNull()

    expect(seen.transport).toMatchObject({
      lower: transport === 'udp' ? 'udp' : 'tcp',
      packetsLost: 0,
    })
    const fragments = await pull.stored()
    expect(fragments[0]!.tracks).toMatchObject(tracks)
    for (const { fragment, samples } of fragments) {
      expect(fragment.startsWithKey).toBe(true)
      expect(samples[0]).toMatchObject({ trackNumber: 1, isKey: true })
    }
    // The camera's first report may move its times by what the network delayed them at the start.
    for (const [i, { fragment }] of fragments.slice(1).entries()) {
      const before = fragments[i]!.fragment
      const gapMs = fragment.producerTimestamp - before.producerTimestamp - before.durationMs
      expect(Math.abs(gapMs)).toBeLessThan(1_500)
    }
    expect(pull.events('samplesDropped')).toEqual([])
  })

  test('with a wrong password: unauthorised', async () => {
    const { url } = await startCamera({})
    const pull = await startPull({ url, credentials: { ...CREDENTIALS, password: 'wrong' } })
    expect(await pull.ended).toMatchObject({ reason: 'unauthorised' })
  })

  test('and loses its power: peer-closed, and what came is stored', async () => {
    const { url, camera } = await startCamera({})
    const pull = await startPull({ url, credentials: CREDENTIALS })
    await pull.event('fragmentPersisted')
    await camera.kill()

    expect(await pull.ended).toMatchObject({ reason: 'peer-closed' })
    expect((await pull.stored()).length).toBeGreaterThanOrEqual(1)
  })
})
