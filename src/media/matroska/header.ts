import { MalformedMediaError } from '../../domain/errors.ts'
import { CODEC_AVC, type Track } from '../../domain/track.ts'
import { ElementId, elementName } from './element-id.ts'
import { FRAGMENT_NUMBER_TAG, TIMECODE_SCALE_NS } from './writer.ts'
import { parseTags } from './tags.ts'
import { readFloat, readText, readUnsigned } from './value.ts'
import {
  readElementHead,
  toElementId,
  toUnknownSize,
  UNKNOWN_SIZE,
  type ElementHead,
} from './vint.ts'

/** What a document says before its first Cluster. */
export type MatroskaHeader = {
  /** Bytes before the first Cluster, or before the Tags of the first archived fragment. */
  readonly headerLength: number
  readonly tracks: readonly Track[]
  /** Nanoseconds per tick of the Timecodes (RFC 9559 §5.1.2.9). */
  readonly timecodeScaleNs: number
}

/**
 * Reads a document's header: EBML header, Segment start, Info, Tracks, and whatever else stands
 * before the first fragment.
 *
 * @returns `null` when `bytes` ends before the first Cluster begins; call again with more. Bound
 *   what you are ready to hold: a peer may never send a Cluster.
 * @throws MalformedMediaError when this can never become a Matroska document with tracks
 */
export function parseHeader(bytes: Uint8Array): MatroskaHeader | null {
  return readHeader(bytes).found
}

/**
 * Reads a header of which `bytes` is the whole and nothing else.
 *
 * @throws MalformedMediaError when something is missing or cut
 */
export function parseWholeHeader(bytes: Uint8Array): MatroskaHeader {
  const { found, offset, draft } = readHeader(bytes)
  const header = found ?? draft
  if (header === null || (found ?? { headerLength: offset }).headerLength !== bytes.length) {
    throw new MalformedMediaError('not exactly one whole header', { offset, path: 'Segment' })
  }
  return { ...header, headerLength: bytes.length }
}

/**
 * The same header with a Segment of unknown size, byte for byte as long: more Clusters may follow
 * than its producer thought. Answers the argument itself when there is nothing to change.
 */
export function toOpenHeader(header: Uint8Array): Uint8Array {
  const ebml = readElementHead(header, 0)
  const segment = ebml === null ? null : readElementHead(header, ebml.dataOffset + ebml.size)
  if (segment === null || segment.size === UNKNOWN_SIZE) return header
  const open = Uint8Array.from(header)
  open.set(toUnknownSize(segment.dataOffset - segment.sizeOffset), segment.sizeOffset)
  return open
}

type HeaderScan = {
  /** Set once the first Cluster or archived fragment was seen. */
  readonly found: MatroskaHeader | null
  /** What was read when the bytes ended, if Tracks was among it. */
  readonly draft: MatroskaHeader | null
  /** Where reading stopped. */
  readonly offset: number
}

function readHeader(bytes: Uint8Array): HeaderScan {
  const magic = toElementId(ElementId.Ebml)
  if (magic.some((byte, i) => i < bytes.length && bytes[i] !== byte)) {
    throw malformed('does not begin with an EBML header', 0)
  }
  const ebml = readElementHead(bytes, 0)
  if (ebml === null) return { found: null, draft: null, offset: 0 }
  if (ebml.size === UNKNOWN_SIZE) {
    throw malformed('EBML header of unknown size', 0)
  }
  let offset = ebml.dataOffset + ebml.size
  if (offset > bytes.length) return { found: null, draft: null, offset: 0 }
  checkEbmlHeader(bytes, ebml)

  const segment = readElementHead(bytes, offset)
  if (segment === null) return { found: null, draft: null, offset }
  if (segment.id !== ElementId.Segment) throw malformed('no Segment after the EBML header', offset)
  offset = segment.dataOffset

  let timecodeScaleNs = TIMECODE_SCALE_NS
  let entries: readonly TrackEntry[] | null = null
  const draft = (): MatroskaHeader | null =>
    entries === null
      ? null
      : { headerLength: offset, timecodeScaleNs, tracks: toTracks(entries, timecodeScaleNs) }

  for (;;) {
    const head = readElementHead(bytes, offset)
    if (head === null) return { found: null, draft: draft(), offset }
    if (head.id === ElementId.Cluster)
      return { found: needTracks(draft(), offset), draft: null, offset }
    if (head.size === UNKNOWN_SIZE) {
      throw malformed(`${elementName(head.id)} of unknown size`, offset)
    }
    const end = head.dataOffset + head.size
    if (end > bytes.length) return { found: null, draft: draft(), offset }
    if (head.id === ElementId.Info) timecodeScaleNs = readTimecodeScale(bytes, head)
    if (head.id === ElementId.Tracks) entries = readTrackEntries(bytes, head)
    if (head.id === ElementId.Tags && isFragmentTags(bytes, head)) {
      return { found: needTracks(draft(), offset), draft: null, offset }
    }
    offset = end
  }
}

function needTracks(header: MatroskaHeader | null, offset: number): MatroskaHeader {
  if (header === null) throw malformed('Cluster before Tracks', offset)
  return header
}

function isFragmentTags(bytes: Uint8Array, head: ElementHead): boolean {
  return parseTags(bytes, head).some(({ name }) => name === FRAGMENT_NUMBER_TAG)
}

