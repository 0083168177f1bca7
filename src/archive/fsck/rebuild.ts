import { join } from 'node:path'
import type { StreamId } from '../../domain/stream.ts'
import { epochMs } from '../../domain/time.ts'
import { headerOfFinishedFront } from '../../media/matroska/finished.ts'
import { parseHeader, parseWholeHeader } from '../../media/matroska/header.ts'
import type { Catalogue, FinishedChunk, OpenChunkRow } from '../catalogue.ts'
import { readEnding } from '../chunk-ending.ts'
import { RESERVE_BYTES, toSidecarPath } from '../chunk-layout.ts'
import { scanChunk } from '../chunk-scan.ts'
import { toChunkSpan } from '../chunk-span.ts'
import { isFileError, type ChunkStore, type ChunkStoreFile } from '../chunk-store.ts'
import type { FragmentRow } from '../fragment-row.ts'
import { recoverChunk, writeSidecar } from '../recovery.ts'
import { requireMedia } from './check-archive.ts'
import type { FsckFinding, FsckReport } from './finding.ts'
import { parseChunkPath, toPathBelow } from './orphans.ts'

type RebuildDeps = {
  readonly directory: string
  readonly files: ChunkStore
  readonly catalogue: Catalogue
}

/**
 * Makes all sidecars and the archive's part of the catalogue again, from the Matroska files alone:
 *
 *   1. removals that were begun are kept in mind: their files are left out
 *   2. per stream, its chunk, open and time rows go and its sums are zero
 *   3. chunks that were finished are read; ones that were not are recovered, as at a start
 *   4. each chunk's sidecar is written, then its rows
 *
 * It may be repeated. What the chunks do not tell stays as it is: where a stream's numbering goes on,
 * the reasons of gaps, holds.
 */
export async function rebuildArchive(deps: RebuildDeps): Promise<FsckReport> {
  await requireMedia(deps)
  const findings: FsckFinding[] = []
  const checked = { streams: 0, chunks: 0, openChunks: 0, fragments: 0, bytes: 0 }
  const byStream = await chunkFilesByStream(deps)
  for (const streamId of await deps.catalogue.streams()) {
    if (!byStream.has(streamId)) byStream.set(streamId, [])
  }
  for (const [streamId, paths] of byStream) {
    checked.streams++
    const chunks = await readChunks(streamId, paths, deps, findings)
    const highest = chunks.reduce((most, { highestCounter }) => Math.max(most, highestCounter), 0)
    await deps.catalogue.resetStream(streamId, highest)
    for (const { finished } of chunks) {
      await deps.catalogue.finishChunk(streamId, finished)
      checked.chunks++
      checked.fragments += finished.span.fragments
      checked.bytes += finished.bytes
    }
    await noteEnd(streamId, deps.catalogue)
  }
  return { checked, findings, repaired: checked.chunks }
}

/** Why nothing came after the newest media is not in the chunks. */
async function noteEnd(streamId: StreamId, catalogue: Catalogue): Promise<void> {
  if (catalogue.openGap(streamId) !== null) return
  for await (const chunk of catalogue.chunksBackwards(streamId)) {
    if (chunk.state !== 'finished') return
    const { server, producer } = chunk.span
    const open = { reason: 'unknown', server: server.to, producer: producer.to } as const
    await catalogue.recordGaps(streamId, { closed: [], open })
    return
  }
}

async function chunkFilesByStream({
  directory,
  files,
  catalogue,
}: RebuildDeps): Promise<Map<StreamId, string[]>> {
  const removed = new Set((await catalogue.garbage()).map(({ path }) => path))
  const byStream = new Map<StreamId, string[]>()
  for await (const path of files.list(directory)) {
    const below = toPathBelow(directory, path)
    const place = parseChunkPath(below)
    if (place === null || !below.endsWith('.mkv') || removed.has(below)) continue
    byStream.set(place.streamId, [...(byStream.get(place.streamId) ?? []), below])
  }
  return byStream
}

type RebuiltChunk = { readonly finished: FinishedChunk; readonly highestCounter: number }

