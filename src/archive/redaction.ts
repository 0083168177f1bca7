import { voidStart } from '../media/matroska/writer.ts'
import { readEnding, removeEnding, type ChunkEnding } from './chunk-ending.ts'
import { CLOSING_BYTES, closingRecord, toSidecarPath } from './chunk-layout.ts'
import { timeSpanOf, type ClockRange } from './chunk-span.ts'
import { isFileError, type ChunkStore, type ChunkStoreFile } from './chunk-store.ts'
import { encodeRow, ROW_BYTES, SIDECAR_HEADER_BYTES, type FragmentRow } from './fragment-row.ts'
import type { RowInPlace } from './live-rows.ts'

/** What is overwritten in one chunk. */
export type Redaction = {
  /** Rows to be marked, with their places in the sidecar. */
  readonly deleted: readonly RowInPlace[]
  /** Bytes to become Void elements: fragments, and what was given up between them. */
  readonly regions: readonly { readonly offset: number; readonly length: number }[]
}

/**
 * Decides what goes. Between two fragments there may be one that was given up: its bytes go when a
 * neighbour goes or when the time between them overlaps the range.
 *
 * @param plan.rows of the whole chunk, in file order, deleted ones too
 */
export function planRedaction(plan: {
  readonly rows: readonly FragmentRow[]
  readonly toOverwrite: readonly FragmentRow[]
  readonly range: ClockRange
  /** Where the last fragment, or one given up behind it, ends; `null` while the chunk grows. */
  readonly mediaEnd: number | null
}): Redaction {
  const { rows, range } = plan
  const isTarget = new Set(plan.toOverwrite)
  const deleted: { index: number; row: FragmentRow }[] = []
  const regions: { offset: number; length: number }[] = []
  for (const [index, row] of rows.entries()) {
    const before = rows[index - 1]
    if (before !== undefined) {
      const offset = before.offset + before.length + CLOSING_BYTES
      const length = row.offset - offset
      const goes = isTarget.has(before) || isTarget.has(row) || isBetweenInRange(before, row, range)
      if (length > 1 && goes) regions.push({ offset, length })
    }
    if (!isTarget.has(row)) continue
    deleted.push({ index, row: { ...row, deleted: true } })
    regions.push({ offset: row.offset, length: row.length })
  }
  const last = rows.at(-1)
  if (last !== undefined && plan.mediaEnd !== null) {
    const offset = last.offset + last.length + CLOSING_BYTES
    const goes = isTarget.has(last) || range.to > timeSpanOf(last, range.by).to
    if (plan.mediaEnd - offset > 1 && goes) {
      regions.push({ offset, length: plan.mediaEnd - offset })
    }
  }
  return { deleted, regions }
}

/**
 * Overwrites fragments so that the chunk is valid Matroska after every step and a walk through it
 * finds the same fragments:
 *
 *   1. their notes say that they are deleted, synced: no rebuild brings them back
 *   2. a Void's head over the beginning of each, synced: from here on no reader finds them
 *   3. zeros over the rest, synced
 */
export async function overwriteFragments(
  media: ChunkStoreFile,
  { deleted, regions }: Redaction,
): Promise<void> {
  for (const { row } of deleted) await media.write([closingRecord(row)], row.offset + row.length)
  await media.sync()
  for (const { offset, length } of regions) await media.write([voidStart(length)], offset)
  await media.sync()
  for (const { offset, length } of regions) {
    const from = offset + voidStart(length).length
    for (let at = from; at < offset + length; at += ZEROS.length) {
      await media.write([ZEROS.subarray(0, Math.min(ZEROS.length, offset + length - at))], at)
    }
  }
  await media.sync()
}

const ZEROS = new Uint8Array(256 * 1024)

/** Writes rows over in the sidecar. One that is not there is made from the notes when it is needed. */
export async function replaceRows(
  files: ChunkStore,
  chunkPath: string,
  changed: readonly RowInPlace[],
): Promise<void> {
  if (changed.length === 0) return
  try {
    const index = await files.open(toSidecarPath(chunkPath), 'r+')
    try {
      for (const { index: at, row } of changed) {
        await index.write([encodeRow(row)], SIDECAR_HEADER_BYTES + at * ROW_BYTES)
      }
      await index.sync()
    } finally {
      await index.close()
    }
  } catch (error) {
    if (!isFileError(error, 'ENOENT')) throw error
  }
}

/** Where a finished chunk's fragments end. */
export async function findMediaEnd(
  media: ChunkStoreFile,
  chunk: { readonly bytes: number },
): Promise<number> {
  const ending = await readEnding(media)
  return ending?.mediaEnd ?? Math.min(await media.size(), chunk.bytes)
}

/**
 * Takes the ending of a finished chunk away, so that another can be written: the copy of the header
 * in it is never half there.
 *
 * @param chunk.bytes length as the catalogue knows it: what lies behind is an ending that was torn
 */
export async function dropEnding(
  media: ChunkStoreFile,
  chunk: { readonly headerBytes: number; readonly bytes: number },
): Promise<ChunkEnding> {
  const ending = await readEnding(media)
  if (ending !== null) {
    await removeEnding(media, ending)
    await media.sync()
    return ending
  }
  const mediaEnd = await findMediaEnd(media, chunk)
  await media.truncate(mediaEnd)
  await media.sync()
  return { header: await media.read(0, chunk.headerBytes), mediaEnd }
}

function isBetweenInRange(before: FragmentRow, after: FragmentRow, range: ClockRange): boolean {
  const from = timeSpanOf(before, range.by).to
  const to = timeSpanOf(after, range.by).from
  return from < range.to && to > range.from
}
