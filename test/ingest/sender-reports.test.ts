import { describe, expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import type { Track } from '../../src/domain/track.ts'
import { MediaTimeline } from '../../src/ingest/media-timeline.ts'
import { toAacTrack, toAvcTrack } from '../../src/ingest/parameter-sets.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { AAC_CONFIG, AVC_CONFIG } from '../support/rtmp-client.ts'

const START = 1_700_000_000_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const DATA = new Uint8Array(1)
/** As RTP has them: another rate and another zero each. */
const VIDEO: Track = { ...toAvcTrack(AVC_CONFIG), timescale: 90_000 }
const AUDIO: Track = { ...toAacTrack(AAC_CONFIG), timescale: 8_000 }
const META: Track = { ...AUDIO, number: 3, kind: 'data', timescale: 90_000, audio: null }
const ZERO = { 1: 4_000_000_000, 2: 77_000, 3: 1_000_000 } as Record<number, number>

/** What a camera takes for each. */
const ENCODING_MS = { video: 120, audio: 20 }

/**
 * A camera with several tracks. `takenMs` is the time since the start at which something was taken;
 * everything comes out as what the timeline says was its error against that.
 */
function camera(encodingMs: { readonly video: number; readonly audio: number } = ENCODING_MS) {
  const clock = new SteppedClock(START)
  const timeline = new MediaTimeline(clock, 'own')
  let jumps = 0
  const ticksOf = (track: Track, takenMs: number) =>
    ZERO[track.number]! + Math.round((takenMs * track.timescale) / 1000)
  const send = (track: Track, takenMs: number, options: { isKey?: boolean; at?: number } = {}) => {
    const { at = takenMs + { ...encodingMs, data: 0 }[track.kind], isKey = true } = options
    clock.passTo(START + at)
    const ticks = ticksOf(track, takenMs)
    const arrivedAt = clock.now()
    const sample = {
      trackNumber: track.number,
      pts: ticks,
      dts: ticks,
      isKey,
      data: DATA,
      arrivedAt,
    }
    const mayStep = track.kind === 'video' && isKey
    const placed = timeline.place({ sample, track, atMs: clock.monotonicMs() }, mayStep)
    if (placed.jumped) jumps++
    return placed.pts - START - takenMs
  }
  /** @param wallErrorMs of the camera's clock */
  const report = (track: Track, takenMs: number, wallErrorMs = 0) =>
    timeline.report(
      track,
      { ticks: ticksOf(track, takenMs), wallMs: START + takenMs + wallErrorMs },
      clock.monotonicMs(),
    )
  /** Audio and video of a while, with reports every five seconds; the last errors of both. */
  const run = (
    fromMs: number,
    toMs: number,
    options: { reportError?: (sinceMs: number) => number | null; step?: number } = {},
  ) => {
    const { reportError = () => null, step = 200 } = options
    let errors: [number, number] = [Number.NaN, Number.NaN]
    for (let t = fromMs; t < toMs; t += step) {
      const audio = send(AUDIO, t)
      errors = [send(VIDEO, t), audio]
      const wallError = t % 5_000 < step ? reportError(t) : null
      if (wallError === null) continue
      report(VIDEO, t, wallError)
      report(AUDIO, t, wallError)
    }
    return errors
  }
  return { clock, timeline, send, report, run, jumps: () => jumps }
}

/** A wall clock that is set, beside time that passes. */
class SteppedClock extends ManualClock {
  #stepMs = 0

  override now() {
    return epochMs(super.now() + this.#stepMs)
  }

  step(ms: number): void {
    this.#stepMs += ms
  }

  passTo(trueMs: number): void {
    this.advance(Math.max(0, trueMs - this.monotonicMs()))
  }
}

describe('sender reports', () => {
  test('without any, each track is placed by its smallest delay', () => {
    const { run, timeline, jumps } = camera()

    expect(run(0, 10_000)).toEqual([120, 20])
    expect(timeline.facts().source).toBe('arrival')
    expect(jumps()).toBe(0)
  })

  test('before the first sample they anchor both tracks, and nothing moves later', () => {
    const { report, run, timeline, jumps } = camera()
    report(VIDEO, 0)
    report(AUDIO, 0)

    expect(run(0, 10_000, { reportError: () => 0 })).toEqual([0, 0])
    expect(timeline.facts().source).toBe('sender-report')
    expect(jumps()).toBe(0)
  })

  test('later they align audio and video at the next cut, when they are far apart', () => {
    const { run, report, send, jumps } = camera({ video: 300, audio: 20 })
    expect(run(0, 3_000)).toEqual([300, 20])
    report(VIDEO, 2_900)
    report(AUDIO, 2_900)

    expect(send(VIDEO, 3_000, { isKey: false })).toBe(300)
    expect(send(AUDIO, 3_000)).toBe(20)
    expect(send(VIDEO, 3_040)).toBe(0)
    expect(send(AUDIO, 3_040)).toBe(0)
    expect(jumps()).toBe(1)
  })

  test('or slew, when they are near', () => {
    const { run, jumps } = camera({ video: 100, audio: 20 })
    run(0, 3_000)

    expect(run(3_000, 10_000, { reportError: () => 0 })[0]).toBeGreaterThan(90)
    const [video, audio] = run(10_000, 10 * MINUTE, { reportError: () => 0 })
    expect(Math.abs(video)).toBeLessThanOrEqual(15)
    expect(Math.abs(audio)).toBeLessThanOrEqual(15)
    expect(jumps()).toBe(0)
  })

  test.each([
    { rule: 'five seconds off are believed', wallError: 4_800, source: 'sender-report' },
    { rule: 'more are not', wallError: 5_200, source: 'arrival' },
    { rule: 'nor behind', wallError: -5_200, source: 'arrival' },
    { rule: 'nor 1970', wallError: -START, source: 'arrival' },
    { rule: 'nor 2014', wallError: Date.UTC(2014, 0, 1) - START, source: 'arrival' },
    { rule: 'nor next year', wallError: 365 * DAY, source: 'arrival' },
  ] as const)('$rule', ({ wallError, source }) => {
    const { run, timeline } = camera()
    run(0, 30_000, { reportError: () => wallError })

    expect(timeline.facts().source).toBe(source)
  })

  test('a clock that was never set aligns the tracks all the same', () => {
    const { report, run, jumps } = camera()
    report(VIDEO, 0, -START)
    report(AUDIO, 0, -START)

    // By the earliest arrival: audio, which came 20 ms after it was taken.
    const [video, audio] = run(0, 10_000, { reportError: () => -START })
    expect(video).toBe(audio)
    expect(jumps()).toBe(0)
  })

  test('the camera sets its clock: media goes on, slewed or by ours, and nothing jumps', () => {
    const { report, run, timeline, jumps } = camera()
    report(VIDEO, 0)
    report(AUDIO, 0)
    run(0, MINUTE, { reportError: () => 0 })

    const [bySlew] = run(MINUTE, 2 * MINUTE, { reportError: () => 2_000 })
    expect(bySlew).toBeGreaterThan(0)
    expect(bySlew).toBeLessThanOrEqual(30) // 500 ppm of a minute
    expect(timeline.facts().source).toBe('sender-report')
    const [byOurs] = run(2 * MINUTE, 3 * MINUTE, { reportError: () => HOUR })
    expect(Math.abs(byOurs)).toBeLessThanOrEqual(60)
    expect(timeline.facts().source).toBe('arrival')
    expect(jumps()).toBe(0)
  })

  test('one that cannot be of the present media time is ignored', () => {
    const { run, report, timeline } = camera()
    run(0, 1_000)
    report(VIDEO, 120_000)
    report(VIDEO, Number.NaN)
    report(VIDEO, 0, Number.POSITIVE_INFINITY)

    expect(timeline.facts().source).toBe('arrival')
  })

  test('a track without reports waits for none', () => {
    const { send, report, timeline, jumps } = camera()
    send(META, 0)
    send(VIDEO, 0)
    report(VIDEO, 0, 1_500)

    expect(send(VIDEO, 40)).toBe(1_500)
    expect(send(META, 40)).toBe(0)
    expect(jumps()).toBe(1)
    expect(timeline.facts().source).toBe('sender-report')
  })

  test('a thousand a second cost no more than the samples', () => {
    const { send, report } = camera()
    send(VIDEO, 0)
    for (let i = 0; i < 100_000; i++) report(VIDEO, i % 1000)

    expect(send(VIDEO, 40)).toBe(120)
  })
})

describe('our clock is set', () => {
  test.each([DAY, -DAY, HOUR, 6_000])('%i ms: nothing moves until it has stayed so', (stepMs) => {
    const { clock, run, jumps } = camera()
    expect(run(0, 3 * MINUTE)).toEqual([120, 20])
    clock.step(stepMs)

    expect(run(3 * MINUTE, 7 * MINUTE)).toEqual([120, 20])
    expect(jumps()).toBe(0)
    // After five minutes the wall is where it says it is.
    expect(run(7 * MINUTE, 10 * MINUTE)).toEqual([120 + stepMs, 20 + stepMs])
    expect(jumps()).toBe(1)
  })

  test('and right again: nothing moves', () => {
    const { clock, run, jumps } = camera()
    run(0, 3 * MINUTE)
    clock.step(DAY)
    run(3 * MINUTE, 7 * MINUTE)
    clock.step(-DAY)

    expect(run(7 * MINUTE, 20 * MINUTE)).toEqual([120, 20])
    expect(jumps()).toBe(0)
  })

  test('by seconds: slewed', () => {
    const { clock, run, jumps } = camera()
    run(0, 3 * MINUTE)
    clock.step(1_000)
    run(3 * MINUTE, 60 * MINUTE)

    const [video, audio] = run(60 * MINUTE, 61 * MINUTE)
    expect(Math.abs(video - 1_120)).toBeLessThanOrEqual(15)
    expect(Math.abs(audio - 1_020)).toBeLessThanOrEqual(15)
    expect(jumps()).toBe(0)
  })
})

describe('a producer whose media time stops and goes on', () => {
  test('is put where it is, after some minutes', () => {
    const { send, jumps } = camera()
    for (let t = 0; t < 3 * MINUTE; t += 200) send(VIDEO, t)
    const paused = HOUR
    let error = Number.NaN
    for (let t = 3 * MINUTE; t < 20 * MINUTE; t += 200) {
      error = send(VIDEO, t, { at: t + paused + 120 }) - paused
    }

    expect(error).toBe(120)
    expect(jumps()).toBe(1)
  })
})

test('metadata that were late by far at first are put right without a cut', () => {
  const { send, jumps } = camera()
  let error = Number.NaN
  for (let t = 0; t < 12 * MINUTE; t += 1_000) {
    send(VIDEO, t)
    error = send(META, t, { at: t === 0 ? 20_000 : t + 120 })
  }

  expect(Math.abs(error)).toBeLessThanOrEqual(130)
  expect(jumps()).toBe(0)
})

test('a publisher that is always faster than real time is recorded with its own times', () => {
  const { send, jumps } = camera()
  const errors = []
  for (let t = 0; t < 10 * HOUR; t += 200) errors.push(send(VIDEO, t, { at: t / 20 }))

  expect(jumps()).toBe(0)
  // Ten hours in half an hour: slewed by no more than 500 ppm of that.
  expect(Math.abs(errors.at(-1)! - errors[0]!)).toBeLessThanOrEqual(900)
})