/** In order of their counters. Two files with one counter cannot both be told apart by number. */
async function readChunks(
  streamId: StreamId,
  paths: readonly string[],
  deps: RebuildDeps,
  findings: FsckFinding[],
): Promise<readonly RebuiltChunk[]> {
  const chunks: RebuiltChunk[] = []
  const torn: OpenChunkRow[] = []
  const find = (chunk: string, code: FsckFinding['code'], detail: string) =>
    findings.push({ code, stream: streamId, chunk, detail })
  for (const path of paths.toSorted()) {
    try {
      const read = await readChunk(path, deps)
      if (read === null) find(path, 'media', 'holds no header and no fragment')
      else if ('finished' in read) chunks.push(read)
      else torn.push(read)
    } catch (error) {
      find(path, 'unreadable', error instanceof Error ? error.message : String(error))
    }
  }
  for (const chunk of torn) {
    const before = chunks.filter(({ finished }) => finished.firstCounter < chunk.firstCounter)
    const after = chunks.filter(({ finished }) => finished.firstCounter > chunk.firstCounter)
    const span = newestOf(before)?.span
    const stream = deps.catalogue.stream(streamId)
    const guess = {
      firstSequence: span === undefined ? stream.nextSequence : span.lastSequence + 1,
      discontinuitiesBefore: (span ?? stream).discontinuitySequence,
    }
    const open = { ...chunk, ...(chunk.firstSequence === UNKNOWN_SEQUENCE ? guess : {}) }
    const successor = after.map(({ finished }) => finished.firstSequence)
    const next = successor.length === 0 ? null : Math.min(...successor)
    const { finished } = await recoverChunk(open, next, deps)
    if (finished === null) find(chunk.path, 'media', 'holds no fragment')
    else chunks.push({ finished, highestCounter: finished.span.lastCounter })
  }
  return withoutTwins(chunks, (path) => find(path, 'orphan-file', 'another file has its counter'))
}

function newestOf(chunks: readonly RebuiltChunk[]): FinishedChunk | null {
  const sorted = chunks.toSorted((a, b) => a.finished.firstCounter - b.finished.firstCounter)
  return sorted.at(-1)?.finished ?? null
}

function withoutTwins(
  chunks: readonly RebuiltChunk[],
  tell: (path: string) => void,
): readonly RebuiltChunk[] {
  const kept = new Map<number, RebuiltChunk>()
  for (const chunk of chunks) {
    const { firstCounter, path } = chunk.finished
    if (kept.has(firstCounter)) tell(path)
    else kept.set(firstCounter, chunk)
  }
  return [...kept.values()].toSorted((a, b) => a.finished.firstCounter - b.finished.firstCounter)
}

/** Of a chunk whose first fragment has no note. */
const UNKNOWN_SEQUENCE = -1

/** A finished chunk with its sidecar written; what is to be recovered; `null` when it is nothing. */
async function readChunk(
  path: string,
  { directory, files }: RebuildDeps,
): Promise<RebuiltChunk | OpenChunkRow | null> {
  const full = join(directory, path)
  const { chunkId, firstCounter } = parseChunkPath(path)!
  const media = await files.open(full, 'r')
  try {
    const ending = await readEnding(media)
    const header = ending?.header ?? (await findHeader(media))
    if (header === null) return null
    const row: OpenChunkRow = {
      ...{ state: 'open', chunkId, path, firstCounter, headerBytes: header.length },
      ...{ firstSequence: UNKNOWN_SEQUENCE, discontinuitiesBefore: 0 },
      openedAt: epochMs(Number.parseInt(chunkId.slice(-12), 16)),
    }
    const start = header.length + RESERVE_BYTES
    const scan = await scanChunk(media, start, parseWholeHeader(header))
    const bytes = await media.size()
    const rows = scan.fragments.flatMap((fragment) => (fragment.row === null ? [] : [fragment.row]))
    const span = toChunkSpan(rows)
    await removeSidecar(files, toSidecarPath(full))
    const numbered = { ...row, ...(span === null ? {} : numbersBefore(rows)) }
    if (ending?.mediaEnd !== scan.endingAt || scan.end !== bytes || span === null) return numbered
    await writeSidecar(files, toSidecarPath(full), rows)
    const finished = { ...numbered, state: 'finished' as const, bytes, span }
    const counters = scan.fragments.map(({ counter }) => counter)
    return { finished, highestCounter: Math.max(...counters) }
  } finally {
    await media.close()
  }
}

function numbersBefore(rows: readonly FragmentRow[]) {
  const first = rows[0]!
  return {
    firstSequence: first.sequence,
    discontinuitiesBefore: first.discontinuitySequence - (first.discontinuity ? 1 : 0),
  }
}

/** Longest header, with what is reserved behind it, that is looked for. */
const MAX_FRONT_BYTES = 1024 * 1024

async function findHeader(media: ChunkStoreFile): Promise<Uint8Array | null> {
  const bytes = await media.read(0, MAX_FRONT_BYTES)
  try {
    const found = parseHeader(bytes)
    if (found === null) return null
    const front = bytes.subarray(0, found.headerLength)
    const header = front.subarray(0, front.length - RESERVE_BYTES)
    return isWholeHeader(header) ? header : headerOfFinishedFront(front)
  } catch {
    return null // no Matroska at all, which the caller tells
  }
}

function isWholeHeader(header: Uint8Array): boolean {
  try {
    parseWholeHeader(header)
    return true
  } catch {
    return false
  }
}

async function removeSidecar(files: ChunkStore, path: string): Promise<void> {
  try {
    await files.unlink(path)
  } catch (error) {
    if (!isFileError(error, 'ENOENT')) throw error
  }
}
