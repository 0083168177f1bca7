import type { Archive, StoredFragment } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import { parseFragmentNumber, toFragmentNumber, type Fragment } from '../../domain/fragment.ts'
import type { Track } from '../../domain/track.ts'
import type { SegmentTrack } from '../../media/fmp4/media-segment.ts'
import type { TimedRun } from '../../media/fmp4/sample-timing.ts'
import { toSamples, type StoredSample } from '../../media/matroska/scanner.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { BytePool } from '../../platform/byte-pool.ts'
import { WorkerThread } from '../../platform/worker-thread.ts'
import { workerUrl } from '../../platform/worker-url.ts'
import { ByteCache } from '../byte-cache.ts'
import { continues } from '../hls/segment-list.ts'
import { toWallTimes } from '../wall-times.ts'
import { AAC_FRAME_TICKS, type AacSound, type SoundBlock, type SoundCall } from './sound-call.ts'
import { toAac, toAudioSource, toPlayedTracks, transcodedOf } from './source-sound.ts'

/**
 * Reads fragments as players get them: sound that browsers and MP4 do not carry (G.711 and what else
 * `toAudioSource` knows) is AAC. The one way to it for HLS, DASH, MPEG-TS and clips.
 *
 * 1. `tracks` describe that sound as the AAC that it is made: playlists, initialization segments and
 *    `toSegmentTracks` need to know nothing else. Without media, `toPlayed` says the same.
 * 2. `sound` is a function of the fragment and what leads to it: the same bytes whenever it is asked
 *    for, and segments meet without a gap or a click, in any order of asking.
 * 3. Its blocks lie on a grid of 1024 ticks since 1970, so they begin before the fragment's pictures
 *    and end before them, by up to five blocks (at 16 kHz a third of a second); those of the next
 *    fragment go on there. Before a gap that end is silent.
 */
export interface PlayableAudio extends FragmentSource, AsyncDisposable {}

/** How playback reads fragments. */
export interface FragmentSource {
  /** The tracks of a stored header as `read` gives them, without reading media. */
  toPlayed(tracks: readonly Track[]): readonly Track[]
  /**
   * As `Archive.read`, memory included.
   *
   * @throws ServiceError as `Archive.read`; `unavailable`/`WorkerBusy` when more wait than may,
   *   `unavailable`/`WorkerCrashed`. Sound that cannot be decoded is no error: it is silent.
   */
  read(fragment: Fragment, memory?: BytePool): Promise<PlayableFragment>
  /**
   * Sound that is not stored yet: the run of the last list of samples, as far as its blocks are known;
   * with more samples it goes on and what was there stays as it was. The others lead to it.
   *
   * @param tracks of the header
   * @param fragments samples of the track that `toPlayed` describes anew, at wall times
   * @returns `null` when nothing is transcoded, or nothing came of it
   */
  transcode(
    tracks: readonly Track[],
    fragments: readonly (readonly StoredSample[])[],
  ): Promise<TimedRun | null>
}

export type PlayableFragment = StoredFragment & {
  /** In place of the stored samples of its track; without samples: silence. */
  readonly sound?: SegmentTrack
}

export type PlayableAudioOptions = { readonly archive: Archive; readonly metrics: Metrics }

/** Calls that may wait for the worker: at two seconds of sound each it works them off in a second. */
const MAX_QUEUED = 64
/** A minute of sound for each of thirty viewed streams. */
const CACHE_BYTES = 16 * 1024 * 1024
/** The sound that leads to a fragment's: more than the encoder's warm-up and look-ahead. */
const LEADING_MS = 1000
const MAX_LEADING_FRAGMENTS = 4

/** As they are stored: sound that is not AAC is not played. */
export function storedFragments(archive: Archive): FragmentSource {
  return {
    toPlayed: (tracks) => tracks,
    read: (fragment, memory) => archive.read(fragment, memory),
    transcode: () => Promise.resolve(null),
  }
}

/** Transcodes in one worker thread, which is started by the first fragment that needs it. */
export function createPlayableAudio(options: PlayableAudioOptions): PlayableAudio {
  return new TranscodedAudio(options)
}

