import type { Box, Detection } from '../domain/detection.ts'
import { epochMs, type EpochMs } from '../domain/time.ts'

/** What a hook needs of a detection record (docs/ref/detection-record.md). */
export type DetectionRecordInput = {
  readonly id: string
  readonly streamName: string
  readonly fragmentNumber: string
  readonly frameTimestamp: EpochMs
  readonly serverTimestamp: EpochMs
  readonly detections: readonly Detection[]
  /** A path below the public URL. */
  readonly imageUrl: string
}

/** Keeps a payload far under the 20 KB that Standard Webhooks asks for. */
const MAX_TEXT = 1_024

/**
 * Reads a record of the results stream. Anyone with access may put records there, so everything is
 * checked; fields that are not needed are ignored, which leaves room for newer writers.
 *
 * @returns `null` when it is no detection record of version 1
 */
export function readDetection(data: Uint8Array): DetectionRecordInput | null {
  const record = parseJson(data)
  if (!isObject(record) || record.type !== 'kinora.detection' || record.version !== 1) return null
  const frameTimestamp = readTime(record.frameTimestamp)
  const serverTimestamp = readTime(record.serverTimestamp)
  const { id, streamName, fragmentNumber, imageUrl, detections } = record
  if (frameTimestamp === null || serverTimestamp === null || !Array.isArray(detections)) return null
  if (!isText(id) || !isText(streamName) || !isText(fragmentNumber) || !isText(imageUrl))
    return null
  if (!/^\/(?!\/)/.test(imageUrl)) return null // else it could lead to another host
  const read = detections.map(readOne)
  if (!read.every((detection) => detection !== null)) return null
  return {
    id,
    streamName,
    fragmentNumber,
    frameTimestamp,
    serverTimestamp,
    detections: read,
    imageUrl,
  }
}

function readOne(value: unknown): Detection | null {
  if (!isObject(value) || !isText(value.label) || !isFraction(value.score)) return null
  const { label, score, box } = value
  return isBox(box)
    ? {
        label,
        score,
        box: { left: box.left, top: box.top, width: box.width, height: box.height },
      }
    : null
}

function isBox(value: unknown): value is Box {
  return isObject(value) && [value.left, value.top, value.width, value.height].every(isFraction)
}

function isFraction(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT
}

function readTime(value: unknown): EpochMs | null {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(time) ? null : epochMs(time)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'))
  } catch {
    return null
  }
}
