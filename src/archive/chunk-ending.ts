import { crc32 } from 'node:zlib'
import { MalformedMediaError } from '../domain/errors.ts'
import { rescaleTicks } from '../domain/time.ts'
import { ElementId } from '../media/matroska/element-id.ts'
import {
  cuesElement,
  finishedFront,
  headerOfFinishedFront,
  segmentStartOf,
  type CuePoint,
} from '../media/matroska/finished.ts'
import { parseWholeHeader, type MatroskaHeader } from '../media/matroska/header.ts'
import { readUnsigned } from '../media/matroska/value.ts'
import { readElementHead, UNKNOWN_SIZE } from '../media/matroska/vint.ts'
import { voidElement } from '../media/matroska/writer.ts'
import { RESERVE_BYTES, reserveElement } from './chunk-layout.ts'
import type { ChunkStoreFile } from './chunk-store.ts'
import type { FragmentRow } from './fragment-row.ts'

/**
 * The ending of a finished chunk, by which players show its length and seek:
 *
 * ```
 * front (header, SeekHead, Duration) | fragments and notes | Cues | Void: the header, verbatim
 *                                    ^ frontBytes           ^ mediaEnd
 * ```
 *
 * The front is the header and the reserve behind it, written anew in place with a SeekHead
 * and a Duration. The header as the producer sent it then stands in the last element, which
 * is found from the file's end, so that a front that is torn in the middle of its write can be put
 * back:
 *
 *   1. Cues and the header's copy appended, synced
 *   2. front written over, synced
 *
 * What stops before 2 is a chunk as it grew, with elements behind it that do no harm.
 */
export type ChunkEnding = {
  /** EBML, Segment of unknown size, Info, Tracks: what GetMedia sends. */
  readonly header: Uint8Array
  /** Where the ending begins, behind the last note. */
  readonly mediaEnd: number
}

const MAGIC = Buffer.from('KINORAHD', 'latin1')
/** mediaEnd u64 | CRC-32 of header and mediaEnd u32 | header bytes u32 | bytes of the Void u32 */
const TAIL_BYTES = 20
const VOID_HEAD_BYTES = 9

/** As much of a fragment as its Tags, the Cluster's head and its Timecode take. */
const FRAGMENT_START_BYTES = 768

/** @returns `null` when the file has no ending, or not a whole one */
export async function readEnding(media: ChunkStoreFile): Promise<ChunkEnding | null> {
  const bytes = await media.size()
  if (bytes < TAIL_BYTES) return null
  const tail = await media.read(bytes - TAIL_BYTES, TAIL_BYTES)
  const totalBytes = tail.readUInt32LE(16)
  const headerBytes = tail.readUInt32LE(12)
  const place = bytes - totalBytes
  if (totalBytes !== VOID_HEAD_BYTES + MAGIC.length + headerBytes + TAIL_BYTES) return null
  if (place < headerBytes) return null
  const whole = await media.read(place, totalBytes)
  const headerAt = VOID_HEAD_BYTES + MAGIC.length
  if (whole[0] !== ElementId.Void || !whole.subarray(VOID_HEAD_BYTES, headerAt).equals(MAGIC)) {
    return null
  }
  const covered = whole.subarray(headerAt, headerAt + headerBytes + 8)
  const mediaEnd = Number(tail.readBigUInt64LE(0))
  if (crc32(covered) !== tail.readUInt32LE(8) || mediaEnd > place) return null
  const header = Uint8Array.from(whole.subarray(headerAt, headerAt + headerBytes))
  return { header, mediaEnd }
}

/**
 * The header as the producer sent it. May be called while the chunk is given an ending, or loses it:
 * the front that was read counts only if there was no ending before and after.
 */
export async function readChunkHeader(
  media: ChunkStoreFile,
  headerBytes: number,
): Promise<Uint8Array> {
  const before = await readEnding(media)
  const front = await media.read(0, headerBytes + RESERVE_BYTES)
  const ending = before ?? (await readEnding(media))
  if (ending?.header.length === headerBytes) return ending.header
  const header = front.subarray(0, headerBytes)
  return parseHeaderOrNull(header) === null ? (unfinishedHeader(front) ?? header) : header
}

/** The header of a chunk that was finished once and whose end was cut off by something else. */
export function unfinishedHeader(front: Uint8Array): Uint8Array | null {
  try {
    return headerOfFinishedFront(front)
  } catch (error) {
    if (error instanceof MalformedMediaError) return null
    throw error
  }
}

export function parseHeaderOrNull(header: Uint8Array): MatroskaHeader | null {
  try {
    return parseWholeHeader(header)
  } catch (error) {
    if (error instanceof MalformedMediaError) return null
    throw error
  }
}

