import type { Archive } from '../../archive/index.ts'
import type { Fragment } from '../../domain/fragment.ts'
import { ServiceError, type ErrorKind } from '../../domain/errors.ts'
import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'
import {
  parseAudioSpecificConfig,
  toAacCodecString,
} from '../../media/aac/audio-specific-config.ts'
import { toPlayableTracks } from '../../media/fmp4/playable-track.ts'
import { toSamples, type StoredSample } from '../../media/matroska/scanner.ts'
import { parseAvcConfig, toAvcCodecString } from '../../media/nal/avc-config.ts'
import { parseHevcConfig, toHevcCodecString } from '../../media/nal/hevc-config.ts'
import { storedFragments, type FragmentSource } from '../audio/index.ts'
import { toInitId } from './init-id.ts'

/** What the fragments of one chunk have in common. */
export type ChunkFormat = {
  /** Of all tracks together. */
  readonly initId: string
  /** RFC 6381. */
  readonly codecs: readonly string[]
  /** Those that can be played, the video first. */
  readonly tracks: readonly TrackFormat[]
  readonly resolution: { readonly widthPx: number; readonly heightPx: number } | null
  /** Measured on one fragment; `null` without video, or with one picture. */
  readonly frameRate: number | null
}

export type TrackFormat = {
  readonly kind: 'video' | 'audio'
  readonly codec: string
  /** Of this track alone. */
  readonly initId: string
  readonly sampleRateHz: number | null
  readonly channels: number | null
  /** Of the media's bytes, 0..1, as one fragment has them. */
  readonly share: number
}

/** Chunks of about a month at ten minutes each; a few hundred bytes per chunk. */
const MAX_REMEMBERED = 4096
/** Fragments that are read before a chunk counts as unreadable. */
const MAX_TRIES = 3

/**
 * Reads what a playlist must know of each chunk's header. The index does not hold it, so one
 * fragment per chunk is read, the smallest that is asked for, and the answer remembered: a chunk's
 * header never changes. The oldest answer is forgotten first.
 */
export class ChunkFormats {
  readonly #archive: Archive
  readonly #source: FragmentSource
  readonly #remembered = new Map<string, ChunkFormat>()

  /** @param source how fragments are read; by default as they are stored */
  constructor(archive: Archive, source: FragmentSource = storedFragments(archive)) {
    this.#archive = archive
    this.#source = source
  }

  /**
   * @returns the format of every fragment's chunk, by chunk ID, without the chunks that cannot be
   *   read, or have no playable track: one that is damaged, or deleted meanwhile, or holds what a
   *   browser cannot play, does not hide what is around it
   * @throws ServiceError when there is no other chunk: `invalid-argument`/`UnsupportedMedia`, or what
   *   `Archive.read` throws
   */
  async of(fragments: readonly Fragment[]): Promise<ReadonlyMap<string, ChunkFormat>> {
    const { formats, failure } = await this.#readAll(fragments)
    if (formats.size === 0 && failure !== null) throw failure
    return formats
  }

  /** The same; none is an answer too. */
  async playableOf(fragments: readonly Fragment[]): Promise<ReadonlyMap<string, ChunkFormat>> {
    return (await this.#readAll(fragments)).formats
  }

  async #readAll(fragments: readonly Fragment[]) {
    const formats = new Map<string, ChunkFormat>()
    let failure: Error | null = null
    for (const [chunkId, inChunk] of byChunk(fragments)) {
      try {
        formats.set(chunkId, await this.#readAny(inChunk))
      } catch (error) {
        if (!isUnreadable(error)) throw error
        failure ??= error
      }
    }
    return { formats, failure }
  }

  /** The smallest costs least; others are for a chunk of which a part is damaged. */
  async #readAny(fragments: readonly Fragment[]): Promise<ChunkFormat> {
    const known = this.#remembered.get(toKey(fragments[0]!))
    if (known !== undefined) return known
    const smallest = fragments.toSorted((a, b) => a.sizeBytes - b.sizeBytes).slice(0, MAX_TRIES)
    for (const fragment of smallest.slice(0, -1)) {
      try {
        return await this.#read(fragment)
      } catch (error) {
        if (!isUnreadable(error)) throw error
      }
    }
    return this.#read(smallest.at(-1)!)
  }

