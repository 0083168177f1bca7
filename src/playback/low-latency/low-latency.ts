import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { StreamId } from '../../domain/stream.ts'
import { toMasterPlaylist } from '../../media/hls/master-playlist.ts'
import {
  toMediaPlaylist,
  toTargetDuration,
  type PlaylistSegment,
} from '../../media/hls/media-playlist.ts'
import type { Clock } from '../../platform/clock.ts'
import { storedFragments, type FragmentSource } from '../audio/index.ts'
import { ChunkFormats } from '../hls/chunk-formats.ts'
import type { ChildQuery } from '../hls/hls.ts'
import { LiveNumbering } from '../hls/live-numbering.ts'
import { LiveWindow } from '../hls/live-window.ts'
import { describeVariant, toBandwidth, toPlaylistSegments } from '../hls/segment-list.ts'
import type { GrowingFragment } from './growing-fragment.ts'
import { LiveEdge } from './live-edge.ts'
import { toLiveFragments, toPartList, toPartUri } from './live-fragments.ts'

/**
 * Low-latency HLS of live streams (draft-pantos-hls-rfc8216bis): segments as in `Hls`, and parts of the
 * newest ones while they grow. A stream is followed from the first request on until nobody has asked for
 * half a minute. Playlists name `low-latency-media.m3u8`, `init-<id>.mp4`,
 * `segment-<fragment number>.m4s` and `part-<media sequence>-<index>.m4s`.
 */
export interface LowLatencyHls extends AsyncDisposable {
  /** @throws as {@link Hls.liveMedia} does */
  master(streamId: StreamId, query: ChildQuery): Promise<string>
  /**
   * The newest segments, and parts. With a position (§6.2.5.2) not before the playlist holds it.
   *
   * @throws as {@link Hls.liveMedia} does; ServiceError `invalid-argument`/`InvalidPlaylistPosition` when
   *   it is too far ahead, `unavailable`/`PlaylistTimeout` when it does not come,
   *   `limit-exceeded`/`TooManyWaiting`; the signal's reason
   */
  media(streamId: StreamId, request: LowLatencyRequest, signal: AbortSignal): Promise<string>
  /**
   * One part; waits for the one that a playlist has hinted at.
   *
   * @throws ServiceError `not-found`/`SegmentNotFound`, and as for {@link media}
   */
  part(streamId: StreamId, position: PartPosition, signal: AbortSignal): Promise<Uint8Array>
}

export type LowLatencyRequest = {
  /** `null`: as it is now. `part: null`: the whole segment. */
  readonly position: { readonly sequence: number; readonly part: number | null } | null
  readonly query: ChildQuery
}

export type PartPosition = { readonly sequence: number; readonly part: number }

export type LowLatencyOptions = {
  readonly archive: Archive
  readonly source?: FragmentSource
  readonly clock: Clock
}

const LIVE_SEGMENTS = 6
/** Segments before the end whose parts are listed, §6.2.2: three target durations are enough. */
const SEGMENTS_WITH_PARTS = 2
const MAX_EDGES = 256
const MAX_WAITING = 1024
const IDLE_MS = 30_000
/** §6.2.5.2: a server should not wait for more than three target durations; cameras may be slow. */
const MIN_WAIT_MS = 10_000

export function createLowLatencyHls(options: LowLatencyOptions): LowLatencyHls {
  return new LiveHls(options)
}

type Watched = { readonly edge: LiveEdge; usedAt: number; waiting: number }

class LiveHls implements LowLatencyHls {
  readonly #archive: Archive
  readonly #source: FragmentSource
  readonly #clock: Clock
  readonly #formats: ChunkFormats
  readonly #window: LiveWindow
  readonly #numbering = new LiveNumbering()
  readonly #watched = new Map<StreamId, Promise<Watched>>()
  readonly #closing = new AbortController()
  #waiting = 0

  constructor({ archive, source = storedFragments(archive), clock }: LowLatencyOptions) {
    this.#archive = archive
    this.#source = source
    this.#clock = clock
    this.#formats = new ChunkFormats(archive, source)
    this.#window = new LiveWindow({ archive, clock, formats: this.#formats })
  }

  async master(streamId: StreamId, query: ChildQuery): Promise<string> {
    const { fragments, formats } = await this.#window.newest(streamId)
    await this.#watch(streamId) // so that parts are there when the media playlist is asked for
    return toMasterPlaylist({
      uri: `low-latency-media.m3u8${query}`,
      ...toBandwidth(fragments),
      ...describeVariant([...formats.values()]),
    })
  }

