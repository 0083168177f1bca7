import { ServiceError } from '../../domain/errors.ts'
import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'
import type { PacketWriter } from './packet-writer.ts'

export type Program = {
  readonly pcrPid: number
  readonly streams: readonly { readonly pid: number; readonly type: number }[]
}

const PAT_PID = 0
const PMT_PID = 0x1000
const PROGRAM_NUMBER = 1

/** The two packets that say what a transport stream of one program holds (ISO/IEC 13818-1 §2.4.4). */
export function writeProgramTables(writer: PacketWriter, program: Program): void {
  const tables = [
    { pid: PAT_PID, section: toPatSection() },
    { pid: PMT_PID, section: toPmtSection(program) },
  ]
  for (const { pid, section } of tables) {
    writer.write({
      pid,
      isUnitStart: true,
      counter: 0,
      isDiscontinuous: true,
      isRandomAccess: false,
      pcr: null,
      // pointer_field 0: the section begins at once. Behind it stuffing bytes FF (§2.4.4), so that
      // the payload fills the packet.
      payload: Uint8Array.from({ length: PSI_PAYLOAD_BYTES }, (_, i) =>
        i === 0 ? 0 : (section[i - 1] ?? 0xff),
      ),
    })
  }
}

/** What a packet takes beside its header and an adaptation field with flags alone. */
const PSI_PAYLOAD_BYTES = 182

/**
 * Table 2-34.
 *
 * @throws ServiceError `invalid-argument`/`UnsupportedMedia`
 */
export function toStreamType(track: Track): number {
  if (track.codecId === CODEC_AVC) return 0x1b
  if (track.codecId === CODEC_HEVC) return 0x24
  if (track.codecId === CODEC_AAC || track.codecId.startsWith(`${CODEC_AAC}/`)) return 0x0f // ADTS
  throw new ServiceError(
    'invalid-argument',
    'UnsupportedMedia',
    `MPEG-TS carries H.264, H.265 and AAC, not ${track.codecId}.`,
  )
}

function toPatSection(): Uint8Array {
  const program = [...uint16(PROGRAM_NUMBER), ...uint16(0xe000 | PMT_PID)]
  return toSection({ tableId: 0, id: TRANSPORT_STREAM_ID, version: 0, content: program })
}

const TRANSPORT_STREAM_ID = 1

/**
 * Nobody remembers the table before, so its version (§2.4.4.9: another when the table changes) is
 * made of its content.
 */
function toPmtSection({ pcrPid, streams }: Program): Uint8Array {
  const content = [
    ...uint16(0xe000 | pcrPid),
    ...uint16(0xf000), // no program descriptors
    ...streams.flatMap(({ pid, type }) => [type, ...uint16(0xe000 | pid), ...uint16(0xf000)]),
  ]
  const version = crc32Mpeg2(Uint8Array.from(content)) & 0x1f
  return toSection({ tableId: 2, id: PROGRAM_NUMBER, version, content })
}

/**
 * ```
 * | table_id 8 | 1011 | length 12 | id 16 | 11 | version 5 | current 1 | number 8 | last 8 | ... | CRC 32 |
 * ```
 */
function toSection(section: {
  readonly tableId: number
  readonly id: number
  readonly version: number
  readonly content: readonly number[]
}): Uint8Array {
  const { tableId, id, version, content } = section
  const bytes = [
    tableId,
    ...uint16(0xb000 | (5 + content.length + 4)),
    ...uint16(id),
    0xc1 | (version << 1),
    ...[0, 0],
    ...content,
  ]
  const crc = crc32Mpeg2(Uint8Array.from(bytes))
  return Uint8Array.from([...bytes, ...uint16(crc >>> 16), ...uint16(crc & 0xffff)])
}

/** Annex A: polynomial 04C11DB7, begun with ones, neither reflected nor inverted. */
export function crc32Mpeg2(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte << 24
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1
  }
  return crc >>> 0
}

function uint16(value: number): readonly number[] {
  return [(value >> 8) & 0xff, value & 0xff]
}
