import { MalformedMediaError } from '../../domain/errors.ts'
import { rescaleTicks } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import { parseBlock, type Block } from './block.ts'
import { ElementId, elementName, endsUnknownCluster } from './element-id.ts'
import { readUnsigned } from './value.ts'
import { readElementHead, UNKNOWN_SIZE, type ElementHead } from './vint.ts'

export { parseHeader, parseWholeHeader, type MatroskaHeader } from './header.ts'

/** One coded unit read back from a Cluster. */
export type StoredSample = {
  readonly trackNumber: number
  /** Cluster Timecode + block time, floored to milliseconds; presentation time. */
  readonly ptsMs: number
  readonly isKey: boolean
  /** A view on the bytes that were parsed, not a copy. */
  readonly data: Uint8Array
}

/** An element beside the Clusters, or a Cluster. */
export type ScannedElement = ElementHead & {
  /** Behind its last byte; for a Cluster of unknown size, where the next element ends it. */
  readonly end: number
  /**
   * A Cluster of unknown size that the end of `bytes` ended: complete as far as it goes, and more
   * of it may follow.
   */
  readonly open: boolean
}

/**
 * The elements at the level of Clusters from `offset` on: a fragment's, a chunk's, or those of
 * concatenated documents (EBML header and Segment start then appear among them; the Segment's
 * `end` is where its payload begins). Stops before an element that `bytes` holds only in part: the
 * last `end` says where to go on with more bytes. An `open` Cluster is the last.
 *
 * @throws MalformedMediaError when no element can begin where one must
 */
export function* scanElements(bytes: Uint8Array, offset = 0): Generator<ScannedElement> {
  for (let at = offset; at < bytes.length;) {
    const head = readElementHead(bytes, at)
    if (head === null) return
    if (head.id === ElementId.Segment) {
      yield { ...head, end: head.dataOffset, open: false }
      at = head.dataOffset
    } else if (head.size !== UNKNOWN_SIZE) {
      const end = head.dataOffset + head.size
      if (end > bytes.length) return
      yield { ...head, end, open: false }
      at = end
    } else if (head.id === ElementId.Cluster) {
      const extent = findClusterEnd(bytes, head.dataOffset)
      yield { ...head, ...extent }
      if (extent.open) return
      at = extent.end
    } else {
      throw malformed(`${elementName(head.id)} of unknown size`, at, 'Segment')
    }
  }
}

/**
 * Reads the samples of a whole fragment: of every Cluster in it, in file order, which is decode
 * order. Blocks of tracks that `tracks` does not declare are skipped.
 *
 * @param fragmentBytes Tags, Cluster, Tags, as the archive keeps them
 * @throws MalformedMediaError when the bytes are no whole elements
 */
export function toSamples(
  fragmentBytes: Uint8Array,
  tracks: readonly Track[],
): readonly StoredSample[] {
  const declared = new Map(tracks.map((track) => [track.number, track]))
  const blocks: TimedBlock[] = []
  let end = 0
  for (const element of scanElements(fragmentBytes)) {
    if (element.id === ElementId.Cluster) collectBlocks(blocks, fragmentBytes, element, declared)
    end = element.end
  }
  if (end !== fragmentBytes.length) throw malformed('the fragment is cut off', end, 'Segment')
  return unlace(blocks)
}

/** The complete child of a Cluster at `at`; `null` when it reaches past the Cluster's `end`. */
function readClusterChild(bytes: Uint8Array, at: number, end: number): ElementHead | null {
  const head = readElementHead(bytes, at, end)
  if (head === null) return null
  if (head.size === UNKNOWN_SIZE) {
    throw malformed(`${elementName(head.id)} of unknown size`, at, 'Segment/Cluster')
  }
  return head.dataOffset + head.size > end ? null : head
}

function findClusterEnd(bytes: Uint8Array, start: number): { end: number; open: boolean } {
  let at = start
  while (at < bytes.length) {
    const head = readElementHead(bytes, at)
    if (head === null) break
    if (endsUnknownCluster(head.id)) return { end: at, open: false }
    if (head.size === UNKNOWN_SIZE) {
      throw malformed(`${elementName(head.id)} of unknown size`, at, 'Segment/Cluster')
    }
    if (head.dataOffset + head.size > bytes.length) break
    at = head.dataOffset + head.size
  }
  return { end: at, open: true }
}

type TimedBlock = { readonly block: Block; readonly pts: number; readonly scaleNs: number }

function collectBlocks(
  blocks: TimedBlock[],
  bytes: Uint8Array,
  cluster: ScannedElement,
  declared: ReadonlyMap<number, Track>,
): void {
  let timecode: number | null = null
  let end = cluster.dataOffset
  while (end < cluster.end) {
    const child = readClusterChild(bytes, end, cluster.end)
    if (child === null) break
    end = child.dataOffset + child.size
    if (child.id === ElementId.Timecode) timecode = readUnsigned(bytes, child)
    if (child.id !== ElementId.SimpleBlock && child.id !== ElementId.BlockGroup) continue
    if (timecode === null) {
      throw malformed('block before the Timecode', child.offset, 'Segment/Cluster')
    }
    const block = parseBlock(bytes, child)
    const track = declared.get(block.trackNumber)
    if (track === undefined) continue
    const scaleNs = Math.round(1_000_000_000 / track.timescale)
    blocks.push({ block, pts: timecode + block.relativeTicks, scaleNs })
  }
  if (end !== cluster.end) throw malformed('the Cluster is cut off', end, 'Segment/Cluster')
}

/**
 * Frames of a laced block have no times of their own: they share the time until the track's next
 * block evenly, or else the block's own duration, or else go on as the track did before.
 */
function unlace(blocks: readonly TimedBlock[]): readonly StoredSample[] {
  const spacings = new Map<number, number>()
  const samples: StoredSample[] = []
  for (const [i, { block, pts, scaleNs }] of blocks.entries()) {
    const { trackNumber, isKey, frames } = block
    let spacing = 0
    if (frames.length > 1) {
      const next = nextOfTrack(blocks, i)
      const spanTicks = next === undefined ? block.durationTicks : Math.max(next.pts - pts, 0)
      spacing = spanTicks === null ? (spacings.get(trackNumber) ?? 0) : spanTicks / frames.length
      spacings.set(trackNumber, spacing)
    }
    for (let k = 0; k < frames.length; k++) {
      const ptsMs = rescaleTicks(Math.floor(pts + spacing * k), 1_000_000, scaleNs)
      samples.push({ trackNumber, ptsMs, isKey, data: frames[k]! })
    }
  }
  return samples
}

function nextOfTrack(blocks: readonly TimedBlock[], index: number): TimedBlock | undefined {
  const { trackNumber } = blocks[index]!.block
  for (let i = index + 1; i < blocks.length; i++) {
    if (blocks[i]!.block.trackNumber === trackNumber) return blocks[i]
  }
  return undefined
}

function malformed(message: string, offset: number, path: string): MalformedMediaError {
  return new MalformedMediaError(message, { offset, path })
}
