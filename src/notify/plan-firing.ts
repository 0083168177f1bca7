import { createHash } from 'node:crypto'
import type { Box, Detection } from '../domain/detection.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Hook } from './hook.ts'
import type { DetectionRecordInput } from './read-detection.ts'

/** The frame that a hook last fired for, per stream and label. Kept with the delivery it made. */
export type LastFired = {
  readonly serverTimestamp: EpochMs
  readonly frameTimestamp: EpochMs
}

/** The body of a webhook (Standard Webhooks 1.0.0, "Payload structure"). */
export type HookPayload = {
  readonly type: 'kinora.detection'
  readonly timestamp: string
  readonly data: {
    readonly streamName: string
    readonly label: string
    readonly score: number
    readonly box: Box
    readonly frameTimestamp: string
    readonly fragmentNumber: string
    readonly imageUrl: string
    readonly recordId: string
  }
}

export type Firing = {
  readonly deliveryId: string
  readonly label: string
  readonly payload: HookPayload
  readonly fired: LastFired
}

/**
 * Decides what a hook says about a record: the best detection of each label that it wants and that
 * is not cooling down. Pure.
 *
 * A record that is not later than the last fired one is a repetition (a crash between publishing
 * and checkpoint, here or in the detection consumer) and fires nothing. Order is that of arrival:
 * the fragment's server timestamp, then the frame's. The cooldown counts the frames' own time; a
 * producer whose clock was set back does not fall silent until it catches up.
 *
 * @param lastFired `null` when it never fired for the label
 */
export function planFiring(
  record: DetectionRecordInput,
  hook: Hook,
  lastFired: (label: string) => LastFired | null,
  options: { readonly now: EpochMs; readonly publicUrl: string },
): Firing[] {
  if (hook.streams !== null && !hook.streams.has(record.streamName)) return []
  const best = new Map<string, Detection>()
  for (const detection of record.detections) {
    if (hook.labels !== null && !hook.labels.has(detection.label)) continue
    if (detection.score < hook.minScore) continue
    const known = best.get(detection.label)
    if (known === undefined || detection.score > known.score) best.set(detection.label, detection)
  }
  return [...best.values()]
    .filter(({ label }) => isDue(record, lastFired(label), hook.cooldownMs, options.now))
    .map((detection) => toFiring(record, hook, detection, options.publicUrl))
}

function isDue(
  record: DetectionRecordInput,
  last: LastFired | null,
  cooldownMs: number,
  now: EpochMs,
): boolean {
  if (last === null) return true
  // From our future: our own clock was set back, and the row says nothing about order any more.
  if (last.serverTimestamp > now) return true
  const sinceArrival = record.serverTimestamp - last.serverTimestamp
  const sinceFrame = record.frameTimestamp - last.frameTimestamp
  const isRepeated = sinceArrival < 0 || (sinceArrival === 0 && sinceFrame <= 0)
  if (isRepeated) return false
  return sinceFrame < 0 || sinceFrame >= cooldownMs
}

function toFiring(
  record: DetectionRecordInput,
  hook: Hook,
  { label, score, box }: Detection,
  publicUrl: string,
): Firing {
  const frameTimestamp = new Date(record.frameTimestamp).toISOString()
  return {
    deliveryId: toDeliveryId(record.id, hook.name, label),
    label,
    payload: {
      type: 'kinora.detection',
      timestamp: frameTimestamp,
      data: {
        streamName: record.streamName,
        label,
        score,
        box,
        frameTimestamp,
        fragmentNumber: record.fragmentNumber,
        imageUrl: publicUrl.replace(/\/+$/, '') + record.imageUrl,
        recordId: record.id,
      },
    },
    fired: { serverTimestamp: record.serverTimestamp, frameTimestamp: record.frameTimestamp },
  }
}

/** The receiver's idempotency key: the same for the same event whenever and however often sent. */
function toDeliveryId(recordId: string, hookName: string, label: string): string {
  const digest = createHash('sha256').update(JSON.stringify([recordId, hookName, label]))
  return `msg_${digest.digest('base64url').slice(0, 27)}`
}
