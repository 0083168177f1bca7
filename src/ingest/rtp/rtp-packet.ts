/** One RTP data packet (RFC 3550 §5.1). */
export type RtpPacket = {
  readonly marker: boolean
  readonly payloadType: number
  /** 16 bits, wrapping. */
  readonly sequence: number
  /** 32 bits, wrapping. */
  readonly timestamp: number
  readonly ssrc: number
  /** Without padding; a view on the packet. */
  readonly payload: Uint8Array
}

const FIXED_BYTES = 12

/**
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 * |                           timestamp                           |
 * |                             SSRC                              |
 * |                 CSRC, CC times                                |
 * | X: profile word, length in words |  extension ...             |
 * ```
 *
 * @returns `null` when the bytes are no whole packet of version 2
 */
export function parseRtpPacket(bytes: Uint8Array): RtpPacket | null {
  if (bytes.length < FIXED_BYTES || bytes[0]! >> 6 !== 2) return null
  let start = FIXED_BYTES + (bytes[0]! & 0x0f) * 4
  if ((bytes[0]! & 0x10) !== 0) {
    if (start + 4 > bytes.length) return null
    start += 4 + ((bytes[start + 2]! << 8) | bytes[start + 3]!) * 4
  }
  let end = bytes.length
  if ((bytes[0]! & 0x20) !== 0) {
    const padding = bytes[end - 1]!
    // A count of 0 cannot be, since it counts itself; some senders pad nothing and set the bit.
    if (padding > 0) end -= padding
  }
  if (start > end) return null
  return {
    marker: (bytes[1]! & 0x80) !== 0,
    payloadType: bytes[1]! & 0x7f,
    sequence: (bytes[2]! << 8) | bytes[3]!,
    timestamp: readUint32(bytes, 4),
    ssrc: readUint32(bytes, 8),
    payload: bytes.subarray(start, end),
  }
}

/** Without a DataView, which for each packet would cost as much as the rest. */
function readUint32(bytes: Uint8Array, at: number): number {
  return (
    bytes[at]! * 0x1_00_00_00 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
  )
}

/** The same with bytes of its own, for what has to wait. */
export function ownPacket(packet: RtpPacket): RtpPacket {
  return { ...packet, payload: new Uint8Array(packet.payload) }
}
