import { describe, expect, test } from 'vitest'
import type { Archive } from '../../src/archive/index.ts'
import { ClockDoubt } from '../../src/archive/clock-doubt.ts'
import { parseFragmentNumber, type Fragment } from '../../src/domain/fragment.ts'
import { epochMs, type EpochMs } from '../../src/domain/time.ts'
import { toAvcTrack, VIDEO_TRACK } from '../../src/ingest/parameter-sets.ts'
import { IngestPublisher } from '../../src/ingest/publisher.ts'
import { silentLog } from '../../src/observe/log.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, T, YARD } from '../support/archive-workplace.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { AVC_CONFIG } from '../support/rtmp-client.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const FRAME_MS = 200
const FRAMES_PER_GOP = 10

/** A wall clock that can be set while what sleeps goes on by the machine's own time. */
class SettableClock implements Clock {
  readonly #time: ManualClock
  #offsetMs = 0

  constructor(time: ManualClock) {
    this.#time = time
  }

  now(): EpochMs {
    return epochMs(this.#time.now() + this.#offsetMs)
  }

  monotonicMs(): number {
    return this.#time.monotonicMs()
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return this.#time.sleep(ms, signal)
  }

  step(ms: number): void {
    this.#offsetMs += ms
  }
}

/** A camera, its publisher and the archive it is recorded in. */
async function studio(retentionMs: number) {
  const place = await archiveWorkplace()
  const clock = new SettableClock(place.clock)
  place.retention.ms = retentionMs
  const archive = await place.open({ clock })
  const { events, metrics } = createObserved()
  let ticks = 0
  let sent = 0

  /** One session: GOPs of 2 s, five frames a second; `between` is told before each GOP. */
  async function publish(
    gops: number,
    between: (gop: number) => Promise<void> | void = () => undefined,
    timescale = 1000,
  ): Promise<void> {
    await using writer = await archive.openWriter(YARD)
    const publisher = new IngestPublisher(
      { writer, clock, events, metrics, log: silentLog },
      { stream: 'yard', trackClocks: 'shared', fragmentTargetMs: 2000, maxFragmentMs: 30_000 },
    )
    publisher.expect(['video'])
    publisher.describe({ ...toAvcTrack(AVC_CONFIG), timescale })
    for (let gop = 0; gop < gops; gop++) {
      await between(gop)
      for (let frame = 0; frame < FRAMES_PER_GOP; frame++) {
        const isKey = frame === 0
        const arrivedAt = clock.now()
        const data = new Uint8Array(50)
        publisher.write({
          ...{ trackNumber: VIDEO_TRACK, pts: ticks, dts: ticks, isKey, data, arrivedAt },
        })
        sent++
        ticks += (FRAME_MS * timescale) / 1000
        place.clock.advance(FRAME_MS)
      }
    }
    await publisher.end()
  }

  const jump = (toTicks: (ticks: number) => number) => (ticks = toTicks(ticks))
  return { place, archive, clock, publish, jump, sent: () => sent }
}

/** Lets the archive's own rounds run, each to its end: 10 s of the first have passed. */
async function expiryRounds(time: ManualClock, rounds: number): Promise<void> {
  time.advance(20_000)
  for (let round = 0; round < rounds; round++) {
    await time.sleeping(30_000)
    time.advance(30_000)
  }
  await time.sleeping(30_000)
}

const all = (archive: Archive) => archive.after(YARD, null, 10_000)
const samplesIn = (fragments: readonly Fragment[]) =>
  fragments.reduce((sum, { sampleCount }) => sum + sampleCount, 0)

/** Numbers rise, sequences have no holes, nothing is longer than it lasted. */
function expectInOrder(fragments: readonly Fragment[]): void {
  const counters = fragments.map((f) => parseFragmentNumber(f.fragmentNumber)!.counter)
  expect(counters).toEqual(counters.map((_, i) => counters[0]! + i))
  expect(fragments.map((f) => f.fragmentNumber)).toEqual(
    fragments.map((f) => f.fragmentNumber).sort(),
  )
  expect(fragments.map(({ sequence }) => sequence)).toEqual(fragments.map((_, i) => i))
  for (const { durationMs } of fragments) expect(durationMs).toBeLessThanOrEqual(2000)
}

describe('the system clock is set while a stream is recorded', () => {
  test.each([
    { rule: 'a day ahead', steps: [DAY_MS] },
    { rule: 'a day back', steps: [-DAY_MS] },
    { rule: 'a day ahead and right again', steps: [DAY_MS, -DAY_MS] },
    { rule: 'back and right again, several times', steps: [-DAY_MS, DAY_MS, -DAY_MS, DAY_MS] },
    { rule: 'a second back', steps: [-1000] },
  ])('$rule: nothing is lost, stretched or hidden, and numbers rise', async ({ steps }) => {
    const { archive, clock, publish, sent } = await studio(90 * DAY_MS)
    await publish(4 * (steps.length + 1), (gop) => {
      if (gop > 0 && gop % 4 === 0) clock.step(steps[gop / 4 - 1]!)
    })

    const fragments = await all(archive)

    expectInOrder(fragments)
    expect(samplesIn(fragments)).toBe(sent())
    expect(await archive.newest(YARD, 3)).toEqual(fragments.slice(-3))
    for (const fragment of fragments) {
      const { serverTimestamp: from, arrivalSpanMs, fragmentNumber } = fragment
      expect(await archive.find(YARD, fragmentNumber)).toEqual(fragment)
      const to = epochMs(from + Math.max(arrivalSpanMs, 1))
      expect(await archive.list(YARD, { by: 'server', from, to, limit: 10 })).toContainEqual(
        fragment,
      )
    }
    // The producer's clock is not ours: its media has no gap.
    const { spans, gaps } = await archive.coverage(YARD, {
      ...{ by: 'producer', from: epochMs(T), to: epochMs(T + sent() * FRAME_MS) },
    })
    expect(gaps).toEqual([])
    expect(spans).toMatchObject([{ from: T, fragments: fragments.length }])
  })

  test('who waits for the next fragment gets it, whatever it is stamped', async () => {
    const { archive, clock, publish } = await studio(90 * DAY_MS)
    await publish(2)
    const [last] = await archive.newest(YARD, 1)
    const waiting = archive.waitAfter(YARD, last!.fragmentNumber, new AbortController().signal)
    clock.step(-DAY_MS)

    await publish(1)
    await waiting

    const [next] = await archive.after(YARD, last!.fragmentNumber, 1)
    expect(next!.serverTimestamp).toBeLessThan(last!.serverTimestamp)
    expect(await archive.newest(YARD, 1)).toEqual([next])
  })

  test('ahead beyond the retention hides and does not delete, and back it is all there', async () => {
    const { place, archive, clock, publish, sent } = await studio(HOUR_MS)
    await publish(5)
    clock.step(DAY_MS)
    await expiryRounds(place.clock, 5)

    expect(await all(archive)).toEqual([])
    await publish(2) // stamped by the wrong clock
    expect(await all(archive)).toHaveLength(2)
    clock.step(-DAY_MS)

    const fragments = await all(archive)
    expectInOrder(fragments)
    expect(samplesIn(fragments)).toBe(sent())
    expect(await archive.newest(YARD, 7)).toEqual(fragments)
  })

  test('a clock that stays ahead is believed after an hour', async () => {
    const { place, archive, clock, publish } = await studio(HOUR_MS)
    await publish(5)
    clock.step(DAY_MS)
    await expiryRounds(place.clock, 122)

    expect(await archive.usage(YARD)).toMatchObject({ chunks: 0 })
  })
})

describe('clock doubt', () => {
  test.each([
    { rule: 'rounds as they come', rounds: [30_000, 60_000, 90_000], doubts: [0, 0, 0] },
    { rule: 'a long round', rounds: [30_000, 600_000], doubts: [0, 0] },
    {
      rule: 'a jump',
      rounds: [DAY_MS, DAY_MS + 30_000],
      doubts: [DAY_MS - 30_000, DAY_MS - 30_000],
    },
    { rule: 'a jump that is taken back', rounds: [DAY_MS, 60_000], doubts: [DAY_MS - 30_000, 0] },
    { rule: 'a clock set back', rounds: [-DAY_MS, -DAY_MS + 30_000], doubts: [0, 0] },
  ])('$rule', ({ rounds, doubts }) => {
    const doubt = new ClockDoubt(0, 30_000)
    expect(rounds.map((now) => doubt.note(now))).toEqual(doubts)
  })
})

describe('a producer whose clock is wrong', () => {
  test.each([
    { rule: 'it says 1970', producerAt: 0 },
    { rule: 'it says 2100', producerAt: Date.UTC(2100, 0, 1) },
    { rule: 'it says a day ago', producerAt: T - DAY_MS },
  ])('$rule: found by both clocks, and kept by ours', async ({ producerAt }) => {
    const { archive, clock, place } = await studio(HOUR_MS)
    const fragments: Fragment[] = []
    {
      await using writer = await archive.openWriter(YARD)
      for (let i = 0; i < 5; i++) {
        const times = { at: clock.now(), producerAt: producerAt + i * 2000 }
        fragments.push(await writeFragment(writer, times))
        place.clock.advance(2000)
      }
    }
    await archive.expire()

    const find = (by: 'producer' | 'server', from: number) =>
      archive.list(YARD, { by, from: epochMs(from), to: epochMs(from + 10_000), limit: 9 })
    expect(await find('producer', producerAt)).toEqual(fragments)
    expect(await find('server', T)).toEqual(fragments)
    expect(await find('producer', T)).toEqual([])
  })
})

describe('media time jumps', () => {
  const WRAP = 2 ** 32
  test.each([
    {
      rule: 'a 32-bit clock of milliseconds wraps',
      timescale: 1000,
      start: WRAP - 8000,
      wrap: WRAP,
    },
    {
      rule: 'a 32-bit clock of 90 kHz wraps',
      timescale: 90_000,
      start: WRAP - 720_000,
      wrap: WRAP,
    },
    { rule: 'an hour ahead', timescale: 1000, start: 0, wrap: -HOUR_MS },
    { rule: 'an hour back', timescale: 1000, start: 2 * HOUR_MS, wrap: HOUR_MS },
    { rule: 'to the beginning', timescale: 1000, start: 1e9, wrap: 1e9 + 8000 },
    { rule: 'ten years ahead', timescale: 1000, start: 0, wrap: -3650 * DAY_MS },
  ])('$rule: nothing is lost, nothing is stretched', async ({ timescale, start, wrap }) => {
    const { archive, publish, jump, sent } = await studio(90 * DAY_MS)
    jump(() => start)
    await publish(8, (gop) => void (gop === 4 && jump((ticks) => ticks - wrap)), timescale)

    const fragments = await all(archive)

    expectInOrder(fragments)
    expect(samplesIn(fragments)).toBe(sent())
    expect(fragments.map(({ discontinuity }) => discontinuity)).toEqual(
      fragments.map((_, i) => i === 0 || i === 4),
    )
    for (const { producerTimestamp, serverTimestamp } of fragments) {
      expect(producerTimestamp).toBe(serverTimestamp) // anchored anew at the jump's arrival
    }
  })
})
