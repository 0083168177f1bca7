import { ServiceError } from '../../domain/errors.ts'
import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'

/**
 * Names an initialization segment by what it says, so that its URL needs no look-up: it stays good
 * after a restart, in another process and when the chunk it came from is gone, and equal headers of
 * different chunks share one.
 *
 *   1.avc.1920.1080.<avcC>~2.aac.48000.2.<AudioSpecificConfig>
 *
 * number, codec, width or sample rate, height or channels, codec private data in base64url; only
 * characters that URLs leave alone (RFC 3986 §2.3).
 *
 * @param tracks those of `toPlayableTracks`
 */
export function toInitId(tracks: readonly Track[]): string {
  return tracks.map(toTrackId).join('~')
}

/** @throws ServiceError `not-found`/`InitSegmentNotFound` when `id` is not one of ours */
export function parseInitId(id: string): readonly Track[] {
  const tracks = id.length > MAX_ID_LENGTH ? [] : id.split('~').map(parseTrackId)
  const numbers = new Set(tracks.map((track) => track?.number))
  if (tracks.length === 0 || tracks.length > 2 || numbers.size < tracks.length) throw unknownInit()
  return tracks.map((track) => {
    if (track === null) throw unknownInit()
    return track
  })
}

/** What fits, with the rest of a request, into the 16 KiB that Node reads of a request's head. */
const MAX_ID_LENGTH = 8192

const CODECS = { avc: CODEC_AVC, hevc: CODEC_HEVC, aac: CODEC_AAC } as const
const TRACK_ID = /^([1-9]\d{0,2})\.(avc|hevc|aac)\.(\d{1,6})\.(\d{1,5})\.([\w-]+)$/

function toTrackId(track: Track): string {
  const [codec, first, second, config] =
    track.audio !== null
      ? ['aac', track.audio.sampleRateHz, track.audio.channels, track.codecPrivate]
      : track.codecId === CODEC_AVC
        ? ['avc', track.video?.widthPx ?? 0, track.video?.heightPx ?? 0, track.codecPrivate]
        : [
            'hevc',
            track.video?.widthPx ?? 0,
            track.video?.heightPx ?? 0,
            withoutSei(track.codecPrivate),
          ]
  return [track.number, codec, first, second, Buffer.from(config).toString('base64url')].join('.')
}

function parseTrackId(text: string): Track | null {
  const [, number, codec, first, second, config] = TRACK_ID.exec(text) ?? []
  if (config === undefined) return null
  return {
    number: Number(number),
    codecId: CODECS[codec as keyof typeof CODECS],
    codecPrivate: new Uint8Array(Buffer.from(config, 'base64url')),
    timescale: 1000,
    ...(codec === 'aac'
      ? {
          kind: 'audio',
          video: null,
          audio: { sampleRateHz: Number(first), channels: Number(second) },
        }
      : {
          kind: 'video',
          video: { widthPx: Number(first), heightPx: Number(second) },
          audio: null,
        }),
  }
}

const HVCC_FIXED_BYTES = 23
const SEI_NAL_TYPES = new Set([39, 40])

/**
 * An hvcC without its SEI arrays (ISO/IEC 14496-15 §8.3.3.1): x265 puts a kilobyte of its settings
 * there, and no decoder needs them.
 */
function withoutSei(record: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = []
  let offset = HVCC_FIXED_BYTES
  for (let left = record[HVCC_FIXED_BYTES - 1] ?? 0; left > 0; left--) {
    const start = offset
    const units = uint16(record, start + 1)
    offset += 3
    for (let i = 0; i < units; i++) offset += 2 + uint16(record, offset)
    if (!SEI_NAL_TYPES.has(record[start]! & 0x3f)) kept.push(record.subarray(start, offset))
  }
  const fixed = record.slice(0, HVCC_FIXED_BYTES)
  fixed[HVCC_FIXED_BYTES - 1] = kept.length
  return Buffer.concat([fixed, ...kept])
}

/** 0 behind the end: a record cut short gives fewer units, and its decoder refuses it. */
function uint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0)
}

function unknownInit(): ServiceError {
  return new ServiceError('not-found', 'InitSegmentNotFound', 'No such initialization segment.')
}