  async #read(fragment: Fragment): Promise<ChunkFormat> {
    const stored = await this.#archive.read(fragment)
    const tracks = toPlayableTracks(this.#source.toPlayed(stored.tracks))
    if (tracks.length === 0) throw unplayable(stored.tracks)
    const samples = toSamples(stored.bytes, stored.tracks)
    const trackFormats = tracks.map((track) => toTrackFormat(track, samples))
    const video = tracks.find((track) => track.video !== null)
    const times = samples
      .filter((sample) => sample.trackNumber === video?.number)
      .map((sample) => sample.ptsMs)
    const format = {
      initId: toInitId(tracks),
      codecs: trackFormats.map(({ codec }) => codec),
      tracks: trackFormats,
      resolution: video?.video ?? null,
      frameRate: toFrameRate(times),
    }
    this.#remember(toKey(fragment), format)
    return format
  }

  #remember(key: string, format: ChunkFormat): void {
    this.#remembered.set(key, format)
    if (this.#remembered.size <= MAX_REMEMBERED) return
    const [oldest] = this.#remembered.keys()
    this.#remembered.delete(oldest!)
  }
}

function byChunk(fragments: readonly Fragment[]): ReadonlyMap<string, readonly Fragment[]> {
  const chunks = new Map<string, Fragment[]>()
  for (const fragment of fragments) {
    const { chunkId } = fragment.place
    const known = chunks.get(chunkId)
    if (known === undefined) chunks.set(chunkId, [fragment])
    else known.push(fragment)
  }
  return chunks
}

function toKey({ streamId, place }: Fragment): string {
  return `${streamId}/${place.chunkId}`
}

/** Its bytes are gone, damaged or of no use here, for this fragment alone. */
function isUnreadable(error: unknown): error is ServiceError {
  if (!(error instanceof ServiceError)) return false
  return UNREADABLE.has(error.kind) || UNPLAYABLE.has(error.code)
}

const UNPLAYABLE: ReadonlySet<string> = new Set([
  'UnsupportedMedia',
  'MissingCodecPrivateDataException',
])

function unplayable(tracks: readonly Track[]): ServiceError {
  const known = tracks.find(({ codecId }) => CONFIGURED.has(codecId))
  if (known !== undefined && known.codecPrivate.length === 0) {
    return new ServiceError(
      'invalid-argument',
      'MissingCodecPrivateDataException',
      `Track ${known.number} (${known.codecId}) has no codec private data.`,
    )
  }
  const held = tracks.map(({ codecId }) => codecId.slice(0, 64)).join(', ') || 'nothing'
  return new ServiceError(
    'invalid-argument',
    'UnsupportedMedia',
    `H.264, H.265 and AAC can be played; the stream holds ${held}.`,
  )
}

const CONFIGURED: ReadonlySet<string> = new Set([CODEC_AVC, CODEC_HEVC, CODEC_AAC])

const UNREADABLE: ReadonlySet<ErrorKind> = new Set(['data-loss', 'not-found', 'malformed-media'])

function toTrackFormat(track: Track, samples: readonly StoredSample[]): TrackFormat {
  const ofTrack = samples.filter(({ trackNumber }) => trackNumber === track.number)
  return {
    kind: track.audio === null ? 'video' : 'audio',
    codec: toCodecString(track),
    initId: toInitId([track]),
    sampleRateHz: track.audio?.sampleRateHz ?? null,
    channels: track.audio?.channels ?? null,
    share: bytesOf(ofTrack) / Math.max(1, bytesOf(samples)),
  }
}

function bytesOf(samples: readonly StoredSample[]): number {
  return samples.reduce((sum, { data }) => sum + data.length, 0)
}

/** @throws ServiceError `malformed-media`/`InvalidCodecPrivateDataException` */
function toCodecString(track: Track): string {
  try {
    return readCodecString(track)
  } catch (error) {
    throw new ServiceError(
      'malformed-media',
      'InvalidCodecPrivateDataException',
      `The codec private data of track ${track.number} is not valid.`,
      { cause: error },
    )
  }
}

function readCodecString(track: Track): string {
  if (track.audio !== null) return toAacCodecString(parseAudioSpecificConfig(track.codecPrivate))
  return track.codecId === CODEC_AVC
    ? toAvcCodecString(parseAvcConfig(track.codecPrivate))
    : toHevcCodecString(parseHevcConfig(track.codecPrivate))
}

function toFrameRate(timesMs: readonly number[]): number | null {
  const first = timesMs.reduce((a, b) => Math.min(a, b), Infinity)
  const last = timesMs.reduce((a, b) => Math.max(a, b), -Infinity)
  return last > first ? ((timesMs.length - 1) * 1000) / (last - first) : null
}
