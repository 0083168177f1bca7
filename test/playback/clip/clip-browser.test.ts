import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { toStreamId } from '../../../src/domain/stream.ts'
import {
  closeWhenTestEnds,
  hasChromium,
  launchChromium,
  VIDEO_SUITE,
} from '../../support/chromium.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { demux, type DemuxedFile } from '../support/demux.ts'
import { firstGroups, record } from '../support/record.ts'
import { openTemporaryArchive, type TemporaryArchive } from '../support/temporary-archive.ts'
import { CLIP_START_MS as START_MS, makeClip } from './clip-fixture.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))

type Seen = {
  readonly duration: number
  readonly error: string | null
  /** What was asked for, where it then stood, and the size of the picture. */
  readonly places: readonly { asked: number; stood: number; size: string; soundBytes: number }[]
}

describe.skipIf(!hasChromium())('Chromium', VIDEO_SUITE, () => {
  let browser: Browser
  let temporary: TemporaryArchive
  let film: DemuxedFile

  beforeAll(async () => {
    browser = await launchChromium()
    temporary = await openTemporaryArchive()
    film = await demux(FIXTURE)
  })
  afterAll(async () => {
    await browser.close()
    await temporary[Symbol.asyncDispose]()
  })

  /** Plays the clip of a stream as a saved file, from several places in turn. */
  async function play(name: string, places: readonly number[]) {
    const clip = await makeClip(temporary.archive, toStreamId(name, 1))
    const server = createServer((request, response) =>
      request.url === '/clip.mp4'
        ? response.writeHead(200, { 'content-type': 'video/mp4' }).end(clip.bytes)
        : response.writeHead(200, { 'content-type': 'text/html' }).end('<video muted></video>'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const page = await browser.newPage()
    closeWhenTestEnds(page)
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const seen = await page.evaluate<Seen>(`(${PLAY})(${JSON.stringify(places)})`)
    return { clip, seen }
  }

  test('plays a clip, knows its length and seeks in it', async () => {
    const streamId = toStreamId('whole', 1)
    await record(film, { archive: temporary.archive, streamId, startMs: START_MS })

    const { clip, seen } = await play('whole', [9, 0, 5.5])

    expect(seen.error).toBeNull()
    expect(seen.duration).toBeCloseTo(clip.durationMs / 1000, 1)
    for (const { asked, stood, size, soundBytes } of seen.places) {
      expect(stood).toBeGreaterThan(asked)
      expect(size).toBe('640x360')
      expect(soundBytes).toBeGreaterThan(0)
    }
  })

  test('plays on where parameter sets change, and after a seek to either side', async () => {
    const other = sharedMedia('mediabunny_video.mp4')
    if (other === null) return
    const streamId = toStreamId('changing', 1)
    const small = firstGroups(film, 2)
    const large = firstGroups(await demux(other), 1)
    const { archive } = temporary
    await record(small, { archive, streamId, startMs: START_MS })
    await record(large, { archive, streamId, startMs: START_MS + 60_000 })

    const { seen } = await play('changing', [4.5, 1, 4.5])

    expect(seen.error).toBeNull()
    expect(seen.places.map(({ size }) => size)).toEqual(['1920x1080', '640x360', '1920x1080'])
  })
})

const PLAY = `async (places) => {
  const bytes = await (await fetch('/clip.mp4')).blob()
  const video = document.querySelector('video')
  video.src = URL.createObjectURL(bytes)
  const once = (name) => new Promise((resolve) => {
    video.addEventListener(name, resolve, { once: true })
    video.addEventListener('error', resolve, { once: true })
  })
  await once('loadedmetadata')
  const seen = { duration: video.duration, error: null, places: [] }
  for (const asked of places) {
    if (video.error) break
    video.pause()
    video.currentTime = asked
    await once('seeked')
    await video.play()
    while (!video.error && !video.ended && video.currentTime < asked + 0.4) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    seen.places.push({
      asked,
      stood: video.currentTime,
      size: video.videoWidth + 'x' + video.videoHeight,
      soundBytes: video.webkitAudioDecodedByteCount,
    })
  }
  seen.error = video.error && video.error.message
  return seen
}`