/**
 * Gives a chunk its ending. May be called again when it failed, or when it has one already and
 * `rows` are others.
 *
 * @param chunk.mediaEnd where the ending goes: behind the last note
 * @returns the file's length. It is `mediaEnd` when the disk takes no more: the chunk is then finished
 *   without an ending
 */
export async function writeEnding(
  media: ChunkStoreFile,
  chunk: {
    readonly header: Uint8Array
    readonly rows: readonly FragmentRow[]
    readonly mediaEnd: number
  },
): Promise<number> {
  const { header, rows, mediaEnd } = chunk
  const matroska = parseWholeHeader(header)
  const points = await locateClusters(media, rows, matroska)
  const seekable = points.filter(({ row }) => row.startsWithKey)
  const cues = cuesElement(seekable.length > 0 ? seekable : points, segmentStartOf(header))
  const copy = headerCopy(header, mediaEnd)
  const bytes = mediaEnd + cues.length + copy.length
  const front = finishedFront(header, {
    frontBytes: header.length + RESERVE_BYTES,
    cuesOffset: mediaEnd,
    durationTicks: toDurationTicks(points, matroska),
  })
  try {
    await media.write([cues, copy], mediaEnd)
    if ((await media.size()) > bytes) await media.truncate(bytes)
    await media.sync()
  } catch {
    await removeEnding(media, chunk)
    await media.sync()
    return mediaEnd
  }
  await media.write([front], 0)
  await media.sync()
  return bytes
}

/** Makes a chunk again what it was before {@link writeEnding}: one that can grow. */
export async function removeEnding(
  media: ChunkStoreFile,
  { header, mediaEnd }: Pick<ChunkEnding, 'header' | 'mediaEnd'>,
): Promise<void> {
  await media.write([header, reserveElement()], 0)
  await media.sync() // before the copy of the header goes
  await media.truncate(mediaEnd)
}

type LocatedFragment = CuePoint & { readonly row: FragmentRow }

/** Those whose Cluster cannot be read are left out: they can still be played, not jumped to. */
async function locateClusters(
  media: ChunkStoreFile,
  rows: readonly FragmentRow[],
  { tracks }: MatroskaHeader,
): Promise<readonly LocatedFragment[]> {
  const trackNumber = (tracks.find(({ kind }) => kind === 'video') ?? tracks[0]!).number
  const located: LocatedFragment[] = []
  for (const row of rows) {
    const start = await media.read(row.offset, Math.min(row.length, FRAGMENT_START_BYTES))
    const cluster = findCluster(start)
    if (cluster === null) continue
    const { timecode, offset } = cluster
    located.push({ row, timecode, trackNumber, clusterOffset: row.offset + offset })
  }
  return located
}

/** The Cluster behind a fragment's Tags and its Timecode, which stands first (RFC 9559 §5.1.3.1). */
function findCluster(
  start: Uint8Array,
): { readonly timecode: number; readonly offset: number } | null {
  try {
    const tags = readElementHead(start, 0)
    if (tags?.id !== ElementId.Tags || tags.size === UNKNOWN_SIZE) return null
    const cluster = readElementHead(start, tags.dataOffset + tags.size)
    if (cluster?.id !== ElementId.Cluster) return null
    let at = cluster.dataOffset
    for (let head = readElementHead(start, at); head !== null; head = readElementHead(start, at)) {
      if (head.size === UNKNOWN_SIZE || head.dataOffset + head.size > start.length) return null
      const isTimecode = head.id === ElementId.Timecode
      if (isTimecode) return { timecode: readUnsigned(start, head), offset: cluster.offset }
      at = head.dataOffset + head.size
    }
    return null
  } catch (error) {
    if (error instanceof MalformedMediaError) return null
    throw error
  }
}

/** From the earliest Cluster to the latest end, not from zero: Timecodes may be wall time. */
function toDurationTicks(
  points: readonly LocatedFragment[],
  { timecodeScaleNs }: MatroskaHeader,
): number {
  let from = Infinity
  let to = -Infinity
  for (const { timecode, row } of points) {
    from = Math.min(from, timecode)
    to = Math.max(to, timecode + rescaleTicks(row.durationMs, timecodeScaleNs, 1_000_000))
  }
  return points.length === 0 ? 0 : Math.max(to - from, 1)
}

function headerCopy(header: Uint8Array, mediaEnd: number): Uint8Array {
  const end = Buffer.alloc(8)
  end.writeBigUInt64LE(BigInt(mediaEnd))
  const covered = Buffer.concat([header, end])
  const tail = Buffer.alloc(TAIL_BYTES - end.length)
  const totalBytes = VOID_HEAD_BYTES + MAGIC.length + header.length + TAIL_BYTES
  tail.writeUInt32LE(crc32(covered), 0)
  tail.writeUInt32LE(header.length, 4)
  tail.writeUInt32LE(totalBytes, 8)
  return voidElement(totalBytes, Buffer.concat([MAGIC, covered, tail]))
}