function checkEbmlHeader(bytes: Uint8Array, ebml: ElementHead): void {
  for (const child of children(bytes, ebml)) {
    if (child.id !== ElementId.DocType) continue
    const docType = readText(bytes, child)
    if (docType !== 'matroska' && docType !== 'webm') {
      throw malformed(`DocType is not matroska`, child.offset, 'EBML/DocType')
    }
  }
}

function readTimecodeScale(bytes: Uint8Array, info: ElementHead): number {
  let scaleNs = TIMECODE_SCALE_NS
  for (const child of children(bytes, info)) {
    if (child.id === ElementId.TimecodeScale) scaleNs = readUnsigned(bytes, child)
  }
  // KVS PutMedia, "TimecodeScale": 100 ns to 1 s.
  if (scaleNs < 100 || scaleNs > 1_000_000_000) {
    throw malformed(`TimecodeScale ${scaleNs} is not 100 ns to 1 s`, info.offset, 'Info')
  }
  return scaleNs
}

type TrackEntry = Omit<Track, 'timescale'>

function toTracks(entries: readonly TrackEntry[], timecodeScaleNs: number): readonly Track[] {
  return entries.map((entry) => ({ ...entry, timescale: 1_000_000_000 / timecodeScaleNs }))
}

function readTrackEntries(bytes: Uint8Array, tracks: ElementHead): readonly TrackEntry[] {
  const entries: TrackEntry[] = []
  for (const child of children(bytes, tracks)) {
    if (child.id !== ElementId.TrackEntry) continue
    const entry = readTrackEntry(bytes, child)
    if (entries.some(({ number }) => number === entry.number)) {
      throw malformed(`track ${entry.number} is declared twice`, child.offset, 'Tracks/TrackEntry')
    }
    entries.push(entry)
  }
  if (entries.length === 0) throw malformed('Tracks has no TrackEntry', tracks.offset, 'Tracks')
  return entries
}

function readTrackEntry(bytes: Uint8Array, entry: ElementHead): TrackEntry {
  let number = 0
  let type = 0
  let codecId = ''
  let codecPrivate: Uint8Array = new Uint8Array(0)
  let video: Track['video'] = null
  let audio: Track['audio'] = null
  for (const child of children(bytes, entry)) {
    const { id, dataOffset, size } = child
    if (id === ElementId.TrackNumber) number = readUnsigned(bytes, child)
    else if (id === ElementId.TrackType) type = readUnsigned(bytes, child)
    else if (id === ElementId.CodecId) codecId = toCodecId(readText(bytes, child))
    else if (id === ElementId.CodecPrivate) {
      // A copy, because it outlives the bytes that it came in (and Buffer's slice would be none).
      codecPrivate = Uint8Array.from(bytes.subarray(dataOffset, dataOffset + size))
    } else if (id === ElementId.Video) video = readVideo(bytes, child)
    else if (id === ElementId.Audio) audio = readAudio(bytes, child)
    else if (id === ElementId.ContentEncodings) {
      // Compressed or encrypted blocks; no producer of live media writes them.
      throw malformed('ContentEncodings are not supported', child.offset, 'Tracks/TrackEntry')
    }
  }
  if (number < 1 || codecId === '') {
    throw malformed('TrackEntry without number or codec', entry.offset, 'Tracks/TrackEntry')
  }
  const kind = type === 1 ? 'video' : type === 2 ? 'audio' : 'data'
  return { number, kind, codecId, codecPrivate, video, audio }
}

/** KVS PutMedia documents an ID for H.264 that Matroska does not have. */
function toCodecId(text: string): string {
  return text === 'V_MPEG/ISO/AVC' ? CODEC_AVC : text
}

function readVideo(bytes: Uint8Array, element: ElementHead): Track['video'] {
  let widthPx = 0
  let heightPx = 0
  for (const child of children(bytes, element)) {
    if (child.id === ElementId.PixelWidth) widthPx = readUnsigned(bytes, child)
    else if (child.id === ElementId.PixelHeight) heightPx = readUnsigned(bytes, child)
  }
  return { widthPx, heightPx }
}

function readAudio(bytes: Uint8Array, element: ElementHead): Track['audio'] {
  let sampleRateHz = 8000 // both defaults: RFC 9559 §5.1.4.1.29
  let channels = 1
  let bitDepth: number | null = null
  for (const child of children(bytes, element)) {
    if (child.id === ElementId.SamplingFrequency) sampleRateHz = readFloat(bytes, child)
    else if (child.id === ElementId.Channels) channels = readUnsigned(bytes, child)
    else if (child.id === ElementId.BitDepth) bitDepth = readUnsigned(bytes, child)
  }
  return { sampleRateHz, channels, ...(bitDepth === null ? {} : { bitDepth }) }
}

/** The children of an element that lies in `bytes` whole. */
function* children(bytes: Uint8Array, parent: ElementHead): Generator<ElementHead> {
  const end = parent.dataOffset + parent.size
  const within = bytes.subarray(0, end)
  for (let offset = parent.dataOffset; offset < end;) {
    const head = readElementHead(within, offset)
    if (head === null || head.size === UNKNOWN_SIZE || head.dataOffset + head.size > end) {
      throw malformed('child element reaches past its parent', offset, elementName(parent.id))
    }
    yield head
    offset = head.dataOffset + head.size
  }
}

function malformed(message: string, offset: number, path = 'Segment'): MalformedMediaError {
  return new MalformedMediaError(message, { offset, path })
}
