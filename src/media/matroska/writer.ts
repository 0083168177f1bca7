import type { FragmentNumber } from '../../domain/fragment.ts'
import type { EpochMs } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import { ElementId } from './element-id.ts'
import {
  elementSizeWidth,
  toElementId,
  toElementSize,
  toUnknownSize,
  writeElementSize,
} from './vint.ts'

/** Of every document that we write: one tick is one millisecond (RFC 9559 §5.1.2.9). */
export const TIMECODE_SCALE_NS = 1_000_000

/** Largest distance of a block from its Cluster's Timecode: it is a signed 16-bit number. */
export const MAX_RELATIVE_MS = 32_767

export type HeaderOptions = { readonly title?: string }

/**
 * A live Matroska document up to its first Cluster: EBML header, the start of a Segment of unknown
 * size, Info without Duration, Tracks. The same tracks always give the same bytes.
 */
export function toMatroskaHeader(
  tracks: readonly Track[],
  options: HeaderOptions = {},
): Uint8Array {
  return concat([
    element(ElementId.Ebml, [
      unsigned(ElementId.EbmlVersion, 1),
      unsigned(ElementId.EbmlReadVersion, 1),
      unsigned(ElementId.EbmlMaxIdLength, 4),
      unsigned(ElementId.EbmlMaxSizeLength, 8),
      text(ElementId.DocType, 'matroska'),
      unsigned(ElementId.DocTypeVersion, 4),
      unsigned(ElementId.DocTypeReadVersion, 2), // SimpleBlock came with version 2
    ]),
    openElement(ElementId.Segment),
    element(ElementId.Info, [
      unsigned(ElementId.TimecodeScale, TIMECODE_SCALE_NS),
      ...(options.title === undefined ? [] : [text(ElementId.Title, options.title)]),
      text(ElementId.MuxingApp, 'Kinora'),
      text(ElementId.WritingApp, 'Kinora'),
    ]),
    element(ElementId.Tracks, tracks.map(trackEntry)),
  ])
}

/**
 * The beginning of a Cluster of unknown size. What follows until the next Segment-level element
 * belongs to it.
 *
 * @param timecodeMs 0..2^53-1
 */
export function clusterStart(timecodeMs: number): Uint8Array {
  return concat([
    openElement(ElementId.Cluster),
    toElementId(ElementId.Timecode),
    toElementSize(8),
    unsignedOfWidth(timecodeMs, 8),
  ])
}

export type BlockStart = {
  /** 1..126 */
  readonly trackNumber: number
  /** To the Cluster's Timecode: -32,768..32,767. */
  readonly relativeMs: number
  readonly isKey: boolean
  readonly payloadLength: number
}

/**
 * Everything of a SimpleBlock but its payload, which the caller appends as it is:
 *
 * ```
 * A3 | size | 80h + track | relative time, int16 | 80h: key | payload ...
 * ```
 *
 * RFC 9559 §10.2. The head is a fresh array; the payload needs no copy.
 */
export function simpleBlockHead(block: BlockStart): Uint8Array {
  const { trackNumber, relativeMs, isKey, payloadLength } = block
  if (trackNumber < 1 || trackNumber > 126) {
    throw new RangeError(`track number ${trackNumber} is not in 1..126`)
  }
  if (relativeMs < -MAX_RELATIVE_MS - 1 || relativeMs > MAX_RELATIVE_MS) {
    throw new RangeError(`a block cannot lie ${relativeMs} ms from its cluster`)
  }
  const width = elementSizeWidth(4 + payloadLength)
  const head = new Uint8Array(1 + width + 4)
  head[0] = ElementId.SimpleBlock
  writeElementSize(head, 1, 4 + payloadLength, width)
  let at = 1 + width
  head[at++] = 0x80 | trackNumber
  head[at++] = (relativeMs >> 8) & 0xff
  head[at++] = relativeMs & 0xff
  head[at] = isKey ? 0x80 : 0
  return head
}

/**
 * The Tags that stand before a fragment's Cluster in the archive and in a GetMedia answer, with
 * 4-byte sizes and without Targets, as captured from the service.
 */
export function fragmentTags(tags: {
  readonly fragmentNumber: FragmentNumber
  readonly serverTimestamp: EpochMs
  readonly producerTimestamp: EpochMs
}): Uint8Array {
  return tagsElement([
    [FRAGMENT_NUMBER_TAG, tags.fragmentNumber],
    [SERVER_TIMESTAMP_TAG, toSeconds(tags.serverTimestamp)],
    [PRODUCER_TIMESTAMP_TAG, toSeconds(tags.producerTimestamp)],
  ])
}

export const FRAGMENT_NUMBER_TAG = 'AWS_KINESISVIDEO_FRAGMENT_NUMBER'
export const SERVER_TIMESTAMP_TAG = 'AWS_KINESISVIDEO_SERVER_TIMESTAMP'
export const PRODUCER_TIMESTAMP_TAG = 'AWS_KINESISVIDEO_PRODUCER_TIMESTAMP'

