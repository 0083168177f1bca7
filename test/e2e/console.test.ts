import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeWhenTestEnds, hasChromium, launchChromium, VIDEO_SUITE } from '../support/chromium.ts'
import { publishWithFfmpeg, ROOT, startService, type Service } from '../support/service.ts'

// The console of the running service in a real browser: nothing between them is made up.

const KEY = 'test-publish-key'

describe.runIf(hasChromium())('the console, in Chromium, on the real service', VIDEO_SUITE, () => {
  let directory: string
  let service: Service
  let publisher: ReturnType<typeof publishWithFfmpeg>
  let browser: Awaited<ReturnType<typeof launchChromium>>

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kinora-console-'))
    service = await startService(directory, { streams: [{ name: 'yard', publishKey: KEY }] })
    publisher = publishWithFfmpeg({
      path: join(ROOT, 'fixtures/moving-shapes.mp4'),
      url: `${service.rtmpUrl}/yard?key=${KEY}`,
      seconds: 120,
      pace: 'realtime',
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    publisher?.process.kill('SIGKILL')
    await publisher?.ended
    await service?.end('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  })

  test('shows the stream live with boxes over it, and lists detections that play', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
    closeWhenTestEnds(page)
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    await page.goto(service.url)

    await page.getByRole('link', { name: /yard/ }).waitFor()
    const ofVideo = (property: string) =>
      page.evaluate<number>(`document.querySelector('.player video')?.${property}`)
    await expect.poll(() => ofVideo('videoWidth'), { timeout: 20_000 }).toBe(640)
    const startedAt = await ofVideo('currentTime')
    await page.locator('canvas[data-boxes]:not([data-boxes="0"])').waitFor({ timeout: 20_000 })
    const lag =
      Date.now() - Date.parse((await page.locator('canvas').getAttribute('data-wall-time'))!)
    expect(lag).toBeGreaterThan(0)
    expect(lag).toBeLessThan(20_000)
    expect(await ofVideo('currentTime')).toBeGreaterThan(startedAt)

    await page.locator('.sighting img').first().waitFor()
    await expect
      .poll(() => page.evaluate("document.querySelector('.sighting img').naturalWidth"))
      .toBeGreaterThan(100)
    await page.locator('.sighting').first().click()
    await page.getByRole('button', { name: 'Back to live' }).waitFor()
    await page.locator('canvas[data-boxes]:not([data-boxes="0"])').waitFor({ timeout: 20_000 })
    await page.getByRole('button', { name: 'Back to live' }).click()
    await page.getByRole('button', { name: 'Back to live' }).waitFor({ state: 'detached' })

    expect(errors).toEqual([])
  })
})
