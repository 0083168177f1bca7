import { rescaleTicks, type EpochMs } from '../../domain/time.ts'
import { CODEC_AVC, type Track } from '../../domain/track.ts'
import { ascii, box, fullBox, reserved, u16, u32, u64, u8 } from './box.ts'
import { toFmp4Timescale } from './playable-track.ts'

/** One track of a movie. */
export type MovieTrack = {
  /** From 1. */
  readonly id: number
  /**
   * Its sample descriptions, at least one; fragments say by number, from 1, which is theirs. The
   * first gives the track its timescale and the size it is shown at.
   */
  readonly descriptions: readonly [Track, ...Track[]]
}

/** What a file that is kept says of itself, and a stream does not know. */
export type MovieFacts = {
  readonly durationMs: number
  /** When the movie begins on the wall. */
  readonly createdAt: EpochMs
}

/**
 * The fMP4 initialization segment of the tracks. A function of the tracks alone, so that equal
 * headers give equal bytes. The tracks are those of `toPlayableTracks`; a track's ID is its Matroska
 * number.
 */
export function toInitSegment(tracks: readonly Track[]): Uint8Array {
  return toMovieHeader(
    tracks.map((track) => ({ id: track.number, descriptions: [track] })),
    null,
  )
}

/**
 * `ftyp` and a `moov` without samples (ISO/IEC 14496-12 §8.8.1). With facts, all durations are those of
 * the whole movie: what FFmpeg shows as the length is mvhd's, what browsers and phones show mehd's.
 */
export function toMovieHeader(tracks: readonly MovieTrack[], facts: MovieFacts | null): Uint8Array {
  const ftyp = box('ftyp', ascii('iso6'), u32(0), ascii('iso6'), ascii('mp41'))
  const nextTrackId = Math.max(...tracks.map(({ id }) => id)) + 1
  const mvex = box('mvex', ...(facts === null ? [] : [mehd(facts)]), ...tracks.map(trex))
  const traks = tracks.map((track) => trak(track, facts))
  const moov = box('moov', mvhd(nextTrackId, facts), ...traks, mvex)
  return Uint8Array.from([...ftyp, ...moov])
}

const V0 = { version: 0, flags: 0 }
const MOVIE_TIMESCALE = 1000
const UNITY_MATRIX = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
const FULL_VOLUME = 0x0100

/** From 1904, where the format's time begins, to 1970; seconds. */
const EPOCH_OFFSET_S = 2_082_844_800

/**
 * Creation and modification time, what stands between, duration: in 64 bits when they are known,
 * else zeros, so that the bytes stay equal.
 */
function timesAndDuration(facts: MovieFacts | null, timescale: number, ...between: Uint8Array[]) {
  if (facts === null) {
    return { version: 0, parts: [u32(0, 0), ...between, u32(0)] }
  }
  const created = u64(Math.floor(facts.createdAt / 1000) + EPOCH_OFFSET_S)
  const duration = u64(rescaleTicks(facts.durationMs, 1000, timescale))
  return { version: 1, parts: [created, created, ...between, duration] }
}

// §8.2.2: times, timescale, duration, rate 1.0, volume, reserved, matrix, pre_defined, next ID
function mvhd(nextTrackId: number, facts: MovieFacts | null): Uint8Array {
  const { version, parts } = timesAndDuration(facts, MOVIE_TIMESCALE, u32(MOVIE_TIMESCALE))
  return fullBox(
    'mvhd',
    { version, flags: 0 },
    ...parts,
    u32(0x10000),
    u16(FULL_VOLUME),
    reserved(10),
    UNITY_MATRIX,
    reserved(24),
    u32(nextTrackId),
  )
}

// §8.8.2
function mehd({ durationMs }: MovieFacts): Uint8Array {
  return fullBox('mehd', { version: 1, flags: 0 }, u64(durationMs))
}

function trak({ id, descriptions }: MovieTrack, facts: MovieFacts | null): Uint8Array {
  const [track] = descriptions
  const entries = descriptions.map(track.audio === null ? visualEntry : audioEntry)
  const mediaHeader =
    track.audio === null
      ? fullBox('vmhd', { version: 0, flags: 1 }, reserved(8)) // §12.1.2
      : fullBox('smhd', V0, reserved(4)) // §12.2.2
  const sampleTable = box(
    'stbl',
    fullBox('stsd', V0, u32(entries.length), ...entries),
    fullBox('stts', V0, u32(0)),
    fullBox('stsc', V0, u32(0)),
    fullBox('stsz', V0, u32(0, 0)),
    fullBox('stco', V0, u32(0)),
  )
  const selfContained = fullBox('url ', { version: 0, flags: 1 }) // §8.7.2
  const dinf = box('dinf', fullBox('dref', V0, u32(1), selfContained))
  const minf = box('minf', mediaHeader, dinf, sampleTable)
  const mdia = box('mdia', mdhd(track, facts), hdlr(track), minf)
  return box('trak', tkhd(id, track, facts), mdia)
}

