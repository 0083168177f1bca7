import { epochMs, type EpochMs } from '../../domain/time.ts'

/** What we read of RTCP (RFC 3550 §6): clocks, ends, names. */
export type RtcpPacket =
  | {
      readonly type: 'sender-report'
      readonly ssrc: number
      /** NTP timestamp: seconds since 1900 (mod 2^32) and their fraction in 2^-32 s. */
      readonly ntpSeconds: number
      readonly ntpFraction: number
      readonly rtpTimestamp: number
      readonly packets: number
      readonly octets: number
    }
  | { readonly type: 'receiver-report'; readonly ssrc: number }
  | { readonly type: 'source-description'; readonly ssrc: number; readonly cname: string }
  | { readonly type: 'bye'; readonly sources: readonly number[] }

const SENDER_REPORT = 200
const RECEIVER_REPORT = 201
const SOURCE_DESCRIPTION = 202
const BYE = 203
const CNAME = 1

/**
 * Reads the packets of one compound packet. Types that we have no use for are passed over, and
 * cameras send a sender report by itself, so the rule of §6.1 about the first one is not asked for.
 *
 * ```
 * |V=2|P| count |  type  | length in words - 1 | ...
 * ```
 *
 * @returns `null` when a packet is not of version 2 or longer than the rest
 */
export function parseRtcp(bytes: Uint8Array): readonly RtcpPacket[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const packets: RtcpPacket[] = []
  let offset = 0
  while (offset < bytes.length) {
    if (offset + 4 > bytes.length || bytes[offset]! >> 6 !== 2) return null
    const end = offset + 4 + view.getUint16(offset + 2) * 4
    if (end > bytes.length) return null
    const packet = parseOne(bytes, view, offset, end)
    if (packet !== null) packets.push(packet)
    offset = end
  }
  return packets
}

function parseOne(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  end: number,
): RtcpPacket | null {
  const count = bytes[offset]! & 0x1f
  switch (bytes[offset + 1]) {
    case SENDER_REPORT:
      if (offset + 28 > end) return null
      return {
        type: 'sender-report',
        ssrc: view.getUint32(offset + 4),
        ntpSeconds: view.getUint32(offset + 8),
        ntpFraction: view.getUint32(offset + 12),
        rtpTimestamp: view.getUint32(offset + 16),
        packets: view.getUint32(offset + 20),
        octets: view.getUint32(offset + 24),
      }
    case RECEIVER_REPORT:
      return offset + 8 > end ? null : { type: 'receiver-report', ssrc: view.getUint32(offset + 4) }
    case SOURCE_DESCRIPTION:
      return parseCname(bytes, view, offset + 4, end)
    case BYE: {
      const sources: number[] = []
      for (let at = offset + 4; sources.length < count && at + 4 <= end; at += 4) {
        sources.push(view.getUint32(at))
      }
      return { type: 'bye', sources }
    }
    default:
      return null
  }
}

/** The CNAME of the first chunk (§6.5.1). */
function parseCname(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): RtcpPacket | null {
  if (start + 4 > end) return null
  let offset = start + 4
  while (offset + 2 <= end && bytes[offset] !== 0) {
    const length = bytes[offset + 1]!
    if (offset + 2 + length > end) return null
    if (bytes[offset] === CNAME) {
      const text = Buffer.from(bytes.subarray(offset + 2, offset + 2 + length)).toString('utf8')
      return { type: 'source-description', ssrc: view.getUint32(start), cname: text }
    }
    offset += 2 + length
  }
  return null
}

/** NTP time 0 in Unix time (RFC 3550 §4). */
const NTP_TO_UNIX_SECONDS = 2_208_988_800

/**
 * Unix milliseconds of an NTP timestamp; `null` for the 0 of a sender that has no wall clock (RFC
 * 3550 §6.4.1). Without the first bit the seconds have wrapped, in February 2036 (RFC 4330 §3). A clock
 * that was never set is let through: it still tells how the tracks lie to each other.
 */
export function toWallMs(ntpSeconds: number, ntpFraction: number): EpochMs | null {
  if (ntpSeconds === 0 && ntpFraction === 0) return null
  const seconds = ntpSeconds < 2 ** 31 ? ntpSeconds + 2 ** 32 : ntpSeconds
  return epochMs(Math.round((seconds - NTP_TO_UNIX_SECONDS + ntpFraction / 2 ** 32) * 1000))
}
