import type { FragmentWriter } from '../archive/index.ts'
import { ServiceError, type ErrorKind } from '../domain/errors.ts'
import { epochMs, type EpochMs } from '../domain/time.ts'
import type { Sample, Track } from '../domain/track.ts'
import {
  clusterStart,
  MAX_RELATIVE_MS,
  simpleBlockHead,
  toMatroskaHeader,
} from '../media/matroska/writer.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { isCutPoint, planSample } from './fragment-plan.ts'
import { MediaTimeline, type PlacedSample } from './media-timeline.ts'
import { RateMeter } from './rate-meter.ts'
import { toTrackInfo, type TrackInfo } from './session-info.ts'
import { StartGate } from './start-gate.ts'

/**
 * One peer's media on its way into the archive: Tracks and Samples in, Fragments out. The same for
 * every protocol; it does not know where samples come from. docs/design/ingest.md has its rules.
 *
 * Calls are synchronous and bounded: what the archive cannot take is dropped and counted, and
 * recording goes on with the next key sample.
 */
export class IngestPublisher {
  readonly #deps: PublisherDeps
  readonly #options: PublisherOptions
  readonly #timeline = new MediaTimeline()
  readonly #meter = new RateMeter()
  readonly #tracks = new Map<number, Track>()
  #hasVideo = false
  #gate: StartGate | null = new StartGate()
  #header: Uint8Array | null = null
  #open: OpenFragment | null = null
  /** Samples of other tracks than video that wait for the next fragment. */
  #held: HeldSample[] = []
  #heldBytes = 0
  #discontinuity = true
  #resumeAnywhere = false
  readonly #ending = new Set<Promise<void>>()
  #lastSampleAt: EpochMs | null = null
  #tally = emptyTally()
  #tallySince: EpochMs | null = null

  constructor(deps: PublisherDeps, options: PublisherOptions) {
    if (options.maxFragmentMs > MAX_RELATIVE_MS - 1000) {
      throw new RangeError(`maxFragmentMs ${options.maxFragmentMs} exceeds a block's time range`)
    }
    this.#deps = deps
    this.#options = options
  }

  /** Bytes that wait for the disk; a protocol stops reading from its peer while they are many. */
  get queuedBytes(): number {
    return this.#deps.writer.queuedBytes
  }

  get lastSampleAt(): EpochMs | null {
    return this.#lastSampleAt
  }

  /** Which kinds of tracks the peer announced; without it, video and audio are waited for. */
  expect(kinds: readonly Track['kind'][]): void {
    this.#gate?.expect(kinds)
  }

  /** A new track, or new parameter sets of a known one: in force from its next fragment on. */
  describe(track: Track): void {
    const known = this.#tracks.get(track.number)
    if (known !== undefined && sameTrack(known, track)) return
    this.#tracks.set(track.number, track)
    this.#hasVideo ||= track.kind === 'video'
    this.#header = null
    this.#open?.describes.delete(track.number)
    this.#openGateWhenDue()
  }

  /** Takes the next sample in the order of arrival, which within a track is decode order. */
  write(sample: Sample): void {
    const track = this.#tracks.get(sample.trackNumber)
    this.#count(sample, track)
    if (track === undefined) {
      this.#drop('no-parameter-sets', 1)
      return
    }
    if (this.#gate === null) {
      this.#store(sample, track)
      return
    }
    this.#gate.hold(sample, track)
    this.#openGateWhenDue()
  }

  /** Samples of this stream that the protocol had to leave out. */
  drop(reason: string, count = 1): void {
    this.#drop(reason, count)
  }

  /**
   * The producer's clock said `wallMs` at media time `ticks` of the track: an RTCP sender report. It
   * is believed as docs/design/ingest.md says. Any number of them, in any order with samples.
   */
  observeClock(_trackNumber: number, _reading: ClockReading): void {}

  /**
   * Media was lost on the way before the next sample of the track. What is stored next is marked,
   * recording goes on. Calls before the same sample count once.
   */
  markLoss(_trackNumber: number): void {}

