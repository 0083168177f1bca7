import type { SegmentTrack } from '../fmp4/media-segment.ts'
import { planPackets } from './multiplex.ts'
import { toPesUnits } from './pes-units.ts'
import { toStreamType, writeProgramTables } from './program-tables.ts'
import { PACKET_BYTES, PacketWriter } from './packet-writer.ts'

/**
 * One MPEG-TS media segment (ISO/IEC 13818-1; RFC 8216 §3.2), whole by itself: PAT, PMT, then the
 * samples as Annex B and ADTS in PES packets. Made of its samples alone, so that the same fragment
 * gives the same bytes whenever it is asked for; and segments join in any order in which their times
 * rise:
 *
 * 1. Times are `baseDecodeTime` at 90 kHz modulo 2^33 (§2.4.3.7), wall time unless it was rebased: the
 *    same instant has the same PTS in every segment. PCR is the decode time less `PCR_LEAD_TICKS`.
 * 2. The packets of each elementary stream are a multiple of 16, counted from 0: the next segment's
 *    continuity counters go on where this one's end, and none of them has to be told.
 * 3. PAT and PMT come once, so their counters cannot go on: their packets set discontinuity_indicator
 *    (§2.4.3.5), which on PIDs without PCR says just that and nothing about the time base.
 *
 * @param segment.tracks as for `toMediaSegment`: H.264, H.265 and AAC; at most one of video. A track
 *   without samples is announced all the same, so that segments of one header have one PMT.
 * @param allocate where the bytes go; may hold anything
 * @throws ServiceError `invalid-argument`/`UnsupportedMedia` for another codec, or AAC that ADTS has no
 *   words for; MalformedMediaError when a codec's private data cannot be read
 */
export function toTsSegment(
  segment: { readonly tracks: readonly SegmentTrack[] },
  allocate: (sizeBytes: number) => Uint8Array = (sizeBytes) => new Uint8Array(sizeBytes),
): Uint8Array {
  const streams = segment.tracks.map(({ track, ...run }, i) => ({
    pid: FIRST_PID + i,
    type: toStreamType(track),
    units: toPesUnits({ track, ...run }),
  }))
  const packets = planPackets(streams)
  const bytes = allocate((TABLE_PACKETS + packets.length) * PACKET_BYTES)
  const writer = new PacketWriter(bytes)
  writeProgramTables(writer, { pcrPid: FIRST_PID, streams })
  for (const packet of packets) writer.write(packet)
  return bytes
}

/** The PID of the first track; the others follow. It carries the PCR. */
const FIRST_PID = 0x100
/** PAT and PMT. */
const TABLE_PACKETS = 2
