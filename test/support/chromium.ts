import { existsSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'
import { onTestFinished, type RunnerTestCase } from 'vitest'

const CHROMIUM = '/usr/bin/chromium'

/** Whether Chromium is there; prints why its tests are skipped when it is not. */
export function hasChromium(): boolean {
  if (existsSync(CHROMIUM)) return true
  console.warn(`skipped: ${CHROMIUM} is not installed`)
  return false
}

/**
 * What a suite that plays video in Chromium is given: pictures are decoded in software on a machine
 * that other suites use too, so a stall of its media pipeline is tried once more before it counts.
 */
export const VIDEO_SUITE = { timeout: 90_000, retry: 1 }

/** Closes the page when the test ends; prints first what its videos were at if it failed. */
export function closeWhenTestEnds(page: Page): void {
  onTestFinished(({ task }) => closePage(page, task))
}

/** The same at once, for an `afterEach` that goes on to close what the page talks to. */
export async function closePage(page: Page, task: Readonly<RunnerTestCase>): Promise<void> {
  if (task.result?.state === 'fail') console.error(await page.evaluate<string>(DESCRIBE_VIDEOS))
  await page.close()
}

const DESCRIBE_VIDEOS = `JSON.stringify([...document.querySelectorAll('video')].map((video) => ({
  currentTime: video.currentTime,
  readyState: video.readyState,
  paused: video.paused,
  error: video.error && video.error.message,
  buffered: Array.from({ length: video.buffered.length }, (_, at) =>
    [video.buffered.start(at), video.buffered.end(at)]),
  canvas: { ...document.querySelector('canvas')?.dataset },
})))`

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage', // containers give little of it, and two suites run side by side
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
    ],
  })
}