  /** Completes the open fragment; resolves when it is persisted or given up. */
  async end(): Promise<void> {
    this.#releaseGate()
    this.#finishFragment()
    this.#drop('no-keyframe', this.#held.length)
    this.#held = []
    this.#report()
    await Promise.all(this.#ending)
  }

  snapshot(): PublisherSnapshot {
    return {
      tracks: [...this.#tracks.values()].map(toTrackInfo),
      lastSampleAt: this.#lastSampleAt,
      ...this.#meter.read(this.#deps.now()),
    }
  }

  #openGateWhenDue(): void {
    if (this.#gate?.isOpen(this.#tracks.values()) ?? false) this.#releaseGate()
  }

  #releaseGate(): void {
    const samples = this.#gate?.release() ?? []
    this.#gate = null
    for (const sample of samples) this.#store(sample, this.#tracks.get(sample.trackNumber)!)
  }

  #store(sample: Sample, track: Track): void {
    const placed = this.#timeline.place(sample, track)
    if (placed.jumped) {
      this.#finishFragment()
      this.#discontinuity = true
      this.#resumeAnywhere = true
    }
    // One literal and no spread: this runs for every sample, and a spread costs as much as the rest.
    const situation = {
      isVideo: track.kind === 'video',
      isKey: sample.isKey,
      sessionHasVideo: this.#hasVideo,
      open: this.#openSituation(track, placed),
      resumeAnywhere: this.#resumeAnywhere,
      fragmentTargetMs: this.#options.fragmentTargetMs,
      maxFragmentMs: this.#options.maxFragmentMs,
    }
    switch (planSample(situation)) {
      case 'append':
        this.#append(sample, placed)
        break
      case 'begin':
        this.#begin(sample, placed, isCutPoint(situation))
        break
      case 'hold':
        this.#hold(sample, placed)
        break
      case 'drop':
        this.#drop('no-keyframe', 1)
        break
    }
  }

  #openSituation(track: Track, placed: PlacedSample) {
    const open = this.#open
    if (open === null) return null
    return {
      ageMs: placed.dts - open.startDts,
      startsWithKey: open.startsWithKey,
      describesTrack: open.describes.has(track.number),
      describesAll: open.describes.size === this.#tracks.size,
    }
  }

  #begin(sample: Sample, placed: PlacedSample, startsWithKey: boolean): void {
    this.#finishFragment()
    this.#report()
    // A key sample of video goes before what was held; audio keeps its order.
    const isVideo = this.#tracks.get(sample.trackNumber)!.kind === 'video'
    const queue = isVideo
      ? [{ sample, placed }, ...this.#held]
      : [...this.#held, { sample, placed }]
    const first = queue[0]!
    const tracks = [...this.#tracks.values()].sort((a, b) => a.number - b.number)
    this.#header ??= toMatroskaHeader(tracks, { title: this.#options.stream })
    this.#open = {
      timecode: first.placed.pts,
      startDts: first.placed.dts,
      startsWithKey,
      describes: new Set(this.#tracks.keys()),
      samples: 0,
      producerEnd: first.placed.pts,
    }
    try {
      this.#deps.writer.begin({
        header: this.#header,
        tracks,
        producerTimestamp: first.placed.pts,
        serverTimestamp: first.sample.arrivedAt,
        discontinuity: this.#discontinuity,
        startsWithKey,
      })
    } catch (error) {
      this.#lose(error)
      return
    }
    this.#discontinuity = false
    this.#resumeAnywhere = false
    this.#held = []
    this.#heldBytes = 0
    for (const each of queue) this.#append(each.sample, each.placed)
  }

  #append(sample: Sample, placed: PlacedSample): void {
    const open = this.#open
    if (open === null) {
      this.#drop('no-keyframe', 1) // the fragment was lost just before
      return
    }
    const relativeMs = placed.pts - open.timecode
    if (relativeMs > MAX_RELATIVE_MS || relativeMs < -MAX_RELATIVE_MS - 1) {
      this.#drop('timestamp-out-of-range', 1)
      return
    }
    const head = simpleBlockHead({
      trackNumber: sample.trackNumber,
      relativeMs,
      isKey: sample.isKey,
      payloadLength: sample.data.length,
    })
    const parts =
      open.samples === 0 ? [clusterStart(open.timecode), head, sample.data] : [head, sample.data]
    open.samples++
    open.producerEnd = epochMs(Math.max(open.producerEnd, placed.pts + placed.durationMs))
    try {
      this.#deps.writer.append(parts, {
        samples: 1,
        producerEnd: open.producerEnd,
        arrivedAt: sample.arrivedAt,
      })
    } catch (error) {
      this.#lose(error)
    }
  }

  /**
   * Before the first key sample only the last second is worth keeping. A track that is new to the
   * open fragment's header waits for the next one, which the fragment's own limit brings.
   */
  #hold(sample: Sample, placed: PlacedSample): void {
    this.#held.push({ sample, placed })
    this.#heldBytes += sample.data.length
    const spanMs = this.#open === null ? MAX_HELD_MS : Number.POSITIVE_INFINITY
    for (
      let oldest = this.#held[0];
      oldest !== undefined &&
      (this.#heldBytes > MAX_HELD_BYTES || placed.dts - oldest.placed.dts > spanMs);
      oldest = this.#held[0]
    ) {
      this.#held.shift()
      this.#heldBytes -= oldest.sample.data.length
      this.#drop('no-keyframe', 1)
    }
  }

  #finishFragment(): void {
    if (this.#open === null) return
    this.#open = null
    const ending: Promise<void> = this.#deps.writer
      .end(null)
      .then(
        () => undefined,
        // The archive has counted and logged it. What follows does not continue what is stored.
        (error: unknown) => {
          this.#discontinuity = true
          this.#deps.log.debug({ err: error }, 'fragment not persisted')
        },
      )
      .finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  /** The archive gave the open fragment up. */
  #lose(error: unknown): void {
    if (!(error instanceof ServiceError) || !LOSSES.has(error.kind)) throw error
    const lost = Math.max(1, this.#open?.samples ?? 0)
    this.#open = null
    this.#discontinuity = true
    this.#drop(error.code === 'ArchiveQueueFull' ? 'archive-queue-full' : 'archive-failed', lost)
  }

  #count(sample: Sample, track: Track | undefined): void {
    const isVideo = track?.kind === 'video'
    this.#lastSampleAt = sample.arrivedAt
    this.#meter.add(sample.arrivedAt, sample.data.length, isVideo ? 1 : 0)
    this.#tally.bytes += sample.data.length
    if (track !== undefined) this.#tally.samples[track.kind]++
    this.#tallySince ??= sample.arrivedAt
    if (Math.abs(sample.arrivedAt - this.#tallySince) >= REPORT_EVERY_MS) this.#report()
  }

  #drop(reason: string, count: number): void {
    if (count === 0) return
    this.#tally.dropped.set(reason, (this.#tally.dropped.get(reason) ?? 0) + count)
  }

  /** Counters and drop events, together once a second instead of once a sample. */
  #report(): void {
    const { stream } = this.#options
    const { bytes, samples, dropped } = this.#tally
    this.#tally = emptyTally()
    this.#tallySince = null
    this.#deps.metrics.ingestBytes.inc({ stream }, bytes)
    for (const kind of ['video', 'audio', 'data'] as const) {
      if (samples[kind] > 0) this.#deps.metrics.ingestSamples.inc({ stream, kind }, samples[kind])
    }
    for (const [reason, count] of dropped) {
      this.#deps.events.samplesDropped({ stream, count, reason })
    }
  }
}

