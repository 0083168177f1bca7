import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, watch } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { closeWhenTestEnds, hasChromium, launchChromium, VIDEO_SUITE } from '../support/chromium.ts'
import { isInstalled } from '../support/installed.ts'
import { scratchDirectory, untilTestEnds } from '../support/scratch.ts'
import { sharedMedia } from '../support/shared-media.ts'
import { fakeState, fakeStream, startFakeService, type FakeState } from './fake-service.ts'

/** Set to a folder to keep pictures of the pages. */
const SCREENSHOTS = process.env.TEST_SCREENSHOTS
const DESKTOP = { width: 1280, height: 800 }
const PHONE = { width: 390, height: 844 }

describe.runIf(hasChromium())('the console in Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
  })

  /** A page whose timers only run when the test says so, with `page.clock`. */
  async function openHeldPage(state: FakeState) {
    return openPage(state, { prepare: (page) => page.clock.install() })
  }

  async function openPage(
    state: FakeState,
    options: {
      path?: string
      viewport?: typeof DESKTOP
      prepare?: (page: Page) => Promise<void>
    } = {},
  ) {
    const service = untilTestEnds(await startFakeService(state))
    const page = await browser.newPage({ viewport: options.viewport ?? DESKTOP })
    await options.prepare?.(page)
    closeWhenTestEnds(page)
    const outside: string[] = []
    const errors: string[] = []
    page.on('request', (request) => {
      if (!/^(blob:|data:)/.test(request.url()) && !request.url().startsWith(service.url)) {
        outside.push(request.url())
      }
    })
    page.on('pageerror', (error) => errors.push(String(error)))
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) errors.push(message.text())
    })
    await page.goto(service.url + (options.path ?? ''))
    return { page, service, outside, errors }
  }

  async function keepPicture(page: Page, name: string): Promise<void> {
    if (SCREENSHOTS === undefined) return
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: false })
  }

  test('shows the streams, the state of each, and asks nobody else', async () => {
    const { page, outside, errors } = await openPage(fakeState())

    await page.getByRole('link', { name: /front-door/ }).waitFor()
    const streams = await page.locator('.stream').allInnerTexts()

    expect(streams[0]).toMatch(/live[^]*H\.264 · 480×360 · 10 fps · 512 kbit\/s/i)
    expect(streams[0]).toContain('5.3 GB kept · 7 days retention')
    expect(streams[1]).toMatch(/idle[^]*Last media 1 h ago/i)
    expect(streams[2]).toContain('No media yet')
    expect(await page.getByText('hook phone: 12 sent').count()).toBe(1)
    expect({ outside, errors }).toEqual({ outside: [], errors: [] })
  })

  test('lists what was seen, with pictures, and plays a moment when asked by keyboard', async () => {
    const { page, service } = await openPage(fakeState())
    const first = page.locator('.sighting').first()
    await first.waitFor()
    await page.locator('.sighting img').first().waitFor()
    const asked = page.waitForRequest(/master\.m3u8\?from=\d+&to=\d+$/)
    const detections = page.waitForRequest(/detections\?stream=front-door&limit=1000&from=/)

    await first.focus()
    await page.keyboard.press('Enter')
    const range = new URL((await asked).url()).searchParams
    await detections

    const [from, to] = [Number(range.get('from')), Number(range.get('to'))]
    expect(to - from).toBeGreaterThan(10_000)
    expect(to - from).toBeLessThan(60_000)
    await page.getByRole('button', { name: 'Back to live' }).click()
    await page.getByRole('button', { name: 'Back to live' }).waitFor({ state: 'detached' })
    expect(service.requests.some((line) => /image\.jpg\?at=\d+&width=240/.test(line))).toBe(true)
  })

  test('says why a pulled camera sends nothing, and when it is called next', async () => {
    const garage = {
      ...fakeStream('garage', 'idle'),
      archive: { chunks: 0, bytes: 0, oldest: null, newest: null },
      source: {
        state: 'waiting' as const,
        nextAttemptAt: new Date(Date.now() + 600_000).toISOString(),
        failedAttempts: 3,
        lastFailure: { reason: 'unauthorised', message: 'Wrong user name or password.' },
      },
    }
    const { page } = await openPage(fakeState({ streams: [garage] }), { path: '#/streams/garage' })

    const notice = page.getByRole('status').filter({ hasText: 'The camera is called' })
    await notice.waitFor()

    expect(await notice.innerText()).toMatch(
      /in (9|10) min\. 3 attempts failed \(unauthorised\): Wrong user name or password\./,
    )
    expect(await page.getByText('Send a file or a camera').count()).toBe(0)
    await keepPicture(page, 'camera-fails-desktop')
  })

  test('an empty service tells how to send the first video', async () => {
    const state = fakeState({ streams: [] })
    const { page } = await openPage(state)

    await page.getByText('Send your first video').waitFor()

    expect(await page.locator('pre').innerText()).toBe(
      'ffmpeg -re -i video.mp4 -c copy -f flv "rtmp://127.0.0.1:1935/live/<stream>?key=<publish key>"',
    )
    await keepPicture(page, 'empty-desktop')
    await page.setViewportSize(PHONE)
    await keepPicture(page, 'empty-phone')
  })

  test('a stream added here shows its key until that is put away', async () => {
    const state = fakeState({ streams: [] })
    const { page } = await openPage(state)

    await page.getByLabel('Name of the new stream').fill('yard')
    await page.keyboard.press('Enter')
    const notice = page.getByRole('status', { name: 'New stream' })
    await notice.getByText('rtmp://127.0.0.1:1935/live/yard?key=made-up-key').waitFor()
    await page.getByRole('link', { name: /yard/ }).waitFor() // the list has it, the key is still there
    await keepPicture(page, 'created-desktop')
    await notice.getByRole('button', { name: 'I have kept the key' }).click()
    await notice.waitFor({ state: 'detached' })

    expect(page.url()).toContain('#/streams/yard')
  })

  test('an idle stream offers its last minute; one without media the command', async () => {
    const { page } = await openPage(fakeState(), { path: '#/streams/parking-lot-north' })
    await page.getByRole('button', { name: 'Play the last minute' }).waitFor()
    await keepPicture(page, 'idle-desktop')

    await page.getByRole('link', { name: /garage/ }).click()
    await page.getByText('Nothing has been sent to this stream yet').waitFor()

    expect(await page.locator('pre').innerText()).toContain('/live/garage?key=')
    await keepPicture(page, 'no-media-desktop')
  })

  test('a service that fails is said to, and the page recovers by itself', async () => {
    const state = fakeState()
    const { page } = await openHeldPage(state)
    await page.getByRole('link', { name: /front-door/ }).waitFor()

    state.isDown = true
    await page.clock.runFor(3_000)
    await page.locator('.banner').getByText('The service is starting.').waitFor()
    expect(await page.locator('.stream').count()).toBe(3) // what was known stays
    await keepPicture(page, 'down-desktop')
    state.isDown = false
    await page.clock.runFor(16_000)

    await page.locator('.banner').waitFor({ state: 'detached' })
  })

  test('asks for the token, says when it is wrong, and goes on when it is right', async () => {
    const { page } = await openPage(fakeState({ adminToken: 'correct-horse-battery' }))
    const token = page.getByLabel('Admin token')

    await token.fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByText('This is not the admin token.').waitFor()
    await keepPicture(page, 'sign-in-desktop')
    await token.fill('correct-horse-battery')
    await page.keyboard.press('Enter')

    await page.getByRole('link', { name: /front-door/ }).waitFor()
  })

  test('fits a phone: nothing is wider than 360 px', async () => {
    const { page } = await openPage(fakeState(), { viewport: { width: 360, height: 740 } })
    await page.locator('.sighting').first().waitFor()

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
  })

  test('stops asking while it is hidden, and goes on when it is not', async () => {
    const { page, service } = await openHeldPage(fakeState())
    await page.locator('.sighting').first().waitFor()
    // Headless pages are always visible: the page is told otherwise in the standard's words.
    const setHidden = (hidden: boolean) =>
      page.evaluate(`
        Object.defineProperty(document, 'hidden', { get: () => ${hidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))`)
    const polls = () => service.requests.filter((line) => line.includes('/control/v1/')).length

    const before = polls()
    await page.clock.runFor(5_000)
    expect(polls()).toBeGreaterThan(before)
    await setHidden(true)
    await page.clock.runFor(1) // a timer that is due already
    const hidden = polls()
    await page.clock.runFor(120_000)
    expect(polls()).toBe(hidden)

    const again = page.waitForRequest(/control\/v1\/streams/)
    await setHidden(false)
    await again
  })

  describe.skipIf(!isInstalled('ffmpeg', '-version'))('with video', VIDEO_SUITE, () => {
    /** A live playlist with wall times, made by FFmpeg from a clip or a test picture. */
    async function startLiveHls(): Promise<string> {
      const directory = await scratchDirectory()
      const clip = sharedMedia('vtest_tiodh.mp4')
      const input =
        clip === null
          ? ['-f', 'lavfi', '-i', 'testsrc=size=480x360:rate=10']
          : ['-stream_loop', '-1', '-i', clip]
      const hls = '-f hls -hls_time 1 -hls_list_size 8 -hls_segment_type fmp4'
      const flags = '-hls_flags program_date_time+omit_endlist -hls_segment_filename'
      const encode = '-an -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10'
      const ffmpeg = spawn(
        'ffmpeg',
        [
          '-v',
          'error',
          '-re',
          ...input,
          ...encode.split(' '),
          ...hls.split(' '),
          ...flags.split(' '),
          's%d.m4s',
          'master.m3u8',
        ],
        { cwd: directory, stdio: 'ignore' },
      )
      onTestFinished(async () => {
        ffmpeg.kill('SIGKILL')
        if (ffmpeg.exitCode === null && ffmpeg.signalCode === null) await once(ffmpeg, 'exit')
      })
      const watcher = watch(directory)
      const ended = once(ffmpeg, 'exit').then(() => Promise.reject(new Error('ffmpeg ended')))
      while (!existsSync(join(directory, 's2.m4s'))) {
        await Promise.race([once(watcher, 'change'), ended])
      }
      ended.catch(() => undefined)
      watcher.close()
      return directory
    }

    test('plays live and draws the boxes of the frame that is shown', async () => {
      const state = fakeState({ hlsDirectory: await startLiveHls() })
      const { page, errors } = await openPage(state)

      // Boxes on the canvas, and the time of the shown frame is the time of the playlist: seconds ago.
      await page.locator('canvas[data-boxes]:not([data-boxes="0"])').waitFor()
      const shown = Date.parse((await page.locator('canvas').getAttribute('data-wall-time'))!)
      const painted = await page.evaluate<boolean>(`(() => {
        const canvas = document.querySelector('canvas')
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
        return data.some((value) => value > 0)
      })()`)

      expect(painted).toBe(true)
      expect(Date.now() - shown).toBeGreaterThan(0)
      expect(Date.now() - shown).toBeLessThan(30_000)
      expect(errors).toEqual([])
      await keepPicture(page, 'live-desktop')
      await page.setViewportSize(PHONE)
      await page.locator('canvas[data-boxes]:not([data-boxes="0"])').waitFor()
      await keepPicture(page, 'live-phone')
      await page.setViewportSize(DESKTOP)
      await page.locator('.sighting').nth(1).click()
      await page.locator('canvas[data-boxes]:not([data-boxes="0"])').waitFor()
      await page.locator('.player video').hover()
      await keepPicture(page, 'archive-desktop')
    })

    test('starts by itself when a stream that had nothing to play comes up', async () => {
      const state = fakeState()
      const { page } = await openPage(state)
      await page.getByText('Nothing to play yet.').waitFor()

      state.hlsDirectory = await startLiveHls()

      await page.locator('.player-note').waitFor({ state: 'detached' })
    })
  })
})
