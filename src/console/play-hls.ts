import Hls, { ErrorTypes, Events } from 'hls.js'
import { toRetryDelayMs } from './backoff.ts'

export type PlaybackState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'playing' }
  /** Nothing to play now; it is tried again. */
  | { readonly kind: 'waiting'; readonly reason: string }
  | { readonly kind: 'unsupported' }

export type Playback = {
  /** Wall time of a media time of the video element; `null` before it is known. */
  readonly toWallMs: (mediaSeconds: number) => number | null
  readonly stop: () => void
}

/** Little ahead for live, so that a viewer is a few seconds behind; a minute back for rewinding. */
const LIVE_BUFFERS = {
  liveSyncDurationCount: 2,
  liveMaxLatencyDurationCount: 6,
  maxBufferLength: 12,
  maxMaxBufferLength: 20,
  backBufferLength: 60,
}
const ARCHIVE_BUFFERS = { maxBufferLength: 30, backBufferLength: 60 }
const FIRST_RETRY_MS = 1_000

/**
 * Plays an HLS playlist in a video element until stopped. It never gives up: media errors are
 * recovered from, and when the playlist fails (an idle stream, a restart) it is loaded again, later
 * and later.
 */
export function playHls(
  video: HTMLVideoElement,
  options: {
    readonly url: string
    readonly isLive: boolean
    readonly onState: (state: PlaybackState) => void
  },
): Playback {
  if (!Hls.isSupported()) return playNatively(video, options)
  let hls: Hls | null = null
  let timer: number | undefined
  let failures = 0
  let mediaErrors = 0

  const start = () => {
    hls?.destroy()
    mediaErrors = 0
    hls = new Hls({
      ...(options.isLive ? LIVE_BUFFERS : ARCHIVE_BUFFERS),
      lowLatencyMode: false,
      startPosition: options.isLive ? -1 : 0,
    })
    hls.on(Events.ERROR, (_event, { fatal, type, details, response }) => {
      if (!fatal) return
      if (type === ErrorTypes.MEDIA_ERROR && mediaErrors++ < 3) hls?.recoverMediaError()
      else startLater(response?.code === 404 ? 'Nothing to play yet.' : describeProblem(details))
    })
    hls.on(Events.FRAG_BUFFERED, () => {
      failures = 0
      options.onState({ kind: 'playing' })
    })
    hls.on(Events.MANIFEST_PARSED, () => {
      void video.play().catch(() => undefined) // not allowed before a click: the controls are there
    })
    hls.loadSource(options.url)
    hls.attachMedia(video)
  }
  const startLater = (reason: string) => {
    hls?.destroy()
    hls = null
    options.onState({ kind: 'waiting', reason })
    timer = window.setTimeout(start, toRetryDelayMs(FIRST_RETRY_MS, failures++))
  }

  options.onState({ kind: 'loading' })
  start()
  return {
    toWallMs: (mediaSeconds) => {
      const playing = hls?.playingDate
      if (playing === null || playing === undefined) return null
      return playing.getTime() + (mediaSeconds - video.currentTime) * 1_000
    },
    stop: () => {
      window.clearTimeout(timer)
      hls?.destroy()
    },
  }
}

/** Browsers without Media Source Extensions (iPhones) play HLS themselves. */
function playNatively(
  video: HTMLVideoElement,
  { url, onState }: { url: string; onState: (state: PlaybackState) => void },
): Playback {
  if (video.canPlayType('application/vnd.apple.mpegurl') === '') {
    onState({ kind: 'unsupported' })
    return { toWallMs: () => null, stop: () => undefined }
  }
  const onPlaying = () => onState({ kind: 'playing' })
  video.addEventListener('playing', onPlaying)
  video.src = url
  return {
    // WebKit's own name for the playlist's EXT-X-PROGRAM-DATE-TIME at media time 0.
    toWallMs: (mediaSeconds) => {
      const startDate = (video as { getStartDate?: () => Date }).getStartDate?.()
      const startMs = startDate?.getTime() ?? Number.NaN
      return Number.isNaN(startMs) ? null : startMs + mediaSeconds * 1_000
    },
    stop: () => {
      video.removeEventListener('playing', onPlaying)
      video.removeAttribute('src')
      video.load()
    },
  }
}

function describeProblem(details: string): string {
  return `The video cannot be loaded (${details}). Trying again.`
}
