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