class TranscodedAudio implements PlayableAudio {
  readonly #archive: Archive
  readonly #metrics: Metrics
  readonly #cache = new ByteCache<SegmentTrack>(CACHE_BYTES, sizeOf)
  /** Equal questions share one answer. */
  readonly #inFlight = new Map<string, Promise<SegmentTrack>>()
  readonly #worker = new WorkerThread<SoundCall, AacSound>({
    url: workerUrl(import.meta.url, 'sound-worker'),
    workerData: null,
    maxQueued: MAX_QUEUED,
    onCrash: () => undefined, // its callers are told; nobody else is concerned
  })

  constructor({ archive, metrics }: PlayableAudioOptions) {
    this.#archive = archive
    this.#metrics = metrics
  }

  toPlayed(tracks: readonly Track[]): readonly Track[] {
    return toPlayedTracks(tracks)
  }

  async read(fragment: Fragment, memory?: BytePool): Promise<PlayableFragment> {
    const stored = await this.#archive.read(fragment, memory)
    const track = transcodedOf(stored.tracks)
    if (track === null) return stored
    try {
      const sound = await this.#soundOf(fragment, stored, track)
      return { ...stored, tracks: toPlayedTracks(stored.tracks), sound }
    } catch (error) {
      memory?.giveBack(stored.bytes)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker[Symbol.asyncDispose]()
  }

  async #soundOf(fragment: Fragment, stored: StoredFragment, track: Track): Promise<SegmentTrack> {
    const key = `${fragment.streamId}/${fragment.fragmentNumber}`
    const known = this.#cache.get(key) ?? this.#inFlight.get(key)
    if (known !== undefined) return known
    const making = this.#make(fragment, stored, track)
    this.#inFlight.set(key, making)
    try {
      const sound = await making
      this.#cache.set(key, sound)
      return sound
    } finally {
      this.#inFlight.delete(key)
    }
  }

  async transcode(
    tracks: readonly Track[],
    fragments: readonly (readonly StoredSample[])[],
  ): Promise<TimedRun | null> {
    const track = transcodedOf(tracks)
    if (track === null || fragments.at(-1)!.length === 0) return null
    const filled = fragments.filter((samples) => samples.length > 0)
    try {
      return await this.#transcode(track, filled.map(toBlocks))
    } catch (error) {
      if (error instanceof ServiceError) return null // counted; a part without sound is heard later
      throw error
    }
  }

  async #make(fragment: Fragment, stored: StoredFragment, track: Track): Promise<SegmentTrack> {
    const aac = toAac(track)
    // Taken at once: the caller may give the stored bytes away while the worker is busy.
    const blocks = toBlocks(soundSamples(fragment, stored, track))
    const silence: SegmentTrack = { track: aac, baseDecodeTime: 0, samples: [] }
    if (blocks.length === 0) return silence
    const leading = await this.#leadingTo(fragment, track)
    try {
      return { track: aac, ...(await this.#transcode(track, [...leading, blocks])) }
    } catch (error) {
      const isUndecodable = error instanceof ServiceError && error.kind === 'malformed-media'
      if (!isUndecodable) throw error
      return silence
    }
  }

  async #transcode(track: Track, fragments: readonly (readonly SoundBlock[])[]): Promise<TimedRun> {
    const { sampleRateHz } = toAac(track).audio!
    const call = { source: toAudioSource(track)!, sampleRateHz, fragments }
    try {
      const sound = await this.#worker.call(call, new AbortController().signal)
      const seconds = (sound.blocks.length * AAC_FRAME_TICKS) / sampleRateHz
      this.#metrics.playbackTranscodedSeconds.inc(seconds)
      return toRun(sound)
    } catch (error) {
      const reason = error instanceof ServiceError ? error.code : 'InternalFailure'
      this.#metrics.playbackTranscodeFailures.inc({ reason })
      throw error
    }
  }

  /** The sound before the fragment, as far as it leads to it without a gap; oldest first. */
  async #leadingTo(fragment: Fragment, track: Track): Promise<readonly (readonly SoundBlock[])[]> {
    const leading: (readonly SoundBlock[])[] = []
    let next = fragment
    let ms = 0
    for (const before of (await this.#before(fragment)).toReversed()) {
      if (ms >= LEADING_MS || !continues(before, next)) break
      const blocks = await this.#readBlocks(before, track)
      if (blocks === null) break
      leading.unshift(blocks)
      ms += before.durationMs
      next = before
    }
    return leading
  }

  async #before({ streamId, fragmentNumber }: Fragment): Promise<readonly Fragment[]> {
    const parts = parseFragmentNumber(fragmentNumber)!
    const counter = parts.counter - MAX_LEADING_FRAGMENTS - 1
    const from = counter < 0 ? null : toFragmentNumber({ ...parts, counter })
    const found = await this.#archive.after(streamId, from, MAX_LEADING_FRAGMENTS)
    return found.filter((one) => one.fragmentNumber < fragmentNumber)
  }

  /** `null` when it has no such sound, or cannot be read. */
  async #readBlocks(fragment: Fragment, track: Track): Promise<readonly SoundBlock[] | null> {
    const samples = await readSound(this.#archive, fragment, track)
    return samples === null ? null : toBlocks(samples)
  }
}

/**
 * The stored sound of a fragment at wall times, if it can lead to that of `track`; `null` when it has no
 * such sound, or cannot be read.
 */
export async function readSound(
  archive: Pick<Archive, 'read'>,
  fragment: Fragment,
  track: Track,
): Promise<readonly StoredSample[] | null> {
  let stored: StoredFragment
  try {
    stored = await archive.read(fragment)
  } catch (error) {
    if (error instanceof ServiceError) return null
    throw error
  }
  const same = transcodedOf(stored.tracks)
  if (same === null || toKey(same) !== toKey(track)) return null
  const samples = soundSamples(fragment, stored, same)
  return samples.length === 0 ? null : samples
}

function soundSamples(
  fragment: Fragment,
  stored: StoredFragment,
  { number }: Track,
): readonly StoredSample[] {
  const samples = toWallTimes(toSamples(stored.bytes, stored.tracks), fragment.producerTimestamp)
  return samples.filter(({ trackNumber }) => trackNumber === number)
}

/** Copies: what is sent to a thread is sent with all of its buffer. */
function toBlocks(samples: readonly StoredSample[]): readonly SoundBlock[] {
  return samples.map(({ ptsMs, data }) => ({ ptsMs, data: new Uint8Array(data) }))
}

function toRun({ baseDecodeTime, blocks }: AacSound) {
  const samples = blocks.map((data) => ({
    durationTicks: AAC_FRAME_TICKS,
    compositionOffset: 0,
    isKey: true,
    data,
  }))
  return { baseDecodeTime, samples }
}

/** What of a track its decoder depends on. */
function toKey(track: Track): string {
  const { decoder, sampleRateHz, channels, bitsPerCodedSample, extradata } = toAudioSource(track)!
  const config = Buffer.from(extradata).toString('base64')
  return [decoder, sampleRateHz, channels, bitsPerCodedSample, config].join(' ')
}

const SAMPLE_OVERHEAD_BYTES = 200

function sizeOf({ samples }: SegmentTrack): number {
  return samples.reduce((sum, { data }) => sum + data.length + SAMPLE_OVERHEAD_BYTES, 1000)
}