/** One Tags element with one Tag of these names and values (RFC 9559 §5.1.8), 4-byte sizes. */
export function tagsElement(
  pairs: readonly (readonly [name: string, value: string])[],
): Uint8Array {
  // Sizes first, then all of it in one piece of memory, because every fragment has such Tags.
  const simpleTags = pairs.map(([name, value]) => {
    const [nameBytes, valueBytes] = [Buffer.byteLength(name), Buffer.byteLength(value)]
    return { name, nameBytes, value, valueBytes, size: 12 + nameBytes + valueBytes }
  })
  const tagSize = simpleTags.reduce((sum, { size }) => sum + 6 + size, 0)
  const bytes = Buffer.allocUnsafe(14 + tagSize)
  let at = writeWideHead(bytes, 0, ElementId.Tags, 6 + tagSize)
  at = writeWideHead(bytes, at, ElementId.Tag, tagSize)
  for (const { name, nameBytes, value, valueBytes, size } of simpleTags) {
    at = writeWideHead(bytes, at, ElementId.SimpleTag, size)
    at = writeWideHead(bytes, at, ElementId.TagName, nameBytes)
    at += bytes.write(name, at)
    at = writeWideHead(bytes, at, ElementId.TagString, valueBytes)
    at += bytes.write(value, at)
  }
  return bytes
}

/** @returns where the element's payload begins: an ID and a size of 4 bytes further */
function writeWideHead(bytes: Buffer, offset: number, id: number, size: number): number {
  const width = id > 0xffff ? 4 : 2 // of the IDs of Tags
  bytes.writeUIntBE(id, offset, width)
  writeElementSize(bytes, offset + width, size, 4)
  return offset + width + 4
}

/**
 * A Void element (RFC 8794 §11.3.2) of exactly `totalBytes`, from 2. Readers skip its payload:
 * `note` there is for us alone.
 */
export function voidElement(totalBytes: number, note: Uint8Array = new Uint8Array(0)): Uint8Array {
  const start = voidStart(totalBytes)
  const bytes = new Uint8Array(totalBytes)
  bytes.set(start)
  bytes.set(note, start.length)
  return bytes
}

/** Only the id and the size of such a Void. */
export function voidStart(totalBytes: number): Uint8Array {
  const sizeWidth = totalBytes - 2 < 127 ? 1 : 8
  const size = toElementSize(totalBytes - 1 - sizeWidth, sizeWidth)
  return concat([toElementId(ElementId.Void), size])
}

function trackEntry(track: Track): Uint8Array {
  const types = { video: 1, audio: 2, data: 0x21 } // RFC 9559 §5.1.4.1.3
  const { video, audio } = track
  return element(ElementId.TrackEntry, [
    unsigned(ElementId.TrackNumber, track.number),
    unsigned(ElementId.TrackUid, track.number),
    unsigned(ElementId.TrackType, types[track.kind]),
    unsigned(ElementId.FlagLacing, 0),
    text(ElementId.Language, 'und'),
    text(ElementId.CodecId, track.codecId),
    ...(track.codecPrivate.length > 0
      ? [element(ElementId.CodecPrivate, [track.codecPrivate])]
      : []),
    ...(video === null
      ? []
      : [
          element(ElementId.Video, [
            unsigned(ElementId.PixelWidth, video.widthPx),
            unsigned(ElementId.PixelHeight, video.heightPx),
          ]),
        ]),
    ...(audio === null
      ? []
      : [
          element(ElementId.Audio, [
            float(ElementId.SamplingFrequency, audio.sampleRateHz),
            unsigned(ElementId.Channels, audio.channels),
            ...(audio.bitDepth === undefined ? [] : [unsigned(ElementId.BitDepth, audio.bitDepth)]),
          ]),
        ]),
  ])
}

/** `sec.mmm`, as the service prints timestamps in Tags. */
function toSeconds(timestamp: EpochMs): string {
  const whole = Math.trunc(timestamp / 1000)
  const sign = timestamp < 0 && whole === 0 ? '-' : ''
  return `${sign}${whole}.${String(Math.abs(timestamp % 1000)).padStart(3, '0')}`
}

/** An element with its size in as few bytes as hold it. */
export function element(id: number, parts: readonly Uint8Array[]): Uint8Array {
  return concat([toElementId(id), toElementSize(lengthOf(parts)), ...parts])
}

/** Unknown size in the 8-byte form, 01 FF FF FF FF FF FF FF. */
function openElement(id: number): Uint8Array {
  return concat([toElementId(id), toUnknownSize(8)])
}

/** An Unsigned Integer element (RFC 8794 §7.2) in as few bytes as hold the value. */
export function unsigned(id: number, value: number): Uint8Array {
  let width = 1
  while (value >= 256 ** width) width++
  return element(id, [unsignedOfWidth(value, width)])
}

function unsignedOfWidth(value: number, width: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`not an unsigned integer: ${value}`)
  }
  const bytes = new Uint8Array(width)
  let rest = value
  for (let i = width - 1; i >= 0; i--) {
    bytes[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return bytes
}

/** A Float element of 8 bytes (RFC 8794 §7.3). */
export function float(id: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value)
  return element(id, [bytes])
}

export function text(id: number, value: string): Uint8Array {
  return element(id, [Buffer.from(value)])
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(lengthOf(parts))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
