import { describe, expect, test } from 'vitest'
import { ClockLine } from '../../src/ingest/clock-line.ts'
import { MediaTimeline } from '../../src/ingest/media-timeline.ts'
import { toAvcTrack } from '../../src/ingest/parameter-sets.ts'
import type { PlacedSample } from '../../src/ingest/sample-times.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/fuzz.ts'
import { AVC_CONFIG } from '../support/rtmp-client.ts'

const START = 1_700_000_000_000
const HOUR = 3_600_000
const MINUTE = 60_000
const DATA = new Uint8Array(1)

type Camera = {
  /** Of its clock against ours. */
  readonly driftPpm: number
  readonly frameMs?: number
  /** Of each frame on its way, by its time since the start. */
  readonly delayMs?: (sinceMs: number) => number
}

/**
 * One camera, watched for a while: `sinceMs` and where the timeline put what was taken then, as an
 * error against the wall.
 */
function watch(camera: Camera, durationMs: number) {
  const { driftPpm, frameMs = 200, delayMs = () => 0 } = camera
  const clock = new ManualClock(START)
  const timeline = new MediaTimeline(clock, 'own')
  const track = { ...toAvcTrack(AVC_CONFIG), timescale: 90_000 }
  const errors: { readonly sinceMs: number; readonly errorMs: number }[] = []
  let last: PlacedSample | null = null
  let shortest = Number.POSITIVE_INFINITY
  let longest = 0
  let jumps = 0
  for (let sinceMs = 0; sinceMs < durationMs; sinceMs += frameMs) {
    const arrivedMs = START + sinceMs + delayMs(sinceMs)
    clock.advance(Math.max(0, arrivedMs - clock.now()))
    const dts = Math.round(sinceMs * 90 * (1 + driftPpm / 1e6))
    const arrivedAt = clock.now()
    const sample = { trackNumber: 1, pts: dts, dts, isKey: true, data: DATA, arrivedAt }
    const placed = timeline.place({ sample, track, atMs: clock.monotonicMs() }, true)
    if (last !== null) {
      shortest = Math.min(shortest, placed.dts - last.dts)
      longest = Math.max(longest, placed.dts - last.dts)
    }
    if (placed.jumped) jumps++
    errors.push({ sinceMs, errorMs: placed.pts - (START + sinceMs) })
    last = placed
  }
  const worst = (fromMs: number, toMs = durationMs) =>
    errors.reduce(
      (most, { sinceMs, errorMs }) =>
        sinceMs >= fromMs && sinceMs < toMs ? Math.max(most, Math.abs(errorMs)) : most,
      0,
    )
  return { worst, last: errors.at(-1)!.errorMs, shortest, longest, jumps, facts: timeline.facts() }
}

