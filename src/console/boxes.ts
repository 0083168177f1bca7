import type { Detection, DetectionRecord } from './api-types.ts'

/** Boxes stay this long after their frame when nothing newer came, and fade in the second half. */
export const BOX_LIFE_MS = 600
/** The presented time and a record's time are rounded differently. */
const TOLERANCE_MS = 45

export type VisibleBoxes = {
  readonly detections: readonly Detection[]
  /** 0..1 */
  readonly opacity: number
}

/**
 * The boxes to draw over the frame that is presented at `wallMs`: those of the latest record that is
 * not after it, while that is fresh.
 *
 * @param records of one stream, newest first
 */
export function toVisibleBoxes(records: readonly DetectionRecord[], wallMs: number): VisibleBoxes {
  const record = records.find(
    ({ frameTimestamp }) => Date.parse(frameTimestamp) <= wallMs + TOLERANCE_MS,
  )
  const ageMs = record === undefined ? Infinity : wallMs - Date.parse(record.frameTimestamp)
  if (record === undefined || ageMs > BOX_LIFE_MS) return { detections: [], opacity: 0 }
  const fading = (ageMs - BOX_LIFE_MS / 2) / (BOX_LIFE_MS / 2)
  return { detections: record.detections, opacity: 1 - Math.max(0, fading) * 0.9 }
}

export type Rectangle = {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Where `object-fit: contain` puts a picture inside an element. */
export function toPictureArea(
  element: { readonly width: number; readonly height: number },
  picture: { readonly width: number; readonly height: number },
): Rectangle {
  if (picture.width === 0 || picture.height === 0) return { x: 0, y: 0, width: 0, height: 0 }
  const scale = Math.min(element.width / picture.width, element.height / picture.height)
  const width = picture.width * scale
  const height = picture.height * scale
  return { x: (element.width - width) / 2, y: (element.height - height) / 2, width, height }
}

/** A hue that belongs to the label, the same on every visit. */
export function toHue(label: string): number {
  const known: Record<string, number> = { person: 199, motion: 43, car: 140, truck: 95, dog: 320 }
  let hash = 0
  for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)!) % 360
  return known[label] ?? hash
}
