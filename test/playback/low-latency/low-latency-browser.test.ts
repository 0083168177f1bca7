import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { toStreamId } from '../../../src/domain/stream.ts'
import { closePage, hasChromium, launchChromium, VIDEO_SUITE } from '../../support/chromium.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { addPlayerPage, playUntil, startPlaying } from '../support/browser.ts'
import { demux } from '../support/demux.ts'
import { GrowingCamera } from '../support/growing-camera.ts'
import { servePlayback, type ServedPlayback } from '../support/serve.ts'
import { openTemporaryArchive, type TemporaryArchive } from '../support/temporary-archive.ts'

// What hls.js does with low latency: it reloads by part, stays near the end and does not stall.

const shortGops = sharedMedia('intel_one-by-one-person-detection.mp4')
const streamId = toStreamId('camera', 0)

describe.skipIf(!hasChromium() || shortGops === null)('hls.js by parts', VIDEO_SUITE, () => {
  let browser: Browser
  let storage: TemporaryArchive
  let served: ServedPlayback
  let page: Page
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser.close())
  beforeEach(async () => {
    storage = await openTemporaryArchive()
    served = await servePlayback({
      archive: storage.archive,
      streamId,
      prepare: addPlayerPage,
    })
    page = await browser.newPage()
    await page.goto(new URL('/player', served.baseUrl).href)
  })
  afterEach(async ({ task }) => {
    await closePage(page, task)
    await served[Symbol.asyncDispose]()
    await storage[Symbol.asyncDispose]()
  })

  test('plays live, asks for parts and waits for them', async () => {
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).href))
    const file = await demux(shortGops!)
    const beforeMs = 8000
    const startMs = Date.now() - beforeMs
    await using camera = await GrowingCamera.open(file, {
      archive: storage.archive,
      streamId,
      startMs,
    })
    const past = camera.groups.filter((group) => group.at(-1)!.dtsMs < beforeMs - 1000)
    await camera.store(past)
    const stop = new AbortController()
    const live = camera.live(camera.groups.slice(past.length), stop.signal).catch(() => undefined)

    await startPlaying(page, `${served.baseUrl}low-latency.m3u8`)
    const first = await playUntil(page, 'r.videoFrames > 0')
    const later = await playUntil(page, `r.currentTime > ${first.currentTime + 8}`)
    const latencyMs = Date.now() - later.playingDate
    stop.abort()
    await live

    expect(later.fatal).toEqual([])
    expect(asked.some((url) => /_HLS_msn=\d+&_HLS_part=\d+/.test(url))).toBe(true)
    expect(asked.filter((url) => /\/part-\d+-\d+\.m4s$/.test(url)).length).toBeGreaterThan(3)
    console.log(
      `hls.js: ${latencyMs} ms behind the camera, errors: ${later.errors.join(', ') || 'none'}`,
    )
  })
})
