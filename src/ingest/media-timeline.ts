import { epochMs, rescaleTicks, type EpochMs } from '../domain/time.ts'
import type { Sample, Track } from '../domain/track.ts'

/**
 * Puts a session's media times on the wall: producer time = anchor + media time since the anchor.
 *
 * 1. The anchor is the first sample's arrival; media time alone moves the clock from there.
 * 2. A step of a track's decode time backward by more than 1 s or forward by more than 10 s is a
 *    jump, unless it leads to where the other tracks are (audio that was muted for a while).
 * 3. A jump sets a new anchor at its arrival: nothing is ever stretched over it.
 * 4. The other tracks follow to the new anchor when they jump too; until then they keep the old one,
 *    so samples that were on their way are neither lost nor moved.
 * 5. Smaller steps backward are kept as they are.
 */
export type PlacedSample = {
  /** Wall time of presentation and decoding, by the producer's clock. */
  readonly pts: EpochMs
  readonly dts: EpochMs
  /** How long the sample lasts, as far as its track's last step tells. */
  readonly durationMs: number
  /** The media time does not continue the one before. */
  readonly jumped: boolean
}

const MAX_BACKWARD_MS = 1_000
const MAX_FORWARD_MS = 10_000
/** Of a track's first sample; the ones after it know the step. */
const NOMINAL_DURATION_MS = 40
const MAX_DURATION_MS = 1_000

type TrackTime = {
  /** Wall minus media time. */
  offsetMs: number
  /** Media time of the last sample. */
  dtsMs: number
  durationMs: number
}

export class MediaTimeline {
  readonly #tracks = new Map<number, TrackTime>()
  /** The newest anchor, as wall minus media time; `null` before the first sample. */
  #offsetMs: number | null = null
  /** Newest decode time on the newest anchor, wall. */
  #newestMs = 0

  place(sample: Sample, track: Track): PlacedSample {
    const dtsMs = rescaleTicks(sample.dts, track.timescale, 1000)
    const ptsMs = rescaleTicks(sample.pts, track.timescale, 1000)
    const known = this.#tracks.get(track.number)
    const stepMs = known === undefined ? null : dtsMs - known.dtsMs
    const continues = stepMs !== null && isStep(stepMs)
    const time: TrackTime = known ?? { offsetMs: 0, dtsMs, durationMs: NOMINAL_DURATION_MS }

    let jumped = false
    if (!continues) {
      const joins = this.#offsetMs !== null && isStep(dtsMs + this.#offsetMs - this.#newestMs)
      if (joins) time.offsetMs = this.#offsetMs!
      else time.offsetMs = sample.arrivedAt - ptsMs
      // A track that begins late on a clock of its own gets its own anchor and interrupts nothing.
      const first = this.#offsetMs === null
      jumped = !joins && known !== undefined
      if (first || jumped) {
        this.#offsetMs = time.offsetMs
        this.#newestMs = dtsMs + time.offsetMs
      }
    } else if (stepMs > 0) {
      time.durationMs = Math.min(stepMs, MAX_DURATION_MS)
    }
    time.dtsMs = dtsMs
    this.#tracks.set(track.number, time)
    const dts = epochMs(dtsMs + time.offsetMs)
    if (time.offsetMs === this.#offsetMs) this.#newestMs = Math.max(this.#newestMs, dts)
    return { pts: epochMs(ptsMs + time.offsetMs), dts, durationMs: time.durationMs, jumped }
  }
}

function isStep(ms: number): boolean {
  return ms >= -MAX_BACKWARD_MS && ms <= MAX_FORWARD_MS
}
