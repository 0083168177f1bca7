import { MalformedMediaError } from '../../domain/errors.ts'

/** What FLAC's STREAMINFO says of a stream (RFC 9639 §8.2). */
export type FlacStreamInfo = {
  readonly sampleRateHz: number
  readonly channels: number
  readonly bitsPerSample: number
}

/**
 * Reads `fLaC` and the STREAMINFO block behind it: Matroska's CodecPrivate of `A_FLAC`, and the
 * sequence start of Enhanced RTMP.
 *
 * ```
 * | "fLaC" 4 | last 1, type 7 | length 24 | block sizes 2 + 2, frame sizes 3 + 3 |
 * | sample rate 20 | channels - 1, 3 | bits - 1, 5 | samples 36 | MD5 16 |
 * ```
 *
 * @throws MalformedMediaError
 */
export function parseFlacStreamInfo(record: Uint8Array): FlacStreamInfo {
  if (record.length < 4 + 4 + 34) throw malformed('is shorter than 42 bytes', record.length)
  if (String.fromCharCode(...record.subarray(0, 4)) !== 'fLaC') throw malformed('has no magic', 0)
  if ((record[4]! & 0x7f) !== 0) throw malformed('does not begin with STREAMINFO', 4)
  const at = 8 + 10
  const sampleRateHz = (record[at]! << 12) | (record[at + 1]! << 4) | (record[at + 2]! >> 4)
  if (sampleRateHz === 0) throw malformed('has sample rate 0', at)
  return {
    sampleRateHz,
    channels: ((record[at + 2]! >> 1) & 7) + 1,
    bitsPerSample: (((record[at + 2]! & 1) << 4) | (record[at + 3]! >> 4)) + 1,
  }
}

/**
 * What `A_FLAC` wants, from what peers send: FFmpeg's FLV muxer leaves the magic and the block's head
 * out, other than Enhanced RTMP says.
 */
export function toFlacHeader(record: Uint8Array): Uint8Array {
  const isBare = record.length === STREAM_INFO_BYTES && record[0] !== MAGIC[0]
  return isBare ? Buffer.concat([MAGIC, LAST_STREAM_INFO, record]) : record
}

const STREAM_INFO_BYTES = 34
const MAGIC = Buffer.from('fLaC')
const LAST_STREAM_INFO = Uint8Array.of(0x80, 0, 0, STREAM_INFO_BYTES)

function malformed(what: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(`FLAC header ${what}`, { offset, path: 'STREAMINFO' })
}
