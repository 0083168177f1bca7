import type { FragmentWriter } from '../archive/index.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Sample, Track } from '../domain/track.ts'
import { MAX_RELATIVE_MS, toMatroskaHeader } from '../media/matroska/writer.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { FragmentOutput, type TimedSample } from './fragment-output.ts'
import { isCutPoint, planSample } from './fragment-plan.ts'
import { GopMeter, type GopFacts } from './gop-meter.ts'
import { IngestTally, type TallySnapshot } from './ingest-tally.ts'
import { MAX_DURATION_MS, MediaTimeline } from './media-timeline.ts'
import type {
  ArrivedSample,
  ClockFacts,
  ClockReading,
  PlacedSample,
  TrackClocks,
} from './sample-times.ts'
import { toTrackInfo, type TrackInfo } from './session-info.ts'
import { SETTLE_MS, StartGate } from './start-gate.ts'

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
  readonly #timeline: MediaTimeline
  readonly #tally: IngestTally
  readonly #output: FragmentOutput
  readonly #gop = new GopMeter()
  readonly #tracks = new Map<number, Track>()
  /** Of the video track that fragments are cut by; others are kept beside it, like audio. */
  #videoNumber: number | null = null
  #gate: StartGate | null = new StartGate()
  #gateIsTimed = false
  #header: Uint8Array | null = null
  /** Samples of other tracks than video that wait for the next fragment. */
  #held: TimedSample[] = []
  #heldBytes = 0
  #resumeAnywhere = false
  /** Decode time of the first sample that found no fragment open. */
  #waitingSince: EpochMs | null = null
  /** Tracks of which something was lost before their next sample. */
  readonly #lossBefore = new Set<number>()
  readonly #ended = new AbortController()

  constructor(deps: PublisherDeps, options: PublisherOptions) {
    if (options.maxFragmentMs > MAX_RELATIVE_MS - 1000) {
      throw new RangeError(`maxFragmentMs ${options.maxFragmentMs} exceeds a block's time range`)
    }
    this.#deps = deps
    this.#options = options
    this.#timeline = new MediaTimeline(deps.clock, options.trackClocks)
    this.#tally = new IngestTally(deps, options.stream)
    const drop = this.#tally.drop.bind(this.#tally)
    this.#output = new FragmentOutput({ writer: deps.writer, log: deps.log, drop })
  }

  /** Bytes that wait for the disk; a protocol stops reading from its peer while they are many. */
  get queuedBytes(): number {
    return this.#deps.writer.queuedBytes
  }

  get lastSampleAt(): EpochMs | null {
    return this.#tally.lastSampleAt
  }

  /** The kinds of the tracks that the peer announced, one each; without it, video and audio. */
  expect(kinds: readonly Track['kind'][]): void {
    this.#gate?.expect(kinds)
  }

  /** A new track, or new parameter sets of a known one: in force from its next fragment on. */
  describe(track: Track): void {
    const known = this.#tracks.get(track.number)
    if (known !== undefined) {
      if (sameTrack(known, track)) return
      this.#releaseGate() // what it holds is of the former parameter sets
    }
    this.#tracks.set(track.number, track)
    if (track.kind === 'video') {
      this.#videoNumber = Math.min(this.#videoNumber ?? track.number, track.number)
    }
    this.#header = null
    this.#output.open?.describes.delete(track.number)
    this.#openGateWhenDue()
  }

  /** Takes the next sample in the order of arrival, which within a track is decode order. */
  write(sample: Sample): void {
    const track = this.#tracks.get(sample.trackNumber)
    this.#tally.count(track, sample.arrivedAt, sample.data.length)
    if (track === undefined) {
      this.#tally.drop('no-parameter-sets', 1)
      return
    }
    const atMs = this.#deps.clock.monotonicMs()
    const afterLoss = this.#lossBefore.size > 0 && this.#lossBefore.delete(track.number)
    const arrived = { sample, track, atMs, afterLoss }
    if (this.#gate === null) {
      this.#store(arrived)
      return
    }
    this.#gate.hold(arrived)
    this.#openGateWhenDue()
    if (this.#gate !== null && !this.#gateIsTimed) void this.#openGateInTime()
  }

  /** Samples of this stream that the protocol had to leave out. */
  drop(reason: string, count = 1): void {
    this.#tally.drop(reason, count)
  }

  /**
   * The producer's clock said `wallMs` at media time `ticks` of the track: an RTCP sender report,
   * whatever it says: docs/design/ingest.md has when it is believed. In any order with samples.
   */
  observeClock(trackNumber: number, reading: ClockReading): void {
    const track = this.#tracks.get(trackNumber)
    if (track === undefined) return
    this.#timeline.report(track, reading, this.#deps.clock.monotonicMs())
  }

  /**
   * Media was lost on the way before the next sample of the track. Recording goes on; the fragment
   * says so in its Tags. Calls before the same sample count once.
   */
  markLoss(trackNumber: number): void {
    if (this.#lossBefore.has(trackNumber) || !this.#tracks.has(trackNumber)) return
    this.#lossBefore.add(trackNumber)
    this.#tally.lose()
  }

  /** Completes the open fragment; resolves when it is persisted or given up. */
  async end(): Promise<void> {
    this.#ended.abort()
    this.#releaseGate()
    this.#output.finish()
    this.#tally.drop('no-keyframe', this.#held.length)
    this.#held = []
    this.#tally.report()
    await this.#output.settled()
  }

  snapshot(): PublisherSnapshot {
    return {
      tracks: [...this.#tracks.values()].map(toTrackInfo),
      gop: this.#gop.facts(),
      clock: this.#timeline.facts(),
      ...this.#tally.snapshot(this.#deps.clock.now()),
    }
  }

  #openGateWhenDue(): void {
    const atMs = this.#deps.clock.monotonicMs()
    if (this.#gate?.isOpen(this.#tracks.values(), atMs) ?? false) this.#releaseGate()
  }

  /** When nothing more comes, too. */
  async #openGateInTime(): Promise<void> {
    this.#gateIsTimed = true
    const { signal } = this.#ended
    try {
      while (this.#gate !== null) {
        await this.#deps.clock.sleep(SETTLE_MS, signal)
        this.#openGateWhenDue()
      }
    } catch (error) {
      if (!signal.aborted) this.#deps.log.error({ err: error }, 'held media could not be stored')
    }
  }

  #releaseGate(): void {
    if (this.#gate === null) return
    const held = this.#gate.release()
    this.#gate = null
    this.#timeline.prepare(held)
    for (const arrived of held) this.#store(arrived)
  }

  #store(arrived: ArrivedSample): void {
    const { sample, track } = arrived
    const { isKey } = sample
    const isVideo = track.number === this.#videoNumber
    const cutPoint = isCutPoint({ isVideo, isKey, sessionHasVideo: this.#videoNumber !== null })
    const placed = this.#timeline.place(arrived, cutPoint)
    // What was lost for long is a gap, and no sample that lasts so long.
    const jumped = placed.jumped || (arrived.afterLoss && placed.stepMs > MAX_DURATION_MS)
    if (jumped) {
      this.#output.interrupt()
      this.#resumeAnywhere = true
      this.#waitingSince = null
    }
    if (isVideo) this.#warnOfGop(this.#gop.note(placed.dts, isKey, !jumped))
    const { open } = this.#output
    // One literal and no spread: this runs for every sample, and a spread costs as much as the rest.
    const plan = planSample({
      isVideo,
      isKey,
      sessionHasVideo: this.#videoNumber !== null,
      open: this.#openSituation(track, placed),
      resumeAnywhere: this.#resumeAnywhere,
      waitedMs: this.#waitingSince === null ? 0 : placed.dts - this.#waitingSince,
      fragmentTargetMs: this.#options.fragmentTargetMs,
      maxFragmentMs: this.#options.maxFragmentMs,
    })
    switch (plan) {
      case 'append':
        this.#output.append(sample, placed)
        break
      case 'begin':
        if (!cutPoint && open !== null)
          this.#warnOfGop(this.#gop.report(placed.dts - open.startDts))
        this.#begin({ sample, placed }, cutPoint)
        break
      case 'hold':
        this.#hold(sample, placed)
        break
      case 'drop':
        this.#tally.drop('no-keyframe', 1)
        break
    }
    if (this.#output.open === null) this.#waitingSince ??= placed.dts
    if (arrived.afterLoss) this.#output.noteLoss()
  }

  #openSituation(track: Track, placed: PlacedSample) {
    const { open } = this.#output
    if (open === null) return null
    return {
      ageMs: placed.dts - open.startDts,
      startsWithKey: open.startsWithKey,
      describesTrack: open.describes.has(track.number),
      describesAll: open.describes.size === this.#tracks.size,
    }
  }

  #begin(next: TimedSample, startsWithKey: boolean): void {
    this.#tally.report()
    // A key sample of video goes before what was held; audio keeps its order.
    const isVideo = next.sample.trackNumber === this.#videoNumber
    const queue = isVideo ? [next, ...this.#held] : [...this.#held, next]
    const tracks = [...this.#tracks.values()].sort((a, b) => a.number - b.number)
    this.#header ??= toMatroskaHeader(tracks, { title: this.#options.stream })
    if (!this.#output.begin({ header: this.#header, tracks, startsWithKey }, queue[0]!)) return
    this.#resumeAnywhere = false
    this.#waitingSince = null
    this.#held = []
    this.#heldBytes = 0
    for (const { sample, placed } of queue) this.#output.append(sample, placed)
    if (this.#videoNumber === null) void this.#finishInTime()
  }

  /** Metadata may come minutes apart; what came is not kept waiting for what comes. */
  async #finishInTime(): Promise<void> {
    const { open } = this.#output
    const { signal } = this.#ended
    try {
      await this.#deps.clock.sleep(this.#options.fragmentTargetMs + SPARSE_MS, signal)
    } catch {
      return // the session has ended
    }
    if (this.#output.open === open) this.#output.finish()
  }

  /**
   * Before the first key sample only the last second is worth keeping. A track that is new to the
   * open fragment's header waits for the next one, which the fragment's own limit brings.
   */
  #hold(sample: Sample, placed: PlacedSample): void {
    this.#held.push({ sample, placed })
    this.#heldBytes += sample.data.length
    const spanMs = this.#output.open === null ? MAX_HELD_MS : Number.POSITIVE_INFINITY
    for (
      let oldest = this.#held[0];
      oldest !== undefined &&
      (this.#heldBytes > MAX_HELD_BYTES || placed.dts - oldest.placed.dts > spanMs);
      oldest = this.#held[0]
    ) {
      this.#held.shift()
      this.#heldBytes -= oldest.sample.data.length
      this.#tally.drop('no-keyframe', 1)
    }
  }

  #warnOfGop(gopMs: number | null): void {
    if (gopMs === null) return
    const { stream, maxFragmentMs } = this.#options
    this.#deps.events.longGop({ stream, gopMs, maxFragmentMs })
  }
}

export type PublisherDeps = {
  readonly writer: FragmentWriter
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
}

export type PublisherOptions = {
  readonly stream: string
  readonly trackClocks: TrackClocks
  /** A fragment is cut at the first key sample at which it is this old. */
  readonly fragmentTargetMs: number
  /** A GOP that is longer is split; at most 31,767, since block times are 16-bit milliseconds. */
  readonly maxFragmentMs: number
}

export type PublisherSnapshot = TallySnapshot & {
  readonly tracks: readonly TrackInfo[]
  /** Of video, in milliseconds; `null` before the second key sample. */
  readonly gop: GopFacts | null
  /** `null` where media brings its own wall time: PutMedia. */
  readonly clock: ClockFacts | null
}

/** By which the next sample may be late. */
const SPARSE_MS = 500
const MAX_HELD_MS = 1_000
const MAX_HELD_BYTES = 1024 * 1024

function sameTrack(a: Track, b: Track): boolean {
  return (
    a.codecId === b.codecId &&
    a.timescale === b.timescale &&
    Buffer.compare(a.codecPrivate, b.codecPrivate) === 0
  )
}
