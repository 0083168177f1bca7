import type { Track } from '../../domain/track.ts'
import { box, BOX_HEADER_BYTES, fullBox, u32, u64 } from './box.ts'

/** What one track brings to a segment. */
export type SegmentTrack = {
  readonly track: Track
  /** Decode time of the first sample in the track's fMP4 timescale; wall time since 1970. */
  readonly baseDecodeTime: number
  /** Which of the track's sample descriptions, from 1, the default. */
  readonly description?: number
  /** In decode order; not empty. */
  readonly samples: readonly SegmentSample[]
}

export type SegmentSample = {
  readonly durationTicks: number
  /** Presentation minus decode time; may be negative. */
  readonly compositionOffset: number
  readonly isKey: boolean
  readonly data: Uint8Array
}

/**
 * One fMP4 media segment, `moof` and `mdat` (ISO/IEC 14496-12 §8.8.4, §8.1.1), as parts to be sent
 * in order. The first part is ours, the others are the samples' own bytes, not copied: track by
 * track, each in decode order. Who owns those bytes must leave them unchanged until they are sent.
 *
 * @param segment.sequence any whole number from 0; written modulo 2^32
 */
export function toMediaSegment(segment: {
  readonly sequence: number
  readonly tracks: readonly SegmentTrack[]
}): readonly Uint8Array[] {
  const payload: Uint8Array[] = []
  let payloadBytes = 0
  for (const { samples } of segment.tracks) {
    for (const { data } of samples) {
      payload.push(data)
      payloadBytes += data.length
    }
  }
  const mdatBytes = BOX_HEADER_BYTES + payloadBytes
  if (mdatBytes > 0xffff_ffff) throw new RangeError(`a segment of ${mdatBytes} bytes`)

  const mfhd = fullBox('mfhd', { version: 0, flags: 0 }, u32(segment.sequence % 0x1_0000_0000))
  const trafs = segment.tracks.map(traf)
  const moof = box('moof', mfhd, ...trafs.map(({ bytes }) => bytes))
  setDataOffsets(moof, mfhd.length, segment.tracks, trafs)

  const front = new Uint8Array(moof.length + BOX_HEADER_BYTES)
  front.set(moof)
  front.set(u32(mdatBytes), moof.length)
  front.set(MDAT, moof.length + 4)
  return [front, ...payload]
}

const MDAT = Uint8Array.of(0x6d, 0x64, 0x61, 0x74)

type Traf = {
  readonly bytes: Uint8Array
  /** Where in `bytes` the run's data offset waits to be filled in. */
  readonly dataOffsetAt: number
}

// §8.8.7: the base is the moof; the flags are stated once when all samples are key samples.
const DEFAULT_BASE_IS_MOOF = 0x02_0000
const SAMPLE_DESCRIPTION_INDEX = 0x2
const DEFAULT_SAMPLE_FLAGS = 0x20

// §8.8.8
const HAS_DATA_OFFSET = 0x1
const HAS_DURATION = 0x100
const HAS_SIZE = 0x200
const HAS_FLAGS = 0x400
const HAS_COMPOSITION_OFFSET = 0x800

// §8.8.3.1: sample_depends_on 2 (no other), or 1 (others) together with sample_is_non_sync_sample
const KEY_SAMPLE = 0x0200_0000
const DEPENDENT_SAMPLE = 0x0101_0000

function traf({ track, baseDecodeTime, description = 1, samples }: SegmentTrack): Traf {
  const allKey = samples.every((sample) => sample.isKey)
  const defaults = [
    ...(description === 1 ? [] : [u32(description)]),
    ...(allKey ? [u32(KEY_SAMPLE)] : []),
  ]
  const flags =
    DEFAULT_BASE_IS_MOOF |
    (description === 1 ? 0 : SAMPLE_DESCRIPTION_INDEX) |
    (allKey ? DEFAULT_SAMPLE_FLAGS : 0)
  const tfhd = fullBox('tfhd', { version: 0, flags }, u32(track.number), ...defaults)
  const tfdt = fullBox('tfdt', { version: 1, flags: 0 }, u64(baseDecodeTime))
  const trun = allKey ? keyRun(samples) : mixedRun(samples)
  return {
    bytes: box('traf', tfhd, tfdt, trun),
    dataOffsetAt: BOX_HEADER_BYTES + tfhd.length + tfdt.length + 16, // size, type, flags, count
  }
}

// Version 1 of a run makes the composition offsets signed.
function mixedRun(samples: readonly SegmentSample[]): Uint8Array {
  const flags = HAS_DATA_OFFSET | HAS_DURATION | HAS_SIZE | HAS_FLAGS | HAS_COMPOSITION_OFFSET
  const rows = new DataView(new ArrayBuffer(16 * samples.length))
  for (let i = 0, at = 0; i < samples.length; i++, at += 16) {
    const sample = samples[i]!
    rows.setUint32(at, sample.durationTicks)
    rows.setUint32(at + 4, sample.data.length)
    rows.setUint32(at + 8, sample.isKey ? KEY_SAMPLE : DEPENDENT_SAMPLE)
    rows.setInt32(at + 12, sample.compositionOffset)
  }
  const head = u32(samples.length, 0)
  return fullBox('trun', { version: 1, flags }, head, new Uint8Array(rows.buffer))
}

function keyRun(samples: readonly SegmentSample[]): Uint8Array {
  const flags = HAS_DATA_OFFSET | HAS_DURATION | HAS_SIZE | HAS_COMPOSITION_OFFSET
  const rows = new DataView(new ArrayBuffer(12 * samples.length))
  for (let i = 0, at = 0; i < samples.length; i++, at += 12) {
    const sample = samples[i]!
    rows.setUint32(at, sample.durationTicks)
    rows.setUint32(at + 4, sample.data.length)
    rows.setInt32(at + 8, sample.compositionOffset)
  }
  const head = u32(samples.length, 0)
  return fullBox('trun', { version: 1, flags }, head, new Uint8Array(rows.buffer))
}

/** Data offsets count from the moof's first byte; the payload starts behind the mdat's header. */
function setDataOffsets(
  moof: Uint8Array,
  mfhdBytes: number,
  tracks: readonly SegmentTrack[],
  trafs: readonly Traf[],
): void {
  const view = new DataView(moof.buffer)
  let trafAt = BOX_HEADER_BYTES + mfhdBytes
  let dataOffset = moof.length + BOX_HEADER_BYTES
  for (const [i, { bytes, dataOffsetAt }] of trafs.entries()) {
    view.setUint32(trafAt + dataOffsetAt, dataOffset)
    trafAt += bytes.length
    for (const { data } of tracks[i]!.samples) dataOffset += data.length
  }
}