// §8.3.2: flags enabled | in movie | in preview; times, ID, reserved, duration
function tkhd(id: number, track: Track, facts: MovieFacts | null): Uint8Array {
  const { version, parts } = timesAndDuration(facts, MOVIE_TIMESCALE, u32(id, 0))
  return fullBox(
    'tkhd',
    { version, flags: 7 },
    ...parts,
    reserved(8),
    u16(0, 0, track.audio === null ? 0 : FULL_VOLUME, 0),
    UNITY_MATRIX,
    u16(track.video?.widthPx ?? 0, 0, track.video?.heightPx ?? 0, 0), // 16.16
  )
}

const LANGUAGE_UND = 0x55c4 // three letters of 5 bits, §8.4.2

function mdhd(track: Track, facts: MovieFacts | null): Uint8Array {
  const timescale = toFmp4Timescale(track)
  const { version, parts } = timesAndDuration(facts, timescale, u32(timescale))
  return fullBox('mdhd', { version, flags: 0 }, ...parts, u16(LANGUAGE_UND, 0))
}

// §8.4.3
function hdlr(track: Track): Uint8Array {
  const [type, name] = track.audio === null ? ['vide', 'Video\0'] : ['soun', 'Audio\0']
  return fullBox('hdlr', V0, u32(0), ascii(type), reserved(12), ascii(name))
}

const RESOLUTION_72_DPI = 0x00480000

// VisualSampleEntry, §12.1.3; avcC and hvcC as in ISO/IEC 14496-15 §5.4.2 and §8.4.1. The stored
// codec private data is that record already.
function visualEntry(track: Track): Uint8Array {
  const [entry, config] = track.codecId === CODEC_AVC ? ['avc1', 'avcC'] : ['hvc1', 'hvcC']
  return box(
    entry,
    reserved(6),
    u16(1), // data reference index
    reserved(16),
    u16(track.video?.widthPx ?? 0, track.video?.heightPx ?? 0),
    u32(RESOLUTION_72_DPI, RESOLUTION_72_DPI, 0),
    u16(1), // frames per sample
    reserved(32), // compressor name
    u16(0x0018, -1), // depth, pre_defined
    box(config, track.codecPrivate),
  )
}

// AudioSampleEntry, §12.2.3; the rate is 16.16 and 0 where it does not fit (the AudioSpecificConfig
// decides anyway).
function audioEntry(track: Track): Uint8Array {
  const { channels, sampleRateHz } = track.audio ?? { channels: 0, sampleRateHz: 0 }
  return box(
    'mp4a',
    reserved(6),
    u16(1), // data reference index
    reserved(8),
    u16(channels, 16, 0, 0), // channels, bits per sample, pre_defined, reserved
    u16(sampleRateHz <= 0xffff ? sampleRateHz : 0, 0),
    fullBox('esds', V0, elementaryStream(track.codecPrivate)),
  )
}

// ISO/IEC 14496-1 §7.2.6: ES_Descriptor(3) of DecoderConfigDescriptor(4) of
// DecoderSpecificInfo(5), and an SLConfigDescriptor(6) that says "MP4 file".
function elementaryStream(audioSpecificConfig: Uint8Array): Uint8Array {
  const decoderConfig = descriptor(
    4,
    u8(0x40, 0x15), // MPEG-4 audio; audio stream, reserved bit
    u8(0, 0, 0), // buffer size: not stated
    u32(0, 0), // maximum and average bit rate: not stated
    descriptor(5, audioSpecificConfig),
  )
  return descriptor(3, u16(0), u8(0), decoderConfig, descriptor(6, u8(2)))
}

/** ISO/IEC 14496-1 §8.3.3: the size in groups of seven bits, most significant first. */
function descriptor(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const payload = parts.flatMap((part) => [...part])
  const size = [payload.length & 0x7f]
  for (let rest = payload.length >> 7; rest > 0; rest >>= 7) size.unshift((rest & 0x7f) | 0x80)
  return u8(tag, ...size, ...payload)
}

// §8.8.3: description 1; every fragment states its samples' durations, sizes and flags itself
function trex({ id }: MovieTrack): Uint8Array {
  return fullBox('trex', V0, u32(id, 1, 0, 0, 0))
}
