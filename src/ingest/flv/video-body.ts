import { ByteCursor } from './byte-cursor.ts'
import {
  PACKET_CODED_FRAMES,
  PACKET_SEQUENCE_START,
  printableFourCc,
  readExtendedParts,
  type ExtendedPart,
} from './extended-header.ts'

/**
 * Bodies of video messages: FLV tags (Adobe FLV 10.1, Annex E.4.3) and their extension by FourCC
 * (Enhanced RTMP v2, "Enhanced Video"). Data parts are views on the body, not copies.
 */
export type FlvVideo =
  | { readonly type: 'config'; readonly codec: VideoCodec; readonly record: Uint8Array }
  | {
      readonly type: 'sample'
      readonly codec: VideoCodec
      readonly isKey: boolean
      /** Presentation minus decode time, milliseconds; signed. */
      readonly compositionMs: number
      readonly data: Uint8Array
    }
  | FlvUnknown
  | FlvNothing

export type VideoCodec = 'avc' | 'hevc' | 'vvc' | 'av1' | 'vp9' | 'vp8'

/** A codec that we have no name for in Matroska: kept as it came. */
export type FlvUnknown = {
  readonly type: 'unknown'
  /** FLV's number or the FourCC. */
  readonly codec: string
  readonly isConfig: boolean
  readonly data: Uint8Array
}

/** Nothing to store: end of sequence, HDR metadata, a further picture, an empty tag. */
export type FlvNothing = {
  readonly type: 'nothing'
  /** Why, when somebody may miss it. */
  readonly dropped: string | null
}

export const NOTHING: FlvNothing = { type: 'nothing', dropped: null }

const FRAME_KEY = 1
const FRAME_INFO = 5

/** FLV CodecID. 12 is what the http-flv world uses for HEVC, with AVC's layout. */
const LEGACY_VIDEO: Record<number, VideoCodec> = { 7: 'avc', 12: 'hevc' }
const FOURCC_VIDEO: Record<string, VideoCodec> = {
  avc1: 'avc',
  hvc1: 'hevc',
  vvc1: 'vvc',
  av01: 'av1',
  vp09: 'vp9',
  vp08: 'vp8',
}
export const VIDEO_FOURCCS = Object.keys(FOURCC_VIDEO)

/** "Enhanced Video": only these have a composition time in CodedFrames. */
const WITH_COMPOSITION_TIME = new Set<VideoCodec>(['avc', 'hevc', 'vvc'])

const PACKET_CODED_FRAMES_X = 3
const VIDEO_PACKET_MULTITRACK = 6

/**
 * ```
 * legacy:    | frame type 4 | codec id 4 | packet type 8 | composition time s24 | data
 * by FourCC: | 1 | frame type 3 | packet type 4 | [ModEx] [multitrack] | FourCC | [s24] | data
 * ```
 * Of several pictures in one message the first is taken, whose id is 0: a fragment is cut at the key
 * samples of one.
 *
 * @throws MalformedMediaError when the body ends inside its header
 */
export function parseFlvVideo(body: Uint8Array): FlvVideo {
  if (body.length === 0) return NOTHING
  const first = body[0]!
  if ((first & 0x80) !== 0) return parseExtendedVideo(body)
  const frameType = first >> 4
  if (frameType === FRAME_INFO) return NOTHING
  const codecId = first & 0x0f
  const codec = LEGACY_VIDEO[codecId]
  if (codec === undefined) return toUnknown(String(codecId), body)
  const cursor = new ByteCursor(body, 1, 'FLV video tag')
  const packetType = cursor.byte()
  const compositionMs = cursor.signed24()
  const isKey = frameType === FRAME_KEY
  if (packetType === PACKET_SEQUENCE_START) return { type: 'config', codec, record: cursor.rest() }
  if (packetType !== PACKET_CODED_FRAMES) return NOTHING
  return toSample(codec, isKey, compositionMs, cursor.rest())
}

function parseExtendedVideo(body: Uint8Array): FlvVideo {
  const cursor = new ByteCursor(body, 0, 'enhanced FLV video tag')
  const first = cursor.byte()
  const frameType = (first >> 4) & 7
  const parts = readExtendedParts(cursor, first & 0x0f, VIDEO_PACKET_MULTITRACK)
  // "Enhanced Video": with a command frame a command byte stands where the FourCC would.
  if (frameType === FRAME_INFO || parts.length === 0) return NOTHING
  const part = parts.find(({ trackId }) => trackId === 0)
  if (part === undefined) return { type: 'nothing', dropped: 'further-video-track' }
  return toVideo(part, frameType === FRAME_KEY)
}

function toVideo({ packetType, fourCc, data }: ExtendedPart, isKey: boolean): FlvVideo {
  const codec = FOURCC_VIDEO[fourCc]
  if (codec === undefined) {
    const name = printableFourCc(fourCc)
    if (packetType === PACKET_SEQUENCE_START) {
      return { type: 'unknown', codec: name, isConfig: true, data }
    }
    return isCoded(packetType) ? toUnknown(name, data) : NOTHING
  }
  if (packetType === PACKET_SEQUENCE_START) return { type: 'config', codec, record: data }
  if (!isCoded(packetType)) return NOTHING
  // CodedFramesX: "composition time offset is implied to equal zero".
  if (packetType === PACKET_CODED_FRAMES_X || !WITH_COMPOSITION_TIME.has(codec)) {
    return toSample(codec, isKey, 0, data)
  }
  const inside = new ByteCursor(data, 0, 'enhanced FLV video tag')
  const compositionMs = inside.signed24()
  return toSample(codec, isKey, compositionMs, inside.rest())
}

function isCoded(packetType: number): boolean {
  return packetType === PACKET_CODED_FRAMES || packetType === PACKET_CODED_FRAMES_X
}

function toSample(
  codec: VideoCodec,
  isKey: boolean,
  compositionMs: number,
  data: Uint8Array,
): FlvVideo {
  if (data.length === 0) return NOTHING
  return { type: 'sample', codec, isKey, compositionMs, data }
}

function toUnknown(codec: string, data: Uint8Array): FlvUnknown | FlvNothing {
  return data.length === 0 ? NOTHING : { type: 'unknown', codec, isConfig: false, data }
}
