import type { DetectionRecord } from './api-types.ts'

/** One label seen on one stream without a long break: what a person calls one thing that happened. */
export type Sighting = {
  /** Stays the same while the sighting goes on. */
  readonly key: string
  readonly streamName: string
  readonly label: string
  readonly fromMs: number
  readonly toMs: number
  readonly bestScore: number
  readonly bestMs: number
  readonly frames: number
}

/**
 * Joins the records of single frames to sightings.
 *
 * @param records in any order
 * @param gapMs a longer break starts another sighting
 * @returns the one that was last seen first
 */
export function toSightings(records: readonly DetectionRecord[], gapMs = 2_000): Sighting[] {
  const open = new Map<string, Sighting>()
  const closed: Sighting[] = []
  const ordered = records
    .map((record) => ({ record, atMs: Date.parse(record.frameTimestamp) }))
    .sort((a, b) => a.atMs - b.atMs)
  for (const { record, atMs } of ordered) {
    for (const [label, score] of bestScores(record)) {
      const id = `${record.streamName}/${label}`
      const before = open.get(id)
      if (before !== undefined && atMs - before.toMs <= gapMs) {
        open.set(id, extend(before, atMs, score))
        continue
      }
      if (before !== undefined) closed.push(before)
      open.set(id, {
        key: `${id}/${atMs}`,
        streamName: record.streamName,
        label,
        fromMs: atMs,
        toMs: atMs,
        bestScore: score,
        bestMs: atMs,
        frames: 1,
      })
    }
  }
  return [...closed, ...open.values()].sort((a, b) => b.toMs - a.toMs || b.fromMs - a.fromMs)
}

function extend(sighting: Sighting, atMs: number, score: number): Sighting {
  const isBetter = score > sighting.bestScore
  return {
    ...sighting,
    toMs: atMs,
    frames: sighting.frames + 1,
    bestScore: isBetter ? score : sighting.bestScore,
    bestMs: isBetter ? atMs : sighting.bestMs,
  }
}

function bestScores(record: DetectionRecord): Map<string, number> {
  const best = new Map<string, number>()
  for (const { label, score } of record.detections) {
    best.set(label, Math.max(score, best.get(label) ?? 0))
  }
  return best
}

/** Adds what is new and drops what is older than `keep` newest records. Newest first. */
export function mergeRecords(
  known: readonly DetectionRecord[],
  fresh: readonly DetectionRecord[],
  keep: number,
): readonly DetectionRecord[] {
  const byId = new Map([...fresh, ...known].map((record) => [record.id, record]))
  if (byId.size === known.length) return known
  return [...byId.values()]
    .sort((a, b) => (a.frameTimestamp < b.frameTimestamp ? 1 : -1))
    .slice(0, keep)
}
