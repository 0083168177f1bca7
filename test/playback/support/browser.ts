import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'

/** Adds pages with a video element and a player, as a site that embeds our streams would have. */
export function addPlayerPage(fastify: FastifyInstance): void {
  const { resolve } = createRequire(import.meta.url)
  const hlsJs = join(dirname(resolve('hls.js')), 'hls.min.js')
  const shaka = join(dirname(resolve('shaka-player')), 'shaka-player.compiled.js')
  fastify.get('/player/hls.js', (_, reply) =>
    reply.type('text/javascript').send(readFileSync(hlsJs)),
  )
  fastify.get('/player/shaka.js', (_, reply) =>
    reply.type('text/javascript').send(readFileSync(shaka)),
  )
  fastify.get('/shaka', (_, reply) =>
    reply
      .type('text/html')
      .send(
        '<!doctype html><video muted width=320></video><script src="/player/shaka.js"></script>',
      ),
  )
  fastify.get('/player', (_, reply) =>
    reply
      .type('text/html')
      .send('<!doctype html><video muted width=320></video><script src="/player/hls.js"></script>'),
  )
}

/** What the player did until now. */
export type PlayerReport = {
  readonly currentTime: number
  readonly ended: boolean
  readonly size: readonly [widthPx: number, heightPx: number]
  /** Every picture size that was shown, in order. */
  readonly sizes: readonly string[]
  readonly fatal: readonly string[]
  /** Not fatal, and not a mere pause: what a hole in the media or a refused segment causes. */
  readonly errors: readonly string[]
  readonly buffered: readonly (readonly [number, number])[]
  /** Wall time of the picture that is shown, by hls.js from EXT-X-PROGRAM-DATE-TIME. */
  readonly playingDate: number
  readonly audioBytes: number
  readonly videoFrames: number
}

/** Starts to play `url` on a player page. */
export async function startPlaying(page: Page, url: string): Promise<void> {
  await page.evaluate(`(${PLAY})(${JSON.stringify(url)})`)
}

/** The same on a page of shaka-player; its report has no `playingDate`. */
export async function startShaka(page: Page, url: string): Promise<void> {
  await page.evaluate(`(${PLAY_WITH_SHAKA})(${JSON.stringify(url)})`)
}

export function report(page: Page): Promise<PlayerReport> {
  return page.evaluate<PlayerReport>('window.report()')
}

/** Waits until the condition (an expression over `report()` as `r`) holds, or the player fails. */
export async function playUntil(page: Page, condition: string): Promise<PlayerReport> {
  await page
    .waitForFunction(
      `(() => { const r = window.report(); return r.fatal.length > 0 || (${condition}) })()`,
      undefined,
      { timeout: 25_000, polling: 100 },
    )
    .catch(async (error: unknown) => {
      throw new Error(`${condition} never held: ${JSON.stringify(await report(page))}`, {
        cause: error,
      })
    })
  return report(page)
}

const PLAY = `(url) => {
  const video = document.querySelector('video')
  const fatal = [], errors = [], sizes = []
  const hls = new Hls({ enableWorker: false })
  window.hls = hls
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR && !data.fatal) return // slow machine
    (data.fatal ? fatal : errors).push(data.details + ' ' + (data.error?.message ?? ''))
  })
  video.addEventListener('resize', () => sizes.push(video.videoWidth + 'x' + video.videoHeight))
  window.report = () => ({
    currentTime: video.currentTime,
    ended: video.ended,
    size: [video.videoWidth, video.videoHeight],
    sizes, fatal, errors,
    buffered: [...Array(video.buffered.length).keys()].map((i) => [video.buffered.start(i), video.buffered.end(i)]),
    playingDate: hls.playingDate?.getTime() ?? 0,
    audioBytes: video.webkitAudioDecodedByteCount ?? 0,
    videoFrames: video.getVideoPlaybackQuality().totalVideoFrames,
  })
  hls.loadSource(url)
  hls.attachMedia(video)
  return video.play()
}`

const PLAY_WITH_SHAKA = `async (url) => {
  const video = document.querySelector('video')
  const fatal = [], errors = [], sizes = []
  const player = new shaka.Player()
  window.player = player
  const describe = (error) => error.severity + ' ' + error.code + ' ' + JSON.stringify(error.data)
  player.addEventListener('error', ({ detail }) =>
    (detail.severity === 2 ? fatal : errors).push(describe(detail)))
  video.addEventListener('resize', () => sizes.push(video.videoWidth + 'x' + video.videoHeight))
  window.report = () => ({
    currentTime: video.currentTime,
    ended: video.ended,
    size: [video.videoWidth, video.videoHeight],
    sizes, fatal, errors,
    buffered: [...Array(video.buffered.length).keys()].map((i) => [video.buffered.start(i), video.buffered.end(i)]),
    playingDate: 0,
    audioBytes: video.webkitAudioDecodedByteCount ?? 0,
    videoFrames: video.getVideoPlaybackQuality().totalVideoFrames,
  })
  await player.attach(video)
  try { await player.load(url) } catch (error) { fatal.push(describe(error)); return }
  return video.play()
}`
