import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Archive } from '../../src/archive/index.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { sharedMedia } from '../support/shared-media.ts'
import { closePage, hasChromium, launchChromium, VIDEO_SUITE } from '../support/chromium.ts'
import { addPlayerPage, playUntil, startPlaying } from './support/browser.ts'
import { demux, type DemuxedFile } from './support/demux.ts'
import { publishLive } from './support/publish-live.ts'
import { firstGroups, record, without } from './support/record.ts'
import { servePlayback, type ServedPlayback } from './support/serve.ts'
import { openTemporaryArchive, type TemporaryArchive } from './support/temporary-archive.ts'

// Everything here plays in the browser through hls.js, and hls.js has nothing to complain about.

const withBFrames = sharedMedia('vtest_tiodh.mp4')
const larger = sharedMedia('mediabunny_video.mp4')
const shortGops = sharedMedia('intel_one-by-one-person-detection.mp4')
const haveMedia = withBFrames !== null && larger !== null && shortGops !== null

const streamId = toStreamId('camera', 0)
const START = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const ALL = `?from=${START}&to=${START + 3600_000}`

describe.skipIf(!hasChromium() || !haveMedia)('hls.js in Chromium', VIDEO_SUITE, () => {
  let browser: Browser
  let camera: DemuxedFile
  let storage: TemporaryArchive
  let archive: Archive
  let served: ServedPlayback
  let page: Page
  beforeAll(async () => {
    browser = await launchChromium()
    camera = firstGroups(await demux(withBFrames!), 2) // 480x360, 16 s
  })
  afterAll(() => browser.close())
  beforeEach(async () => {
    storage = await openTemporaryArchive()
    archive = storage.archive
    served = await servePlayback({ archive, streamId, prepare: addPlayerPage })
    page = await browser.newPage()
    await page.goto(new URL('/player', served.baseUrl).href)
  })
  afterEach(async ({ task }) => {
    await closePage(page, task)
    await served[Symbol.asyncDispose]()
    await storage[Symbol.asyncDispose]()
  })

  const playRange = () => startPlaying(page, `${served.baseUrl}master.m3u8${ALL}`)
  const hurry = () => page.evaluate(`document.querySelector('video').playbackRate = 8`)
  const clean = { fatal: [], errors: [] }

  test('plays a range with B-frames and sound, in time with the wall', async () => {
    await record(camera, { archive, streamId, startMs: START })

    await playRange()
    const early = await playUntil(page, 'r.currentTime > 2')
    await hurry()
    const late = await playUntil(page, 'r.ended')

    expect(early).toMatchObject({ ...clean, size: [480, 360], buffered: [[0, expect.any(Number)]] })
    expect(Math.abs(early.playingDate - (START + early.currentTime * 1000))).toBeLessThan(5)
    expect(late).toMatchObject({ ...clean, buffered: [[0, 16]] })
    expect(late.videoFrames).toBeGreaterThan(150) // of 160; a busy machine may drop some
    expect(late.audioBytes).toBeGreaterThan(100_000)
  })

  test('goes over a hole of seven seconds into another picture size', async () => {
    await record(camera, { archive, streamId, startMs: START })
    await record(await demux(larger!), { archive, streamId, startMs: START + 23_000 })

    await playRange()
    await hurry()
    const played = await playUntil(page, 'r.ended')

    expect(played).toMatchObject({ ...clean, sizes: ['480x360', '1920x1080'] })
    expect(played.buffered).toHaveLength(1)
    expect(played.videoFrames).toBeGreaterThan(160)
    expect(played.playingDate).toBeGreaterThan(START + 23_000 + 4900)
  })

  test('goes on through fragments without sound', async () => {
    const silent = { tracks: camera.tracks, packets: without('audio', camera).packets }
    await record(camera, { archive, streamId, startMs: START })
    await record(silent, { archive, streamId, startMs: START + 16_000 })
    await record(camera, { archive, streamId, startMs: START + 32_000 })

    await playRange()
    await hurry()
    const played = await playUntil(page, 'r.ended')

    expect(played).toMatchObject(clean)
    expect(played.videoFrames).toBeGreaterThan(450) // of 480
    expect(played.buffered).toHaveLength(1)
  })

  test('plays sound alone', async () => {
    await record(without('video', camera), { archive, streamId, startMs: START })

    await playRange()
    await hurry()
    const played = await playUntil(page, 'r.ended')

    expect(played).toMatchObject({ ...clean, videoFrames: 0 })
    expect(played.audioBytes).toBeGreaterThan(100_000)
  })

  test('plays pictures alone, and again what it jumped over', async () => {
    await record(without('audio', camera), { archive, streamId, startMs: START })

    await playRange()
    await playUntil(page, 'r.videoFrames > 0')
    await page.evaluate(`document.querySelector('video').currentTime = 12`)
    await playUntil(page, 'r.currentTime > 12.2')
    await page.evaluate(`document.querySelector('video').currentTime = 1`)
    await hurry()
    const played = await playUntil(page, 'r.ended')

    expect(played).toMatchObject({ ...clean, buffered: [[0, 16]], size: [480, 360] })
  })

  test('plays live near the edge while the camera publishes', async () => {
    const source = await demux(shortGops!) // GOPs of a second
    await using publisher = await publishLive(source, { archive, streamId, beforeMs: 6000 })

    await startPlaying(page, `${served.baseUrl}master.m3u8`)
    const first = await playUntil(page, 'r.videoFrames > 0')
    const later = await playUntil(page, `r.currentTime > ${first.currentTime + 4}`)

    expect(later).toMatchObject({ fatal: [], size: [768, 432] })
    expect(publisher.newestMs - later.playingDate).toBeLessThan(6000)
  })
})