  async media(
    streamId: StreamId,
    { position, query }: LowLatencyRequest,
    signal: AbortSignal,
  ): Promise<string> {
    await this.#window.newest(streamId) // before anything waits: a stream that is not there is not waited for
    const watched = await this.#watch(streamId)
    return this.#until(watched, signal, async () => {
      const now = await this.#now(streamId, watched.edge, query)
      if (position === null || now.holds(position)) return now.playlist
      if (position.sequence > now.nextSequence + 1) {
        throw new ServiceError(
          'invalid-argument',
          'InvalidPlaylistPosition',
          'That segment is too far ahead.',
        )
      }
      return null
    })
  }

  async part(
    streamId: StreamId,
    { sequence, part }: PartPosition,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const watched = await this.#watch(streamId)
    const { edge } = watched
    return this.#until(watched, signal, async () => {
      const fragment = edge.fragments.find((one) => one.sequence === sequence)
      const found = fragment?.parts[part]
      if (found !== undefined) return found.bytes
      const last = edge.fragments.at(-1)
      const isNext =
        fragment === undefined
          ? part === 0 && last !== undefined && sequence === last.sequence + 1
          : !fragment.isEnded && part === fragment.parts.length
      if (!isNext) throw new ServiceError('not-found', 'SegmentNotFound', 'No such part.')
      return null
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ServiceError('unavailable', 'Stopping', 'The service is stopping.'))
    const watched = await Promise.allSettled(this.#watched.values())
    for (const one of watched) {
      if (one.status === 'rejected') continue
      one.value.edge.close(this.#closing.signal.reason)
      await one.value.edge.ended
    }
  }

  /** Asks again after each change; bounded in number and in time. */
  async #until<T>(
    watched: Watched,
    signal: AbortSignal,
    look: () => Promise<T | null>,
  ): Promise<T> {
    const { edge } = watched
    watched.usedAt = this.#clock.now()
    let { revision } = edge // before it looks, so that no change meanwhile is missed
    let found = await look()
    if (found !== null) return found
    if (this.#waiting >= MAX_WAITING) {
      throw new ServiceError('limit-exceeded', 'TooManyWaiting', 'Too many requests wait.')
    }
    const timeout = new AbortController()
    const waitMs = Math.max(MIN_WAIT_MS, 6 * edge.timing.targetMs)
    const over = AbortSignal.any([signal, timeout.signal]) // a closing edge ends by itself
    const done = new AbortController()
    void this.#clock
      .sleep(waitMs, done.signal)
      .then(() => timeout.abort(timedOut()))
      .catch(() => undefined)
    this.#waiting++
    watched.waiting++
    try {
      while (found === null) {
        await edge.changed(revision, over)
        revision = edge.revision
        found = await look()
      }
      return found
    } finally {
      this.#waiting--
      watched.waiting--
      watched.usedAt = this.#clock.now()
      done.abort()
    }
  }

  async #watch(streamId: StreamId): Promise<Watched> {
    this.#closing.signal.throwIfAborted()
    const known = this.#watched.get(streamId)
    if (known !== undefined) return known
    if (this.#watched.size >= MAX_EDGES) {
      throw new ServiceError('limit-exceeded', 'TooManyWaiting', 'Too many streams are watched.')
    }
    const opening = this.#open(streamId)
    this.#watched.set(streamId, opening)
    opening.catch(() => this.#watched.delete(streamId))
    return opening
  }

  async #open(streamId: StreamId): Promise<Watched> {
    const deps = {
      archive: this.#archive,
      source: this.#source,
      formats: this.#formats,
      clock: this.#clock,
    }
    const edge = await LiveEdge.open(deps, streamId)
    const watched: Watched = { edge, usedAt: this.#clock.now(), waiting: 0 }
    void edge.ended.finally(() => this.#watched.delete(streamId))
    void this.#closeWhenIdle(watched)
    return watched
  }

  async #closeWhenIdle(watched: Watched): Promise<void> {
    const over = new AbortController()
    void watched.edge.ended.finally(() => over.abort())
    try {
      while (watched.waiting > 0 || this.#clock.now() - watched.usedAt < IDLE_MS) {
        await this.#clock.sleep(IDLE_MS / 2, over.signal)
      }
      watched.edge.close(timedOut())
    } catch {
      // it ended by itself
    }
  }

  /** The playlist as it is now, and what it holds. */
  async #now(streamId: StreamId, edge: LiveEdge, query: ChildQuery) {
    const { fragments: history, formats } = await this.#window.newest(streamId)
    const newest = history.at(-1)!
    const nextSequence = newest.sequence + 1
    const growing = edge.fragments.find((one) => one.sequence === nextSequence) ?? null
    const partsOf = new Map<number, GrowingFragment>(
      edge.fragments.map((fragment) => [fragment.sequence, fragment]),
    )

    const fragments = growing === null ? history : toLiveFragments(history, growing)
    const segments = toPlaylistSegments(fragments, ({ fragmentNumber, place, sequence }) => ({
      uri: `segment-${fragmentNumber}.m4s${query}`,
      initUri: `init-${sequence === growing?.sequence ? growing.initId : formats.get(place.chunkId)!.initId}.mp4${query}`,
    }))
    const withParts = segments.map((segment, i): PlaylistSegment => {
      const { sequence } = fragments[i]!
      const known = partsOf.get(sequence)
      if (known === undefined || sequence < nextSequence - SEGMENTS_WITH_PARTS) return segment
      return { ...segment, parts: toPartList(known, query) }
    })
    const numbers = this.#numbering.number(
      history,
      segments.slice(0, history.length).map(({ discontinuity }) => discontinuity),
    )
    const start = history.length - Math.min(LIVE_SEGMENTS, history.length)
    const isInStep = (edge.fragments.at(-1)?.sequence ?? -1) >= newest.sequence
    const next: PartPosition | null =
      growing === null
        ? isInStep
          ? { sequence: nextSequence, part: 0 }
          : null
        : growing.isEnded
          ? { sequence: nextSequence + 1, part: 0 }
          : { sequence: nextSequence, part: growing.parts.length }
    return {
      nextSequence,
      playlist: toMediaPlaylist({
        kind: 'live',
        segments: withParts.slice(start, history.length),
        targetDurationS: toTargetDuration(segments.slice(0, history.length)),
        mediaSequence: history[start]!.sequence,
        discontinuitySequence: numbers[start]!,
        lowLatency: {
          partTargetMs: edge.timing.targetMs,
          growing: growing === null || growing.parts.length === 0 ? null : withParts.at(-1)!,
          nextPartUri: next === null ? null : toPartUri(next, query),
        },
      }),
      holds: ({ sequence, part }: { sequence: number; part: number | null }) =>
        sequence < nextSequence ||
        (part !== null && sequence === nextSequence && part < (growing?.parts.length ?? 0)),
    }
  }
}

function timedOut(): ServiceError {
  return new ServiceError('unavailable', 'PlaylistTimeout', 'It has not come in time.')
}