export type PublisherDeps = {
  readonly writer: FragmentWriter
  readonly now: () => EpochMs
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
}

export type ClockReading = {
  /** Of the track's timescale, unwrapped as its samples' are; need not be a whole number. */
  readonly ticks: number
  /** Milliseconds since 1970, by the producer's clock; need not be a whole number. */
  readonly wallMs: number
}

export type PublisherOptions = {
  readonly stream: string
  /** A fragment is cut at the first key sample at which it is this old. */
  readonly fragmentTargetMs: number
  /** A GOP that is longer is split; at most 31,767, since block times are 16-bit milliseconds. */
  readonly maxFragmentMs: number
}

export type PublisherSnapshot = {
  readonly tracks: readonly TrackInfo[]
  readonly lastSampleAt: EpochMs | null
  /** Over the last five seconds. */
  readonly bitrateBps: number
  readonly frameRate: number
}

type HeldSample = { readonly sample: Sample; readonly placed: PlacedSample }

type OpenFragment = {
  /** Of its Cluster. */
  readonly timecode: EpochMs
  readonly startDts: EpochMs
  readonly startsWithKey: boolean
  /** Tracks whose present parameter sets are in its header. */
  readonly describes: Set<number>
  samples: number
  producerEnd: EpochMs
}

/** Of the archive: a full queue, a failed write, a fragment beyond its size. Others are bugs. */
const LOSSES = new Set<ErrorKind>(['unavailable', 'limit-exceeded'])
const MAX_HELD_MS = 1_000
const MAX_HELD_BYTES = 1024 * 1024
const REPORT_EVERY_MS = 1_000

function emptyTally() {
  return {
    bytes: 0,
    samples: { video: 0, audio: 0, data: 0 },
    dropped: new Map<string, number>(),
  }
}

function sameTrack(a: Track, b: Track): boolean {
  return (
    a.codecId === b.codecId &&
    a.timescale === b.timescale &&
    Buffer.compare(a.codecPrivate, b.codecPrivate) === 0
  )
}
