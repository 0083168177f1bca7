/** Format tags of WAVEFORMATEX (RFC 2361 Appendix A; G.722 as Windows registered it later). */
export const WAVE_FORMAT = {
  alaw: 0x0006,
  mulaw: 0x0007,
  g726: 0x0045,
  g722: 0x028f,
  speex: 0xa109,
} as const

export type WaveFormat = {
  readonly tag: number
  readonly channels: number
  readonly sampleRateHz: number
  /** Of one coded sample: 8 for G.711, 2 to 5 for G.726, 0 where it has no fixed size. */
  readonly bitsPerSample: number
}

/**
 * WAVEFORMATEX, the private data of Matroska's A_MS/ACM (all little-endian):
 *
 * ```
 * | tag 16 | channels 16 | samples/s 32 | bytes/s 32 | block align 16 | bits 16 | extra size 16 |
 * ```
 */
export function toWaveFormatEx(format: WaveFormat): Uint8Array {
  const { tag, channels, sampleRateHz, bitsPerSample } = format
  const bytes = new Uint8Array(18)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, tag, true)
  view.setUint16(2, channels, true)
  view.setUint32(4, sampleRateHz, true)
  view.setUint32(8, Math.ceil((sampleRateHz * channels * bitsPerSample) / 8), true)
  view.setUint16(12, Math.max(1, Math.ceil((channels * bitsPerSample) / 8)), true)
  view.setUint16(14, bitsPerSample, true)
  return bytes
}

/** `null` when it is shorter than its fixed part. */
export function parseWaveFormatEx(bytes: Uint8Array): WaveFormat | null {
  if (bytes.length < 16) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    tag: view.getUint16(0, true),
    channels: view.getUint16(2, true),
    sampleRateHz: view.getUint32(4, true),
    bitsPerSample: view.getUint16(14, true),
  }
}
