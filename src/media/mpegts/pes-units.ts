import { rescaleTicks } from '../../domain/time.ts'
import { CODEC_AVC, CODEC_HEVC } from '../../domain/track.ts'
import { toAdtsHeader } from '../aac/adts.ts'
import { parseAudioSpecificConfig } from '../aac/audio-specific-config.ts'
import { toFmp4Timescale } from '../fmp4/playable-track.ts'
import type { SegmentSample, SegmentTrack } from '../fmp4/media-segment.ts'
import { openAccessUnits } from './access-units.ts'

/** One PES packet: an access unit of video, or some frames of sound. */
export type PesUnit = {
  /** At 90 kHz, not wrapped. */
  readonly dts: number
  /** Where what it holds ends in decode time. */
  readonly end: number
  readonly isKey: boolean
  /** Header and payload. */
  readonly bytes: Uint8Array
}

/** PTS, DTS and PCR have 33 bits (ISO/IEC 13818-1 §2.4.3.7). */
export const TIMESTAMP_MODULUS = 2 ** 33
const TICKS_PER_SECOND = 90_000

/**
 * The PES packets of a track, in decode order. Samples that are no whole NAL units, or too long for
 * ADTS, are left out.
 */
export function toPesUnits(run: SegmentTrack): readonly PesUnit[] {
  return run.track.audio === null ? toVideoUnits(run) : toAudioUnits(run)
}

type TimedSample = {
  /** At 90 kHz. */
  readonly dts: number
  readonly pts: number
  readonly end: number
  readonly sample: SegmentSample
}

/** Each from the run's start, so that nothing is rounded twice. */
function* timed({ track, baseDecodeTime, samples }: SegmentTrack): Generator<TimedSample> {
  const timescale = toFmp4Timescale(track)
  const to90k = (ticks: number) => rescaleTicks(ticks, timescale, TICKS_PER_SECOND)
  let time = baseDecodeTime
  for (const sample of samples) {
    const end = time + sample.durationTicks
    const pts = to90k(time + sample.compositionOffset)
    yield { dts: to90k(time), pts, end: to90k(end), sample }
    time = end
  }
}

function toVideoUnits(run: SegmentTrack): readonly PesUnit[] {
  const { codecId, codecPrivate } = run.track
  const accessUnits = openAccessUnits(codecId === CODEC_AVC ? CODEC_AVC : CODEC_HEVC, codecPrivate)
  const units: PesUnit[] = []
  for (const { dts, pts, end, sample } of timed(run)) {
    // Who joins here finds the parameter sets, even where a long GOP was split.
    const withParameterSets = sample.isKey || units.length === 0
    const parts = accessUnits.toAnnexB(sample.data, { withParameterSets })
    if (parts === null) continue
    units.push({
      dts,
      end,
      isKey: sample.isKey,
      bytes: toPes(VIDEO_STREAM_ID, { pts, dts }, parts),
    })
  }
  return units
}

/**
 * Frames share a PES packet up to a tenth of a second. Only its first has a time: the others follow by
 * their own length, so a frame whose length is another begins a new one.
 */
function toAudioUnits(run: SegmentTrack): readonly PesUnit[] {
  const config = parseAudioSpecificConfig(run.track.codecPrivate)
  const units: PesUnit[] = []
  let group: { pts: number; end: number; lastTicks: number; parts: Uint8Array[] } | null = null
  const close = () => {
    if (group === null) return
    const { pts, end, parts } = group
    units.push({
      dts: pts,
      end,
      isKey: true,
      bytes: toPes(AUDIO_STREAM_ID, { pts, dts: pts }, parts),
    })
    group = null
  }
  let usualTicks: number | null = null
  for (const { pts, end, sample } of timed(run)) {
    const header = toAdtsHeader(config, sample.data.length)
    usualTicks ??= sample.durationTicks
    const fits =
      group !== null && group.lastTicks === usualTicks && end - group.pts <= MAX_AUDIO_UNIT_TICKS
    if (!fits || header === null) close()
    if (header === null) continue
    group ??= { pts, end, lastTicks: 0, parts: [] }
    group.parts.push(header, sample.data)
    group.end = end
    group.lastTicks = sample.durationTicks
  }
  close()
  return units
}

const MAX_AUDIO_UNIT_TICKS = 9_000

const VIDEO_STREAM_ID = 0xe0
const AUDIO_STREAM_ID = 0xc0
/** Start code prefix, stream_id and PES_packet_length: not counted by the latter. */
const FIXED_BYTES = 6

/**
 * §2.4.3.6:
 *
 * ```
 * | 000001 | stream_id 8 | length 16 | 10 00 0 1 0 0 | PTS DTS 2, 0 | header length 8 | PTS 40 | [DTS 40] | ...
 * ```
 *
 * A video packet that does not fit the length says 0: it ends where the next begins.
 */
function toPes(
  streamId: number,
  { pts, dts }: { readonly pts: number; readonly dts: number },
  parts: readonly Uint8Array[],
): Uint8Array {
  const timeBytes = pts === dts ? 5 : 10
  const headerBytes = FIXED_BYTES + 3 + timeBytes
  const size = parts.reduce((sum, part) => sum + part.length, headerBytes)
  const length = size - FIXED_BYTES <= 0xffff ? size - FIXED_BYTES : 0
  const bytes = new Uint8Array(size)
  bytes.set([0, 0, 1, streamId, length >> 8, length & 0xff, DATA_ALIGNED])
  bytes.set([timeBytes === 10 ? 0xc0 : 0x80, timeBytes], 7)
  writeTimestamp(bytes, 9, { marker: timeBytes === 10 ? 3 : 2, ticks: pts })
  if (timeBytes === 10) writeTimestamp(bytes, 14, { marker: 1, ticks: dts })
  let at = headerBytes
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** `10`, and data_alignment_indicator: an access unit or an ADTS frame begins the payload. */
const DATA_ALIGNED = 0x84

/** `marker 4 | 32..30 | 1 | 29..15 | 1 | 14..0 | 1` */
function writeTimestamp(
  bytes: Uint8Array,
  at: number,
  { marker, ticks }: { readonly marker: number; readonly ticks: number },
): void {
  const wrapped = ((ticks % TIMESTAMP_MODULUS) + TIMESTAMP_MODULUS) % TIMESTAMP_MODULUS
  const high = Math.floor(wrapped / 2 ** 30)
  const middle = Math.floor(wrapped / 2 ** 15) & 0x7fff
  const low = wrapped % 2 ** 15
  bytes[at] = (marker << 4) | (high << 1) | 1
  bytes[at + 1] = middle >> 7
  bytes[at + 2] = ((middle << 1) & 0xff) | 1
  bytes[at + 3] = low >> 7
  bytes[at + 4] = ((low << 1) & 0xff) | 1
}
