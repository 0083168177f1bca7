import { MalformedMediaError } from '../../domain/errors.ts'

/**
 * OpusHead (RFC 7845 §5.1), the private data of A_OPUS, for one or two channels in mapping family 0:
 *
 * ```
 * | "OpusHead" | version 1 | channels 8 | pre-skip 16 | input rate 32 | gain 16 | family 8 |
 * ```
 *
 * The pre-skip is 0: a live stream begins in the middle, and nothing of it is padding.
 */
export function toOpusHead(options: {
  readonly channels: 1 | 2
  /** Of what was encoded; decoders put out 48 kHz whatever it is. */
  readonly inputRateHz: number
}): Uint8Array {
  const head = new Uint8Array(19)
  head.set(Buffer.from('OpusHead'))
  head[8] = 1
  head[9] = options.channels
  new DataView(head.buffer).setUint32(12, options.inputRateHz, true)
  return head
}

/** Every decoder puts it out; the rate in the header is that of what was encoded. */
export const OPUS_SAMPLE_RATE_HZ = 48_000

/**
 * Reads an OpusHead as a peer announces it, of any mapping family.
 *
 * @throws MalformedMediaError
 */
export function parseOpusHead(record: Uint8Array): { readonly channels: number } {
  if (record.length < 19) throw malformed('is shorter than 19 bytes', record.length)
  const magic = String.fromCharCode(...record.subarray(0, 8))
  if (magic !== 'OpusHead') throw malformed('has no magic', 0)
  // "...the upper four bits of the version number ... backwards compatible"
  if (record[8]! >> 4 !== 0) throw malformed(`has version ${record[8]}`, 8)
  if (record[9] === 0) throw malformed('has no channels', 9)
  return { channels: record[9]! }
}

function malformed(what: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(`Opus header ${what}`, { offset, path: 'OpusHead' })
}
