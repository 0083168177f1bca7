import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { toFragmentNumber, type Fragment, type FragmentNumber } from '../domain/fragment.ts'
import { ElementId } from '../media/matroska/element-id.ts'
import { readElementHead, toUnknownSize, UNKNOWN_SIZE } from '../media/matroska/vint.ts'
import { fragmentTags } from '../media/matroska/writer.ts'
import type { Deferred } from '../platform/deferred.ts'
import type { FragmentStart } from './archive.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { FragmentRow } from './fragment-row.ts'

/** A chunk that a writer adds to. */
export type OpenChunk = {
  readonly file: ChunkFile
  readonly firstCounter: number
  /** Length that it has when everything queued is written, but for notes of ours. */
  queuedLength: number
}

/** A fragment from its `begin` until it is persisted or lost. */
export type OpenFragment = {
  readonly start: FragmentStart
  readonly chunk: OpenChunk
  readonly counter: number
  readonly random28: number
  readonly number: FragmentNumber
  readonly tags: Uint8Array
  /** In the chunk; known once its first bytes are on their way. */
  offset: number
  /** Of what was appended: the Cluster. */
  clusterLength: number
  clusterHead: ClusterHead | null
  sampleCount: number
  producerEnd: number
  lastArrival: number
  hasProducerTags: boolean
  /** CRC-32 of what was written of it so far; `null` when some of that was written over. */
  checksum: number | null
  /** Its first bytes are on their way to the chunk. */
  written: boolean
  lost: boolean
  ending: { readonly deferred: Deferred<Fragment>; readonly at: number } | null
}

export function openFragment(
  start: FragmentStart,
  chunk: OpenChunk,
  counter: number,
): OpenFragment {
  const { serverTimestamp, producerTimestamp } = start
  const random28 = randomInt(2 ** 28)
  const number = toFragmentNumber({ counter, serverTimestamp, random28 })
  // One literal and no spread, here and below: this runs for every fragment, and a spread costs more
  // than all the rest.
  return {
    start,
    chunk,
    counter,
    random28,
    number,
    tags: fragmentTags({ fragmentNumber: number, serverTimestamp, producerTimestamp }),
    offset: 0,
    clusterLength: 0,
    clusterHead: null,
    sampleCount: 0,
    producerEnd: producerTimestamp,
    lastArrival: serverTimestamp,
    hasProducerTags: false,
    checksum: 0,
    written: false,
    lost: false,
    ending: null,
  }
}

export type ClusterHead = {
  /** Where its size stands, behind its first byte. */
  readonly sizeOffset: number
  readonly sizeWidth: number
  /** Length that it claims, its head included; `null` when it claims none. */
  readonly claimedLength: number | null
}

/** Reads the beginning of what a producer appends first. */
export function readClusterHead(parts: readonly Uint8Array[]): ClusterHead {
  const available = parts.reduce((sum, part) => sum + part.length, 0)
  const head = readElementHead(Buffer.concat(parts, Math.min(available, 12)), 0)
  assert(head?.id === ElementId.Cluster, 'a fragment begins with its Cluster')
  return {
    sizeOffset: head.sizeOffset,
    sizeWidth: head.dataOffset - head.sizeOffset,
    claimedLength: head.size === UNKNOWN_SIZE ? null : head.dataOffset + head.size,
  }
}

/** Bytes to write over others that were appended before. */
export type Patch = { readonly bytes: Uint8Array; readonly position: number }

/**
 * A Cluster that ends before its known size says would swallow what follows: its size becomes
 * unknown (RFC 8794 §6.2), in the same width.
 *
 * @param end where the Cluster ends in the chunk
 */
export function planClusterPatch(fragment: OpenFragment, end: number): Patch | null {
  const claimed = fragment.clusterHead?.claimedLength ?? null
  const clusterOffset = fragment.offset + fragment.tags.length
  if (claimed === null || end <= clusterOffset || clusterOffset + claimed <= end) return null
  const { sizeOffset, sizeWidth } = fragment.clusterHead!
  return { bytes: toUnknownSize(sizeWidth), position: clusterOffset + sizeOffset }
}

export function toFragmentRow(
  fragment: OpenFragment,
  place: Pick<FragmentRow, 'length' | 'sequence' | 'discontinuity' | 'discontinuitySequence'>,
): FragmentRow {
  const { start } = fragment
  return {
    counter: fragment.counter,
    serverTimestamp: start.serverTimestamp,
    random28: fragment.random28,
    discontinuity: place.discontinuity,
    recovered: false,
    startsWithKey: start.startsWithKey,
    hasProducerTags: fragment.hasProducerTags,
    deleted: false,
    producerTimestamp: start.producerTimestamp,
    offset: fragment.offset,
    length: place.length,
    durationMs: Math.max(fragment.producerEnd - start.producerTimestamp, 0),
    arrivalSpanMs: Math.max(fragment.lastArrival - start.serverTimestamp, 0),
    sampleCount: fragment.sampleCount,
    sequence: place.sequence,
    discontinuitySequence: place.discontinuitySequence,
    checksum: fragment.checksum,
  }
}
