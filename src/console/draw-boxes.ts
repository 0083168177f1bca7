import { toHue, toPictureArea, type VisibleBoxes } from './boxes.ts'
import { formatScore } from './format.ts'

/** Draws boxes with label and score over a video; clears the canvas first. */
export function drawBoxes(
  canvas: HTMLCanvasElement,
  video: HTMLVideoElement,
  { detections, opacity }: VisibleBoxes,
): void {
  const ratio = window.devicePixelRatio || 1
  const { clientWidth: width, clientHeight: height } = canvas
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio)
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio)
  const context = canvas.getContext('2d')
  if (context === null) return
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, width, height)
  if (detections.length === 0) return

  const area = toPictureArea(
    { width, height },
    { width: video.videoWidth, height: video.videoHeight },
  )
  context.globalAlpha = opacity
  context.lineWidth = 2
  context.font = '600 12px system-ui, sans-serif'
  context.textBaseline = 'middle'
  for (const { label, score, box } of detections) {
    const x = area.x + box.left * area.width
    const y = area.y + box.top * area.height
    const color = `hsl(${toHue(label)} 90% 62%)`
    context.strokeStyle = color
    context.strokeRect(x, y, box.width * area.width, box.height * area.height)

    const text = `${label} ${formatScore(score)}`
    const tagWidth = context.measureText(text).width + 10
    const tagX = Math.max(area.x, Math.min(x - 1, area.x + area.width - tagWidth))
    const tagY = y >= area.y + 18 ? y - 18 : y
    context.fillStyle = color
    context.fillRect(tagX, tagY, tagWidth, 18)
    context.fillStyle = '#08111b'
    context.fillText(text, tagX + 5, tagY + 9.5)
  }
}
