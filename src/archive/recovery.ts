import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { parseWholeHeader } from '../media/matroska/header.ts'
import { toUnknownSize } from '../media/matroska/vint.ts'
import type { ChunkRow, FinishedChunk, OpenChunkRow } from './catalogue.ts'
import {
  parseHeaderOrNull,
  readChunkHeader,
  readEnding,
  unfinishedHeader,
  writeEnding,
} from './chunk-ending.ts'
import { closingRecord, RESERVE_BYTES, reserveElement, toSidecarPath } from './chunk-layout.ts'
import { scanChunk, type ScannedFragment } from './chunk-scan.ts'
import { toChunkSpan } from './chunk-span.ts'
import { isFileError, type ChunkStoreFile, type ChunkStore } from './chunk-store.ts'
import {
  decodeSidecar,
  encodeRow,
  ROW_BYTES,
  SIDECAR_HEADER_BYTES,
  sidecarHeader,
  type FragmentRow,
} from './fragment-row.ts'

export type RecoveryDeps = { readonly directory: string; readonly files: ChunkStore }

export type Recovery = {
  /** `null`: nothing of it was kept, its files and its row are to go. */
  readonly finished: FinishedChunk | null
  /** Fragments that the sidecar did not know. */
  readonly found: number
  readonly cutBytes: number
  /** Its file was not there at all. */
  readonly missing: boolean
}

/**
 * Ends a chunk that was open when the process was killed or the power failed:
 *
 *   1. take the sidecar's rows up to the first that is torn or points past the chunk's end
 *   2. walk the chunk from there: fragments with a closing record are taken as it says, the last
 *      one without is kept as recovered if it starts with a key frame
 *   3. put the front back if an ending was begun, cut what follows, close the recovered fragment, sync
 *   4. write the missing rows, cut what follows, sync
 *   5. write the ending: see {@link writeEnding}
 *
 * Every step may be repeated: a crash in between finds the same again.
 *
 * @param successor the sequence at which the stream's next chunk begins, `null` when there is none
 */
export async function recoverChunk(
  chunk: OpenChunkRow,
  successor: number | null,
  { directory, files }: RecoveryDeps,
): Promise<Recovery> {
  const path = join(directory, chunk.path)
  const media = await openIfThere(files, path, 'r+')
  if (media === null) return { finished: null, found: 0, cutBytes: 0, missing: true }
  try {
    const bytes = await media.size()
    const start = chunk.headerBytes + RESERVE_BYTES
    if (bytes < start) return { finished: null, found: 0, cutBytes: bytes, missing: false }
    const known = await readSidecar(files, toSidecarPath(path), bytes)
    const plan = await planWithHeader({ media, chunk, known, successor })
    // Headers are synced with the first fragment: without one nothing was persisted.
    if (plan === null) return { finished: null, found: 0, cutBytes: bytes, missing: false }
    await applyToMedia(media, plan, bytes)
    await writeSidecar(files, toSidecarPath(path), plan.rows)
    const span = toChunkSpan(plan.rows)
    const found = plan.rows.length - known.length
    const cutBytes = bytes - plan.scannedTo + (plan.endingAt ?? plan.scannedTo) - plan.cut
    if (span === null) return { finished: null, found, cutBytes, missing: false }
    const { header, rows, end: mediaEnd } = plan
    const finishedBytes = await writeEnding(media, { header, rows, mediaEnd })
    const finished = { ...chunk, state: 'finished' as const, bytes: finishedBytes, span }
    return { finished, found, cutBytes, missing: false }
  } finally {
    await media.close()
  }
}

/**
 * The rows of a chunk that is not open, from its closing records alone, and its sidecar with them.
 *
 * @returns `null` when the chunk is not there
 */
export async function rebuildSidecar(
  chunk: FinishedChunk,
  { directory, files }: RecoveryDeps,
): Promise<readonly FragmentRow[] | null> {
  const rows = await scanRows(chunk, { directory, files })
  if (rows !== null) await writeSidecar(files, toSidecarPath(join(directory, chunk.path)), rows)
  return rows
}

