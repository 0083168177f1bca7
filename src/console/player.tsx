import { useEffect, useRef, useState } from 'react'
import type { DetectionRecord } from './api-types.ts'
import { toVisibleBoxes } from './boxes.ts'
import { drawBoxes } from './draw-boxes.ts'
import { playHls, type Playback, type PlaybackState } from './play-hls.ts'

/** A video with the boxes of the frame that is being shown drawn over it. */
export function Player(props: {
  readonly url: string
  readonly isLive: boolean
  readonly label: string
  /** Of this stream, newest first. */
  readonly records: readonly DetectionRecord[]
  /** Its camera is known to be away: that there is nothing to play is no news. */
  readonly isIdle: boolean
}) {
  const { url, isLive } = props
  const frame = useRef<HTMLDivElement>(null)
  const video = useRef<HTMLVideoElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const records = useRef(props.records)
  const [state, setState] = useState<PlaybackState>({ kind: 'loading' })
  const [showsBoxes, setShowsBoxes] = useState(true)
  const [shape, setShape] = useState('16 / 9')
  const boxesWanted = useRef(showsBoxes)
  useEffect(() => {
    records.current = props.records
    boxesWanted.current = showsBoxes
  })

  useEffect(() => {
    const element = video.current!
    const playback = playHls(element, { url, isLive, onState: setState })
    const stopDrawing = drawEveryFrame(element, (mediaSeconds) => {
      drawAt(canvas.current, element, playback, mediaSeconds, {
        records: boxesWanted.current ? records.current : [],
      })
    })
    return () => {
      stopDrawing()
      playback.stop()
    }
  }, [url, isLive])

  const toggleFullscreen = () => {
    if (document.fullscreenElement !== null) void document.exitFullscreen()
    else void frame.current?.requestFullscreen?.()
  }

  return (
    <div className="player" ref={frame} style={{ aspectRatio: shape }}>
      <video
        ref={video}
        aria-label={props.label}
        controls={state.kind === 'playing'}
        onResize={({ currentTarget: { videoWidth, videoHeight } }) => {
          if (videoWidth > 0) setShape(`${videoWidth} / ${videoHeight}`)
        }}
        controlsList="nofullscreen nodownload noremoteplayback"
        disablePictureInPicture
        muted
        playsInline
        autoPlay
      />
      <canvas ref={canvas} aria-hidden="true" />
      <div className="player-tools">
        <button type="button" aria-pressed={showsBoxes} onClick={() => setShowsBoxes(!showsBoxes)}>
          Boxes
        </button>
        <button type="button" onClick={toggleFullscreen}>
          Full screen
        </button>
      </div>
      {state.kind !== 'playing' && (
        <p className="player-note" role="status">
          {state.kind === 'waiting' && props.isIdle ? 'No live video now.' : describeState(state)}
        </p>
      )}
    </div>
  )
}

function describeState(state: PlaybackState): string {
  switch (state.kind) {
    case 'loading':
      return 'Loading …'
    case 'waiting':
      return state.reason
    case 'unsupported':
      return 'This browser cannot play HLS.'
    case 'playing':
      return ''
  }
}

/** Calls back with the media time of every presented frame; returns how to stop. */
function drawEveryFrame(
  element: HTMLVideoElement,
  draw: (mediaSeconds: number) => void,
): () => void {
  if (!('requestVideoFrameCallback' in HTMLVideoElement.prototype)) {
    let handle = 0
    const next = () => {
      draw(element.currentTime)
      handle = requestAnimationFrame(next)
    }
    next()
    return () => cancelAnimationFrame(handle)
  }
  let handle = 0
  const next = (_now: number, { mediaTime }: { readonly mediaTime: number }) => {
    draw(mediaTime)
    handle = element.requestVideoFrameCallback(next)
  }
  handle = element.requestVideoFrameCallback(next)
  const redraw = () => draw(element.currentTime) // paused: no frames come
  const timer = window.setInterval(() => element.paused && redraw(), 250)
  element.addEventListener('seeked', redraw)
  return () => {
    element.cancelVideoFrameCallback(handle)
    window.clearInterval(timer)
    element.removeEventListener('seeked', redraw)
  }
}

function drawAt(
  canvas: HTMLCanvasElement | null,
  video: HTMLVideoElement,
  playback: Playback,
  mediaSeconds: number,
  { records }: { readonly records: readonly DetectionRecord[] },
): void {
  if (canvas === null) return
  const wallMs = playback.toWallMs(mediaSeconds)
  const boxes = wallMs === null ? { detections: [], opacity: 0 } : toVisibleBoxes(records, wallMs)
  drawBoxes(canvas, video, boxes)
  // For people who look closer, and for tests: what is on the picture and when it was taken.
  canvas.dataset.wallTime = wallMs === null ? '' : new Date(wallMs).toISOString()
  canvas.dataset.boxes = String(boxes.detections.length)
}