describe('drift', () => {
  test.each([
    { rule: 'a camera that gains', driftPpm: 200, hours: 24 },
    { rule: 'a camera that loses', driftPpm: -200, hours: 24 },
    { rule: 'a good one', driftPpm: 3, hours: 6 },
    { rule: 'as much as is corrected', driftPpm: 450, hours: 6 },
  ])('$rule ($driftPpm ppm) is where it was after $hours h', ({ driftPpm, hours }) => {
    const { worst, shortest, longest, jumps, facts } = watch({ driftPpm }, hours * HOUR)

    expect(worst(0)).toBeLessThanOrEqual(100)
    expect(jumps).toBe(0)
    expect(shortest).toBeGreaterThanOrEqual(199) // frames of 200 ms
    expect(longest).toBeLessThanOrEqual(201)
    expect(facts.source).toBe('arrival')
    expect(facts.driftPpm).toBeCloseTo(driftPpm, 0)
  })

  test('more than 500 ppm is followed no faster', () => {
    const { last, jumps } = watch({ driftPpm: 1_000 }, HOUR)

    // 3.6 s gained, of which 1.8 s are taken back.
    expect(last).toBeGreaterThan(1_700)
    expect(last).toBeLessThan(2_000)
    expect(jumps).toBe(0)
  })

  test('jitter of two seconds moves nothing, and hides no drift', () => {
    const random = createRandom(7)
    // Every so often nothing comes for up to two seconds, then all of it at once.
    let [from, until] = [0, 0]
    const delayMs = (sinceMs: number) => {
      if (sinceMs >= until + 500) {
        from = sinceMs + random() * 4_000
        until = from + random() * 2_000
      }
      const heldMs = sinceMs >= from ? Math.max(0, until - sinceMs) : 0
      return Math.floor(heldMs + random() * 30)
    }
    const still = watch({ driftPpm: 0, delayMs, frameMs: 40 }, 2 * HOUR)
    ;[from, until] = [0, 0]
    const drifting = watch({ driftPpm: -100, delayMs, frameMs: 40 }, 6 * HOUR)

    expect(still.worst(0)).toBeLessThanOrEqual(30)
    expect(Math.abs(still.facts.driftPpm!)).toBeLessThan(2)
    expect(drifting.worst(0)).toBeLessThanOrEqual(60)
    expect(Math.abs(drifting.facts.driftPpm! + 100)).toBeLessThan(2)
  })

  test('a network that is slow for a minute moves nothing', () => {
    const slow = (sinceMs: number) => sinceMs > 20 * MINUTE && sinceMs < 21 * MINUTE
    const { worst } = watch({ driftPpm: 0, delayMs: (at) => (slow(at) ? 2_000 : 5) }, HOUR)

    expect(worst(0)).toBeLessThanOrEqual(10)
  })

  test('an outage that the camera buffers is put where it was taken', () => {
    // Two minutes of no network; then all of it comes at four times the speed.
    const delayMs = (sinceMs: number) => {
      const late = sinceMs - 10 * MINUTE
      return late < 0 || late > 160_000 ? 0 : late < 120_000 ? Math.round(120_000 - late * 0.75) : 0
    }
    const { worst, jumps } = watch({ driftPpm: 0, delayMs }, HOUR)

    expect(worst(0)).toBeLessThanOrEqual(20)
    expect(jumps).toBe(0)
  })

  test('a clean clock is left exactly as it was sent', () => {
    const { shortest, longest, last } = watch({ driftPpm: 0, delayMs: (t) => t % 7 }, HOUR)

    expect([shortest, longest, last]).toEqual([200, 200, 0])
  })
})

describe('ClockLine', () => {
  const line = (readings: readonly (readonly [number, number])[]) => {
    const found = new ClockLine()
    for (const [at, offset] of readings) found.add(at, offset)
    return found
  }
  const straight = (count: number, offset = 0) =>
    Array.from({ length: count }, (_, i) => [i * 1000, offset + i] as const)

  test('there is none before four readings', () => {
    expect(line(straight(3)).valueAt(0)).toBeNull()
    expect(line(straight(4)).valueAt(5000)).toBe(5)
    expect(line(straight(4)).slope).toBe(0.001)
  })

  test('a quarter of delayed readings does not bend it', () => {
    const late = straight(40).map(([at, offset], i) => [at, i % 4 === 1 ? offset + 900 : offset])
    const found = line(late as [number, number][])

    expect(found.slope).toBeCloseTo(0.001, 6)
    expect(found.valueAt(39_000)).toBeCloseTo(39, 6)
  })

  test('four readings that stay away begin another', () => {
    const there = Array.from({ length: 4 }, (_, i) => [40_000 + i * 1000, 90_040 + i] as const)

    expect(line([...straight(40), ...there.slice(0, 3)]).valueAt(43_000)).toBeCloseTo(43, 6)
    expect(line([...straight(40), ...there]).valueAt(43_000)).toBeCloseTo(90_043, 6)
  })

  test('readings at one instant make no slope', () => {
    expect(line(Array.from({ length: 5 }, () => [1000, 7] as const)).valueAt(2000)).toBe(7)
  })
})