/**
 * The rows of a chunk from its closing records, up to the first byte that cannot be right.
 *
 * @returns `null` when the chunk is not there
 */
export async function scanRows(
  chunk: ChunkRow,
  { directory, files }: RecoveryDeps,
): Promise<readonly FragmentRow[] | null> {
  const media = await openIfThere(files, join(directory, chunk.path), 'r')
  if (media === null) return null
  try {
    const header = parseWholeHeader(await readChunkHeader(media, chunk.headerBytes))
    const scan = await scanChunk(media, chunk.headerBytes + RESERVE_BYTES, header)
    return scan.fragments.flatMap(({ row }) => (row === null ? [] : [row]))
  } finally {
    await media.close()
  }
}

/** `null` when there is no sidecar; see {@link decodeSidecar}. */
export async function readSidecarFile(files: ChunkStore, path: string): Promise<Buffer | null> {
  const file = await openIfThere(files, path, 'r')
  if (file === null) return null
  try {
    return await file.read(0, await file.size())
  } finally {
    await file.close()
  }
}

type RecoveryInput = {
  readonly media: ChunkStoreFile
  readonly chunk: OpenChunkRow
  readonly known: readonly FragmentRow[]
  readonly successor: number | null
}

/**
 * With the header from the chunk's ending when one was begun, because the front may be torn then. An
 * ending counts only where the walk finds one too: a block's payload may look like one.
 *
 * @returns `null` when there is no header
 */
async function planWithHeader(input: RecoveryInput): Promise<RecoveryPlan | null> {
  const { media, chunk } = input
  const ending = await readEnding(media)
  if (ending?.header.length === chunk.headerBytes) {
    const plan = await planRecovery(input, ending.header)
    if (plan?.endingAt === ending.mediaEnd) return plan
  }
  const front = await media.read(0, chunk.headerBytes + RESERVE_BYTES)
  const plan = await planRecovery(input, front.subarray(0, chunk.headerBytes))
  if (plan !== null) return plan
  const header = unfinishedHeader(front)
  return header?.length === chunk.headerBytes ? planRecovery(input, header) : null
}

type RecoveryPlan = {
  readonly header: Uint8Array
  /** Where an ending was begun, `null` when none was. */
  readonly endingAt: number | null
  /** Behind the last whole element. */
  readonly scannedTo: number
  readonly rows: readonly FragmentRow[]
  /** Where the chunk is cut. */
  readonly cut: number
  /** The recovered fragment, to be closed with this row. */
  readonly toClose: FragmentRow | null
  readonly clusterSize: ScannedFragment['cutClusterSize']
  /** The chunk's length afterwards. */
  readonly end: number
}

async function planRecovery(
  { media, chunk, known, successor }: RecoveryInput,
  header: Uint8Array,
): Promise<RecoveryPlan | null> {
  const matroska = parseHeaderOrNull(header)
  if (matroska === null) return null
  const last = known.at(-1)
  const from = last === undefined ? chunk.headerBytes + RESERVE_BYTES : last.offset + last.length
  const scan = await scanChunk(media, from, matroska)
  const rows = [...known]
  const memory = Buffer.allocUnsafeSlow(CHECK_BYTES)
  let cut = scan.endingAt ?? scan.end
  let toClose: FragmentRow | null = null
  let clusterSize: RecoveryPlan['clusterSize'] = null
  for (const [i, fragment] of scan.fragments.entries()) {
    const sequence = (rows.at(-1)?.sequence ?? chunk.firstSequence - 1) + 1
    if (successor !== null && sequence >= successor) {
      // It was given up as lost when the next chunk began, which took its place.
      cut = Math.min(cut, fragment.offset)
      break
    }
    if (fragment.row !== null && !(await isAsWritten(media, fragment.row, memory))) {
      // Power failed before its sync was over: the note was on disk, but not all that it closes.
      cut = Math.min(cut, fragment.offset)
      break
    }
    if (fragment.row !== null) rows.push(fragment.row)
    if (fragment.state !== 'torn' || i < scan.fragments.length - 1) continue
    if (fragment.startsWithKey && fragment.sampleCount > 0) {
      toClose = toRecoveredRow(fragment, rows.at(-1) ?? null, chunk)
      clusterSize = fragment.cutClusterSize
      cut = fragment.end
      rows.push(toClose)
    } else {
      cut = fragment.offset
    }
  }
  const closingBytes = toClose === null ? 0 : closingRecord(toClose).length
  const { endingAt, end: scannedTo } = scan
  return { header, endingAt, scannedTo, rows, cut, toClose, clusterSize, end: cut + closingBytes }
}

