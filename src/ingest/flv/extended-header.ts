import type { ByteCursor } from './byte-cursor.ts'

/**
 * What Enhanced RTMP v2 puts before the data of audio and video alike: ModEx prefixes, the wrapping
 * of several tracks, the FourCC.
 *
 * ```
 * ModEx:      | size - 1, 8 [255: size - 1, 16] | data | type 4, packet type 4 |  any number of times
 * multitrack: | kind 4, packet type 4 | [FourCC] | { [FourCC] | track id 8 | [size 24] | data }*
 * one track:  | FourCC | data
 * ```
 */
export type ExtendedPart = {
  readonly packetType: number
  readonly fourCc: string
  /** 0 without multitrack: "the default track, the highest priority one". */
  readonly trackId: number
  readonly data: Uint8Array
}

export const PACKET_SEQUENCE_START = 0
export const PACKET_CODED_FRAMES = 1
export const PACKET_SEQUENCE_END = 2
const PACKET_MOD_EX = 7

const MULTITRACK_ONE = 0
const MULTITRACK_MANY_CODECS = 2
/** More tracks than any encoder sends, so that no message becomes a large structure. */
const MAX_PARTS = 32

/**
 * @param firstPacketType from the first byte, which the caller has read
 * @param multitrackPacketType the one that wraps several tracks: 5 for audio, 6 for video
 * @returns nothing for a command frame, which has one byte and no FourCC
 * @throws MalformedMediaError
 */
export function readExtendedParts(
  cursor: ByteCursor,
  firstPacketType: number,
  multitrackPacketType: number,
): readonly ExtendedPart[] {
  let packetType = firstPacketType
  while (packetType === PACKET_MOD_EX) {
    let size = cursor.byte() + 1
    if (size === 256) size = cursor.unsigned16() + 1
    // The only one defined adds nanoseconds to the timestamp, whose blocks count milliseconds.
    cursor.skip(size)
    packetType = cursor.byte() & 0x0f
  }
  if (packetType === multitrackPacketType) return readTracks(cursor)
  if (cursor.left < 4) {
    if (packetType === PACKET_SEQUENCE_END || cursor.left === 1) return []
    throw cursor.malformed('ends before its FourCC')
  }
  return [{ packetType, fourCc: cursor.fourCc(), trackId: 0, data: cursor.rest() }]
}

function readTracks(cursor: ByteCursor): readonly ExtendedPart[] {
  const first = cursor.byte()
  const kind = first >> 4
  const packetType = first & 0x0f
  const shared = kind === MULTITRACK_MANY_CODECS ? null : cursor.fourCc()
  const parts: ExtendedPart[] = []
  while (cursor.left > 0) {
    if (parts.length === MAX_PARTS) throw cursor.malformed(`has more than ${MAX_PARTS} tracks`)
    const fourCc = shared ?? cursor.fourCc()
    const trackId = cursor.byte()
    const data = kind === MULTITRACK_ONE ? cursor.rest() : cursor.take(cursor.unsigned24())
    parts.push({ packetType, fourCc, trackId, data })
  }
  return parts
}

/** A codec's name in a codec ID, which is ASCII (RFC 9559 §5.1.4.1.21); peers send any bytes. */
export function printableFourCc(fourCc: string): string {
  return /^[!-~]{4}$/.test(fourCc) ? fourCc : Buffer.from(fourCc, 'latin1').toString('hex')
}
