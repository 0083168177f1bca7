import { MalformedMediaError } from '../../domain/errors.ts'
import { ElementId, elementName } from './element-id.ts'
import { readElementHead, toElementId, UNKNOWN_SIZE, type ElementHead } from './vint.ts'
import { concat, element, float, text, TIMECODE_SCALE_NS, unsigned, voidElement } from './writer.ts'

/**
 * What a document says when nothing follows any more: its Duration, and where to seek.
 * Lengths and places are in bytes of the file unless a name says otherwise.
 */

/** A place to which a player may jump: a Cluster that starts with a key frame. */
export type CuePoint = {
  /** The Cluster's Timecode. */
  readonly timecode: number
  readonly trackNumber: number
  readonly clusterOffset: number
}

/** Where the Segment's payload begins: positions in Cues and SeekHead count from there (§16). */
export function segmentStartOf(header: Uint8Array): number {
  return segmentOf(header).dataOffset
}

/** Cues (RFC 9559 §5.1.5), in order of time as players that search by halves need them. */
export function cuesElement(points: readonly CuePoint[], segmentStart: number): Uint8Array {
  const ordered = points.toSorted(
    (a, b) => a.timecode - b.timecode || a.clusterOffset - b.clusterOffset,
  )
  return element(
    ElementId.Cues,
    ordered.map(({ timecode, trackNumber, clusterOffset }) =>
      element(ElementId.CuePoint, [
        unsigned(ElementId.CueTime, timecode),
        element(ElementId.CueTrackPositions, [
          unsigned(ElementId.CueTrack, trackNumber),
          unsigned(ElementId.CueClusterPosition, clusterOffset - segmentStart),
        ]),
      ]),
    ),
  )
}

/**
 * The front of a finished document, in exactly `frontBytes`, so that nothing behind it moves:
 *
 * ```
 * EBML | Segment | SeekHead | Info with Duration | Tracks ... | Void
 * ```
 *
 * All elements are the producer's, byte for byte, but for Info, which gains the Duration; a SeekHead,
 * Void or CRC-32 of its own, which would tell about another file, goes. The Segment's size stays
 * unknown: FFmpeg drops the Cues of a Segment of known size in which a Cluster's size is not.
 */
export function finishedFront(
  header: Uint8Array,
  options: {
    /** Length of the header and what was reserved behind it: at least 160 more. */
    readonly frontBytes: number
    readonly cuesOffset: number
    readonly durationTicks: number
  },
): Uint8Array {
  const { frontBytes, cuesOffset, durationTicks } = options
  const segment = segmentOf(header)
  const segmentStart = segment.dataOffset
  const kept: { readonly id: number; readonly bytes: Uint8Array }[] = []
  for (const head of elements(header, segment.dataOffset, header.length)) {
    if (REPLACED.has(head.id)) continue
    const end = head.dataOffset + head.size
    const isInfo = head.id === ElementId.Info
    const bytes = isInfo
      ? withDuration(header, head, durationTicks)
      : header.subarray(head.offset, end)
    kept.push({ id: head.id, bytes })
  }
  if (!kept.some(({ id }) => id === ElementId.Info)) {
    kept.unshift({ id: ElementId.Info, bytes: infoElement(durationTicks) })
  }

  // The SeekHead's own length moves what it points to, so every position takes eight bytes.
  const seekHeadBytes = seekHead([
    [ElementId.Cues, 0],
    ...kept.map(({ id }): [number, number] => [id, 0]),
  ]).length
  const entries: [id: number, position: number][] = []
  let at = segmentStart + seekHeadBytes
  for (const { id, bytes } of kept) {
    entries.push([id, at - segmentStart])
    at += bytes.length
  }
  entries.push([ElementId.Cues, cuesOffset - segmentStart])
  return concat([
    header.subarray(0, segmentStart),
    seekHead(entries),
    ...kept.map(({ bytes }) => bytes),
    voidElement(frontBytes - at),
  ])
}

/**
 * The header out of a front whose copy of it is lost. Exact when the producer's header had no
 * Duration, SeekHead, Void or CRC-32 and wrote Info's size in as few bytes as hold it.
 */
export function headerOfFinishedFront(front: Uint8Array): Uint8Array {
  const segment = segmentOf(front)
  const parts = [front.subarray(0, segment.dataOffset)]
  for (const head of elements(front, segment.dataOffset, front.length)) {
    if (head.id === ElementId.Info) parts.push(element(head.id, childrenKept(front, head)))
    else if (!REPLACED.has(head.id)) parts.push(bytesOf(front, head))
  }
  return concat(parts)
}

const REPLACED: ReadonlySet<number> = new Set([ElementId.SeekHead, ElementId.Void, ElementId.Crc32])

function segmentOf(header: Uint8Array): ElementHead {
  const ebml = readElementHead(header, 0)
  const segment = ebml === null ? null : readElementHead(header, ebml.dataOffset + ebml.size)
  if (segment?.id === ElementId.Segment) return segment
  throw new MalformedMediaError('no Segment after the EBML header', { offset: 0, path: 'Segment' })
}

/** Once each: Tags may occur several times, and then the first is what is found. */
function seekHead(entries: readonly (readonly [id: number, position: number])[]): Uint8Array {
  const unique = new Map<number, number>()
  for (const [id, position] of entries) if (!unique.has(id)) unique.set(id, position)
  return element(
    ElementId.SeekHead,
    [...unique].map(([id, position]) =>
      element(ElementId.Seek, [
        element(ElementId.SeekId, [toElementId(id)]),
        element(ElementId.SeekPosition, [bigEndian(position)]),
      ]),
    ),
  )
}

function bigEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

function withDuration(header: Uint8Array, info: ElementHead, durationTicks: number): Uint8Array {
  const duration = float(ElementId.Duration, durationTicks)
  return element(ElementId.Info, [...childrenKept(header, info), duration])
}

/** The children of Info, but for what a finished document says anew. */
function childrenKept(bytes: Uint8Array, info: ElementHead): Uint8Array[] {
  return [...elements(bytes, info.dataOffset, info.dataOffset + info.size)]
    .filter(({ id }) => id !== ElementId.Duration && !REPLACED.has(id))
    .map((head) => bytesOf(bytes, head))
}

function bytesOf(bytes: Uint8Array, head: ElementHead): Uint8Array {
  return bytes.subarray(head.offset, head.dataOffset + head.size)
}

function infoElement(durationTicks: number): Uint8Array {
  return element(ElementId.Info, [
    unsigned(ElementId.TimecodeScale, TIMECODE_SCALE_NS),
    text(ElementId.MuxingApp, 'Kinora'),
    text(ElementId.WritingApp, 'Kinora'),
    float(ElementId.Duration, durationTicks),
  ])
}

function* elements(bytes: Uint8Array, from: number, end: number): Generator<ElementHead> {
  for (let offset = from; offset < end;) {
    const head = readElementHead(bytes.subarray(0, end), offset)
    if (head === null || head.size === UNKNOWN_SIZE || head.dataOffset + head.size > end) {
      const path = head === null ? 'Segment' : `Segment/${elementName(head.id)}`
      throw new MalformedMediaError('not a whole header', { offset, path })
    }
    yield head
    offset = head.dataOffset + head.size
  }
}
