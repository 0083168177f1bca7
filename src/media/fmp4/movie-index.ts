import { box, fullBox, u32, u64, u8 } from './box.ts'

/** Where in a file a movie fragment is that begins with a key sample. */
export type RandomAccessPoint = {
  /** Decode time of the fragment's first sample, in the track's timescale. */
  readonly time: number
  /** Byte offset of its `moof` from the file's first byte. */
  readonly moofOffset: number
}

/**
 * The `mfra` box that ends a file of movie fragments: who can read the end first finds every fragment
 * without a walk (ISO/IEC 14496-12 §8.8.9 to 11).
 *
 * @param trackNumber of the track's `traf` in those fragments, from 1
 */
export function toMovieIndex(
  trackId: number,
  trackNumber: number,
  points: readonly RandomAccessPoint[],
): Uint8Array {
  const entries = points.map(({ time, moofOffset }) =>
    // traf, trun and sample: the first ones
    Buffer.concat([u64(time), u64(moofOffset), u8(trackNumber, 1, 1)]),
  )
  const tfra = fullBox('tfra', V1, u32(trackId, 0, entries.length), ...entries)
  const mfra = box('mfra', tfra, fullBox('mfro', V0, u32(0)))
  new DataView(mfra.buffer).setUint32(mfra.length - 4, mfra.length)
  return mfra
}

const V0 = { version: 0, flags: 0 }
const V1 = { version: 1, flags: 0 }

/**
 * A `prft` box to stand before a `moof`: what the wall clock said at a decode time of the track
 * (§8.16.5). Players pass it over; FFmpeg gives it to who asks.
 *
 * @param wallMs epoch milliseconds, not before 1970
 */
export function toReferenceTime(trackId: number, wallMs: number, time: number): Uint8Array {
  const seconds = Math.floor(wallMs / 1000)
  const fraction = Math.floor(((wallMs - seconds * 1000) / 1000) * 2 ** 32)
  const ntp = u32((seconds + NTP_OFFSET_S) % 2 ** 32, fraction)
  return fullBox('prft', { version: 1, flags: CAPTURED }, u32(trackId), ntp, u64(time))
}

/** From 1900, where NTP begins, to 1970. */
const NTP_OFFSET_S = 2_208_988_800
/** The time is that of the capture. */
const CAPTURED = 24
