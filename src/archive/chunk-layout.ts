import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import { voidElement } from '../media/matroska/writer.ts'
import { decodeRow, encodeRow, ROW_BYTES, type FragmentRow } from './fragment-row.ts'

/**
 * Where a chunk's parts lie, byte by byte; docs/design/archive.md draws them. Notes of ours are
 * Void elements (RFC 8794 §11.3.2), which every other reader skips.
 */

/** Void behind the header, kept for what is known only when the chunk is finished. */
export const RESERVE_BYTES = 256

const CLOSING_MAGIC = Buffer.from('KINORAFR', 'latin1')
const ABANDON_MAGIC = Buffer.from('KINORAAB', 'latin1')
const VOID_HEAD_BYTES = 2

/** Void of a closing record: magic, then the fragment's row. */
export const CLOSING_BYTES = VOID_HEAD_BYTES + CLOSING_MAGIC.length + ROW_BYTES

export function reserveElement(): Uint8Array {
  return voidElement(RESERVE_BYTES)
}

/**
 * Follows every complete fragment, outside of its slice, and repeats its sidecar row: the chunk
 * alone says all that the index says.
 */
export function closingRecord(row: FragmentRow): Uint8Array {
  return voidElement(CLOSING_BYTES, Buffer.concat([CLOSING_MAGIC, encodeRow(row)]))
}

/** Follows the bytes of a fragment that was given up, so that recovery does not take them. */
export function abandonMark(): Uint8Array {
  return voidElement(VOID_HEAD_BYTES + ABANDON_MAGIC.length, ABANDON_MAGIC)
}

export type ChunkNote =
  { readonly kind: 'closing'; readonly row: FragmentRow } | { readonly kind: 'abandoned' }

/** Reads the payload of a Void; `null` when it is not a note of ours. */
export function parseNote(payload: Uint8Array): ChunkNote | null {
  const magic = payload.subarray(0, 8)
  if (Buffer.compare(magic, ABANDON_MAGIC) === 0) return { kind: 'abandoned' }
  if (Buffer.compare(magic, CLOSING_MAGIC) !== 0) return null
  const row = decodeRow(payload, CLOSING_MAGIC.length)
  return row === null ? null : { kind: 'closing', row }
}

/** Sorts by the first fragment's counter; the server time makes it unique for ever. */
export function toChunkId(firstCounter: number, openedAt: EpochMs): string {
  const counter = String(firstCounter).padStart(16, '0')
  return `${counter}-${openedAt.toString(16).padStart(12, '0')}`
}

export function firstCounterOf(chunkId: string): number {
  return Number.parseInt(chunkId, 10)
}

/** Relative to the archive's directory, `/` between the parts. */
export function toChunkPath(streamId: StreamId, chunkId: string, openedAt: EpochMs): string {
  const day = new Date(openedAt).toISOString().slice(0, 10).replaceAll('-', '')
  return `${streamId}/${day}/${chunkId}.mkv`
}

export function streamIdOf(chunkPath: string): StreamId {
  return chunkPath.slice(0, chunkPath.indexOf('/')) as StreamId
}

export function toSidecarPath(chunkPath: string): string {
  return chunkPath.replace(/\.mkv$/, '.idx')
}
