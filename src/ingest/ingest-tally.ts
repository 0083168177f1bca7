import type { EpochMs } from '../domain/time.ts'
import type { Track } from '../domain/track.ts'
import type { Events } from '../observe/events.ts'
import type { Metrics } from '../observe/metrics.ts'
import { RateMeter } from './rate-meter.ts'

/** Counts what one session brings; counters and events are told once a second, not once a sample. */
export class IngestTally {
  readonly #deps: TallyDeps
  readonly #stream: string
  readonly #meter = new RateMeter()
  readonly #dropped = new Map<string, number>()
  #losses = 0
  #lastSampleAt: EpochMs | null = null
  #untold = noneYet()
  #since: EpochMs | null = null

  constructor(deps: TallyDeps, stream: string) {
    this.#deps = deps
    this.#stream = stream
  }

  get lastSampleAt(): EpochMs | null {
    return this.#lastSampleAt
  }

  /** @param bytes of so many samples together */
  count(track: Track | undefined, arrivedAt: EpochMs, bytes: number, samples = 1): void {
    this.#lastSampleAt = arrivedAt
    this.#meter.add(arrivedAt, bytes, track?.kind === 'video' ? samples : 0)
    this.#untold.bytes += bytes
    if (track !== undefined) this.#untold.samples[track.kind] += samples
    this.#since ??= arrivedAt
    if (Math.abs(arrivedAt - this.#since) >= REPORT_EVERY_MS) this.report()
  }

  drop(reason: string, count: number): void {
    if (count === 0) return
    add(this.#untold.dropped, reason, count)
    add(this.#dropped, reason, count)
  }

  lose(): void {
    this.#untold.losses++
    this.#losses++
  }

  report(): void {
    const { metrics, events } = this.#deps
    const stream = this.#stream
    const { bytes, samples, dropped, losses } = this.#untold
    this.#untold = noneYet()
    this.#since = null
    metrics.ingestBytes.inc({ stream }, bytes)
    for (const kind of ['video', 'audio', 'data'] as const) {
      if (samples[kind] > 0) metrics.ingestSamples.inc({ stream, kind }, samples[kind])
    }
    for (const [reason, count] of dropped) events.samplesDropped({ stream, count, reason })
    if (losses > 0) events.mediaLost({ stream, count: losses })
  }

  snapshot(now: EpochMs): TallySnapshot {
    return {
      ...this.#meter.read(now),
      lastSampleAt: this.#lastSampleAt,
      losses: this.#losses,
      dropped: Object.fromEntries(this.#dropped),
    }
  }
}

export type TallySnapshot = {
  readonly lastSampleAt: EpochMs | null
  /** Over the last five seconds. */
  readonly bitrateBps: number
  readonly frameRate: number
  /** Places where media was lost on the way. */
  readonly losses: number
  /** Samples not stored, by reason. */
  readonly dropped: Readonly<Record<string, number>>
}

type TallyDeps = { readonly events: Events; readonly metrics: Metrics }

const REPORT_EVERY_MS = 1_000

function noneYet() {
  return {
    bytes: 0,
    samples: { video: 0, audio: 0, data: 0 },
    dropped: new Map<string, number>(),
    losses: 0,
  }
}

function add(counts: Map<string, number>, reason: string, count: number): void {
  counts.set(reason, (counts.get(reason) ?? 0) + count)
}