/** Read at a time, into the same memory: eight chunks are recovered at once, of up to 8 MiB each. */
const CHECK_BYTES = 256 * 1024

async function isAsWritten(
  media: ChunkStoreFile,
  row: FragmentRow,
  memory: Buffer,
): Promise<boolean> {
  if (row.checksum === null || row.deleted) return true
  let checksum = 0
  for (let at = 0; at < row.length; at += memory.length) {
    const length = Math.min(memory.length, row.length - at)
    checksum = crc32(await media.read(row.offset + at, length, memory), checksum)
  }
  return checksum === row.checksum
}

/** A gap in the producer's time larger than this, within a chunk, is a discontinuity. */
const CONTINUOUS_WITHIN_MS = 500

function toRecoveredRow(
  fragment: ScannedFragment,
  before: FragmentRow | null,
  chunk: OpenChunkRow,
): FragmentRow {
  const { counter, serverTimestamp, random28, producerTimestamp, durationMs } = fragment
  const { offset, end, sampleCount, startsWithKey, hasProducerTags } = fragment
  const previousEnd = before === null ? -Infinity : before.producerTimestamp + before.durationMs
  const discontinuity = Math.abs(producerTimestamp - previousEnd) > CONTINUOUS_WITHIN_MS
  const discontinuities = before?.discontinuitySequence ?? chunk.discontinuitiesBefore
  return {
    ...{ counter, serverTimestamp, random28, producerTimestamp, durationMs },
    ...{ offset, length: end - offset, sampleCount, startsWithKey, hasProducerTags },
    arrivalSpanMs: durationMs, // when its last byte came is not in the chunk
    checksum: null,
    recovered: true,
    deleted: false,
    discontinuity,
    discontinuitySequence: discontinuities + (discontinuity ? 1 : 0),
    sequence: (before?.sequence ?? chunk.firstSequence - 1) + 1,
  }
}

async function applyToMedia(
  media: ChunkStoreFile,
  plan: RecoveryPlan,
  bytes: number,
): Promise<void> {
  if (plan.cut === bytes && plan.toClose === null) return
  if (plan.endingAt !== null) {
    await media.write([plan.header, reserveElement()], 0)
    await media.sync() // before the header's copy goes
  }
  if (plan.cut < bytes) await media.truncate(plan.cut)
  if (plan.clusterSize !== null) {
    const { offset, width } = plan.clusterSize
    await media.write([toUnknownSize(width)], offset)
  }
  if (plan.toClose !== null) await media.write([closingRecord(plan.toClose)], plan.cut)
  await media.sync()
}

/** Makes the sidecar say exactly these rows. */
export async function writeSidecar(
  files: ChunkStore,
  path: string,
  rows: readonly FragmentRow[],
): Promise<void> {
  const file = (await openIfThere(files, path, 'r+')) ?? (await files.open(path, 'wx+'))
  try {
    await file.write([sidecarHeader(), ...rows.map(encodeRow)], 0)
    await file.truncate(SIDECAR_HEADER_BYTES + rows.length * ROW_BYTES)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function readSidecar(
  files: ChunkStore,
  path: string,
  chunkBytes: number,
): Promise<readonly FragmentRow[]> {
  const bytes = await readSidecarFile(files, path)
  return bytes === null ? [] : decodeSidecar(bytes, chunkBytes)
}

async function openIfThere(
  files: ChunkStore,
  path: string,
  flags: 'r+' | 'r',
): Promise<ChunkStoreFile | null> {
  try {
    return await files.open(path, flags)
  } catch (error) {
    if (isFileError(error, 'ENOENT')) return null
    throw error
  }
}
