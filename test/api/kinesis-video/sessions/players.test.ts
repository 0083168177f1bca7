import fastify from 'fastify'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { demux, type DemuxedFile } from '../../../playback/support/demux.ts'
import {
  addPlayerPage,
  playUntil,
  startPlaying,
  startShaka,
} from '../../../playback/support/browser.ts'
import { publishLive } from '../../../playback/support/publish-live.ts'
import { firstGroups, record } from '../../../playback/support/record.ts'
import { closePage, hasChromium, launchChromium, VIDEO_SUITE } from '../../../support/chromium.ts'
import { sharedMedia } from '../../../support/shared-media.ts'
import { runSessions, selector } from './session-fixture.ts'

// The unmodified SDK asks for URLs; players on a page of another origin play them without an error.

const withBFrames = sharedMedia('vtest_tiodh.mp4')
const larger = sharedMedia('mediabunny_video.mp4')
const shortGops = sharedMedia('intel_one-by-one-person-detection.mp4')
const haveMedia = withBFrames !== null && larger !== null && shortGops !== null

const CLEAN = { fatal: [], errors: [] }

describe.skipIf(!hasChromium() || !haveMedia)('players in Chromium', VIDEO_SUITE, () => {
  let browser: Browser
  let camera: DemuxedFile
  beforeAll(async () => {
    browser = await launchChromium()
    camera = firstGroups(await demux(withBFrames!), 2) // 480x360, 16 s
  })
  afterAll(() => browser.close())

  /** A site of its own with the players, in front of the API. */
  async function openSite(path: '/player' | '/shaka') {
    const running = await runSessions()
    const site = fastify()
    addPlayerPage(site)
    const origin = await site.listen({ host: '127.0.0.1', port: 0 })
    const page = await browser.newPage()
    await page.goto(origin + path)
    onTestFinished(async ({ task }) => {
      await closePage(page, task)
      await site.close()
    })
    const { archive, streamId } = running
    const startMs = Date.now() - 3_600_000
    return {
      ...running,
      page,
      startMs,
      store: (file: DemuxedFile, afterMs = 0) =>
        record(file, { archive, streamId, startMs: startMs + afterMs }),
      all: (type: 'PRODUCER_TIMESTAMP' | 'SERVER_TIMESTAMP') =>
        selector(type, startMs, startMs + 1_800_000),
    }
  }

  const hurry = (page: Page) => page.evaluate(`document.querySelector('video').playbackRate = 8`)
  const seek = (page: Page, to: number) =>
    page.evaluate(`document.querySelector('video').currentTime = ${to}`)

  describe('hls.js', () => {
    test.each([
      { ContainerFormat: 'FRAGMENTED_MP4', type: 'PRODUCER_TIMESTAMP' },
      { ContainerFormat: 'MPEG_TS', type: 'PRODUCER_TIMESTAMP' },
      { ContainerFormat: 'FRAGMENTED_MP4', type: 'SERVER_TIMESTAMP' },
      { ContainerFormat: 'MPEG_TS', type: 'SERVER_TIMESTAMP' },
    ] as const)(
      'plays a range, over a hole into another picture size: $ContainerFormat, $type',
      async ({ ContainerFormat, type }) => {
        const { hls, page, store, all } = await openSite('/player')
        await store(camera)
        await store(await demux(larger!), 23_000)

        await startPlaying(
          page,
          await hls({
            PlaybackMode: 'ON_DEMAND',
            ContainerFormat,
            DiscontinuityMode: 'ON_DISCONTINUITY',
            DisplayFragmentTimestamp: 'ALWAYS',
            HLSFragmentSelector: all(type),
          }),
        )
        await playUntil(page, 'r.currentTime > 1')
        await hurry(page)
        const played = await playUntil(page, 'r.ended')

        expect(played).toMatchObject({ ...CLEAN, sizes: ['480x360', '1920x1080'] })
        expect(played.videoFrames).toBeGreaterThan(160)
        expect(played.audioBytes).toBeGreaterThan(100_000)
      },
    )

    test.each(['FRAGMENTED_MP4', 'MPEG_TS'] as const)(
      'plays with a discontinuity at every fragment: %s',
      async (ContainerFormat) => {
        const { hls, page, store, all } = await openSite('/player')
        await store(camera)

        const HLSFragmentSelector = all('SERVER_TIMESTAMP')
        const url = await hls({ PlaybackMode: 'ON_DEMAND', ContainerFormat, HLSFragmentSelector })
        await startPlaying(page, url)
        await playUntil(page, 'r.currentTime > 1')
        await hurry(page)
        const played = await playUntil(page, 'r.ended')

        expect(played).toMatchObject(CLEAN)
        expect(played.videoFrames).toBeGreaterThan(140)
      },
    )

    test('goes to the middle of an hour at once', async () => {
      const { hls, page, store, all } = await openSite('/player')
      const source = await demux(shortGops!)
      const lengthMs = 40_000
      for (let i = 0; i < 40; i++) await store(source, i * lengthMs)

      await startPlaying(
        page,
        await hls({
          PlaybackMode: 'ON_DEMAND',
          MaxMediaPlaylistFragmentResults: 5000,
          HLSFragmentSelector: all('PRODUCER_TIMESTAMP'),
        }),
      )
      await playUntil(page, 'r.videoFrames > 0')
      await seek(page, 1000)
      const played = await playUntil(page, 'r.currentTime > 1001')

      expect(played.fatal).toEqual([])
      expect(played.errors.filter((error) => !error.startsWith('aborted'))).toEqual([]) // its own
    })

    test.each(['FRAGMENTED_MP4', 'MPEG_TS'] as const)(
      'plays live while the camera publishes: %s',
      async (ContainerFormat) => {
        const { hls, page, archive, streamId } = await openSite('/player')
        const source = await demux(shortGops!)
        await using publisher = await publishLive(source, { archive, streamId, beforeMs: 6000 })

        await startPlaying(
          page,
          await hls({
            ContainerFormat,
            DiscontinuityMode: 'ON_DISCONTINUITY',
            DisplayFragmentTimestamp: 'ALWAYS',
            HLSFragmentSelector: { FragmentSelectorType: 'PRODUCER_TIMESTAMP' },
          }),
        )
        const first = await playUntil(page, 'r.videoFrames > 0')
        const later = await playUntil(page, `r.currentTime > ${first.currentTime + 4}`)

        expect(later).toMatchObject({ fatal: [], size: [768, 432] })
        expect(publisher.newestMs - later.playingDate).toBeLessThan(15_000)
      },
    )

    test('waits for a camera that has never published, then plays', async () => {
      const { hls, page, archive, streamId } = await openSite('/player')
      const url = await hls({ DiscontinuityMode: 'ON_DISCONTINUITY' })

      const started = startPlaying(page, url) // resolves when there is something to play
      await page.waitForResponse((response) => response.url().includes('getHLSMediaPlaylist'))
      await page.waitForResponse((response) => response.url().includes('getHLSMediaPlaylist'))
      const waiting = await playUntil(page, 'true')
      const source = await demux(withBFrames!)
      await using _ = await publishLive(source, { archive, streamId, beforeMs: 8000 })
      const played = await playUntil(page, 'r.currentTime > 1 && r.videoFrames > 5')
      await started

      expect(waiting).toMatchObject({ fatal: [], videoFrames: 0 })
      expect(played).toMatchObject({ fatal: [], size: [480, 360] })
    })
  })

  describe('shaka-player', () => {
    test('plays a DASH range, over a hole into another picture size', async () => {
      const { dash, page, store, all } = await openSite('/shaka')
      await store(camera)
      await store(await demux(larger!), 23_000)

      const DASHFragmentSelector = all('PRODUCER_TIMESTAMP')
      await startShaka(page, await dash({ PlaybackMode: 'ON_DEMAND', DASHFragmentSelector }))
      await playUntil(page, 'r.currentTime > 1')
      await hurry(page)
      const played = await playUntil(page, 'r.ended')

      expect(played).toMatchObject({ ...CLEAN, sizes: ['480x360', '1920x1080'] })
      expect(played.videoFrames).toBeGreaterThan(160)
      expect(played.audioBytes).toBeGreaterThan(100_000)
    })

    test.each(['LIVE', 'LIVE_REPLAY'] as const)('plays DASH that grows: %s', async (mode) => {
      const { dash, page, archive, streamId, store, startMs } = await openSite('/shaka')
      const source = await demux(shortGops!)
      if (mode === 'LIVE_REPLAY') await store(source)
      await using _ = await publishLive(source, { archive, streamId, beforeMs: 6000 })

      const range = selector('SERVER_TIMESTAMP', startMs)
      const url = await dash({
        PlaybackMode: mode,
        ...(mode === 'LIVE_REPLAY' && { DASHFragmentSelector: range }),
      })
      await startShaka(page, url)
      const first = await playUntil(page, 'r.videoFrames > 0')
      const later = await playUntil(page, `r.currentTime > ${first.currentTime + 4}`)

      expect(later).toMatchObject({ fatal: [], size: [768, 432] })
    })

    test('plays HLS, too', async () => {
      const { hls, page, store, all } = await openSite('/shaka')
      await store(camera)

      const HLSFragmentSelector = all('PRODUCER_TIMESTAMP')
      await startShaka(page, await hls({ PlaybackMode: 'ON_DEMAND', HLSFragmentSelector }))
      await playUntil(page, 'r.currentTime > 1')
      await hurry(page)
      const played = await playUntil(page, 'r.ended')

      expect(played).toMatchObject(CLEAN)
      expect(played.videoFrames).toBeGreaterThan(140)
    })
  })
})
