import { describe, expect, test } from 'vitest'
import type { FragmentStart, FragmentWriter } from '../../src/archive/index.ts'
import { ServiceError } from '../../src/domain/errors.ts'
import type { Fragment, FragmentNumber } from '../../src/domain/fragment.ts'
import type { Track } from '../../src/domain/track.ts'
import {
  AUDIO_TRACK,
  toAacTrack,
  toAvcTrack,
  VIDEO_TRACK,
} from '../../src/ingest/parameter-sets.ts'
import { IngestPublisher } from '../../src/ingest/publisher.ts'
import { parseWholeHeader, toSamples } from '../../src/media/matroska/scanner.ts'
import { createObserved } from '../support/observed.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { AAC_CONFIG, AVC_CONFIG } from '../support/rtmp-client.ts'

const START = 1_700_000_000_000
const VIDEO = toAvcTrack(AVC_CONFIG)
const AUDIO = toAacTrack(AAC_CONFIG)
/** The same picture with another level in its record: new parameter sets. */
const OTHER_VIDEO = toAvcTrack(AVC_CONFIG.with(3, 0x0b))

type StoredFragment = { readonly start: FragmentStart; readonly parts: Uint8Array[] }

/** Keeps whole fragments in memory; fails where a test says so. */
class MemoryWriter implements FragmentWriter {
  readonly fragments: StoredFragment[] = []
  readonly ends: number[] = []
  readonly tags: (Uint8Array | null)[] = []
  failAt: ((fragment: number, part: number) => ServiceError | null) | null = null
  queuedBytes = 0
  #open: StoredFragment | null = null

  begin(start: FragmentStart): FragmentNumber {
    if (this.#open !== null) throw new Error('begin before end')
    this.#open = { start, parts: [] }
    this.fragments.push(this.#open)
    return String(this.fragments.length) as FragmentNumber
  }

  append(parts: readonly Uint8Array[], info: { producerEnd: number }): void {
    if (this.#open === null) throw new Error('append before begin')
    const failure = this.failAt?.(this.fragments.length, this.#open.parts.length) ?? null
    if (failure !== null) {
      this.#open = null
      this.fragments.pop()
      throw failure
    }
    this.#open.parts.push(...parts)
    this.ends[this.fragments.length - 1] = info.producerEnd - START
  }

  async end(producerTags: Uint8Array | null): Promise<Fragment> {
    if (this.#open === null) throw new Error('end before begin')
    this.tags.push(producerTags)
    this.#open = null
    return {} as Fragment
  }

  abandon(): void {
    this.#open = null
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function setUp() {
  const writer = new MemoryWriter()
  const observed = createObserved()
  const clock = new ManualClock(START)
  const publisher = new IngestPublisher(
    { ...observed, writer, clock },
    { stream: 'x', trackClocks: 'shared', fragmentTargetMs: 2000, maxFragmentMs: 20_000 },
  )
  let serial = 0
  /** `K` key, `P` inter, `A` audio, at a media time; arrives then, too, or when told. */
  const send = (
    kind: 'K' | 'P' | 'A',
    dts: number,
    options: { pts?: number; at?: number; bytes?: number } = {},
  ) => {
    clock.advance(Math.max(0, START + (options.at ?? dts) - clock.now()))
    publisher.write({
      trackNumber: kind === 'A' ? AUDIO_TRACK : VIDEO_TRACK,
      pts: options.pts ?? dts,
      dts,
      isKey: kind !== 'P',
      data: new Uint8Array(options.bytes ?? 1).fill(serial++),
      arrivedAt: clock.now(),
    })
  }
  /** Each fragment as the kinds and presentation times after the start of its samples. */
  const stored = () =>
    writer.fragments.map(({ start, parts }) => {
      const { tracks } = parseWholeHeader(start.header)
      const samples = toSamples(Buffer.concat(parts), tracks)
      return samples
        .map(({ trackNumber, isKey, ptsMs }) => {
          const kind = trackNumber === AUDIO_TRACK ? 'A' : isKey ? 'K' : 'P'
          return `${kind}${ptsMs - START}`
        })
        .join(' ')
    })
  const marks = () =>
    writer.fragments.map(({ start }) => [
      start.producerTimestamp - START,
      start.discontinuity,
      start.startsWithKey,
    ])
  const dropped = () => {
    const counts: Record<string, number> = {}
    for (const { name, fields } of observed.recorder.items) {
      if (name !== 'samplesDropped') continue
      const { reason, count } = fields as { reason: string; count: number }
      counts[reason] = (counts[reason] ?? 0) + count
    }
    return counts
  }
  /** What was held at the start is stored: nothing came for a while. */
  const settle = async () => {
    await clock.sleeping(250)
    clock.advance(250)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { publisher, writer, clock, settle, send, stored, marks, dropped, observed }
}

function describeBoth(publisher: IngestPublisher): void {
  publisher.describe(VIDEO)
  publisher.describe(AUDIO)
}

describe('cutting', () => {
  test('cuts at the first key sample past the target, in order of arrival', async () => {
    const { publisher, send, stored, marks, writer } = setUp()
    describeBoth(publisher)
    send('K', 0)
    send('A', 10)
    for (let t = 500; t <= 2500; t += 500) send(t % 1000 === 0 ? 'K' : 'P', t)
    send('A', 2510)
    await publisher.end()

    expect(stored()).toEqual(['K0 A10 P500 K1000 P1500', 'K2000 P2500 A2510'])
    expect(marks()).toEqual([
      [0, true, true],
      [2000, false, true],
    ])
    expect(writer.ends).toEqual([2000, 3510]) // a sample lasts at most a second
  })

  test('B-frames keep their order and times; those before their key sample come out negative', async () => {
    const { publisher, send, stored, marks } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0, { pts: 200 })
    send('P', 100, { pts: 500 })
    send('P', 200, { pts: 300 })
    for (let dts = 300; dts < 2000; dts += 100) send('P', dts, { pts: dts + 200 })
    send('K', 2000, { pts: 2400 })
    send('P', 2100, { pts: 2200 })
    await publisher.end()

    const [first, second] = stored()
    // The picture of 500 came at 100: all were taken 400 before they say.
    expect(first).toMatch(/^K-200 P100 P-100 P100 /)
    expect(second).toBe('K2000 P1800')
    expect(marks()[1]).toEqual([2000, false, true])
  })

  test('a GOP beyond the limit is split and the next key sample ends the split', async () => {
    const { publisher, send, stored, marks } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    for (let t = 1000; t <= 21_000; t += 1000) send('P', t)
    send('K', 21_500)
    await publisher.end()

    expect(marks()).toEqual([
      [0, true, true],
      [20_000, false, false],
      [21_500, false, true],
    ])
    expect(stored()[1]).toBe('P20000 P21000')
  })

  test('audio only is cut by time', async () => {
    const { publisher, send, stored } = setUp()
    publisher.expect(['audio'])
    publisher.describe(AUDIO)
    for (let t = 0; t <= 4500; t += 500) send('A', t)
    await publisher.end()

    expect(stored()).toEqual(['A0 A500 A1000 A1500', 'A2000 A2500 A3000 A3500', 'A4000 A4500'])
  })

  test('drops and counts what comes before the first key sample, but not the audio beside it', async () => {
    const { publisher, send, stored, dropped } = setUp()
    describeBoth(publisher)
    send('P', 0)
    send('A', 10)
    send('A', 900)
    send('P', 1000)
    send('A', 1100)
    send('K', 1200)
    await publisher.end()

    expect(stored()).toEqual(['K1200 A900 A1100'])
    expect(dropped()).toEqual({ 'no-keyframe': 3 })
  })
})

describe('tracks', () => {
  test('waits for audio that was announced, and names it in the first header', async () => {
    const { publisher, send, stored } = setUp()
    publisher.expect(['video', 'audio'])
    publisher.describe(VIDEO)
    send('K', 0)
    send('P', 40)
    publisher.describe(AUDIO)
    send('A', 50)
    await publisher.end()

    expect(stored()).toEqual(['K0 P40 A50'])
  })

  test.each([
    ['a second of media', [['P', 1000]] as const],
    ['the second GOP', [['K', 400]] as const],
    ['8 MiB', [['P', 40, { bytes: 8 << 20 }]] as const],
  ])('audio that never comes blocks until %s, no longer', (_rule, then) => {
    const { publisher, send, writer } = setUp()
    publisher.describe(VIDEO)
    send('K', 0)
    send('P', 20)
    expect(writer.fragments).toHaveLength(0)
    for (const [kind, dts, options] of then) send(kind, dts, options)

    expect(writer.fragments[0]?.start.tracks).toEqual([VIDEO])
  })

  test('does not wait for what the metadata do not name', () => {
    const { publisher, send, writer } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    send('P', 249)
    expect(writer.fragments).toHaveLength(0)
    send('P', 250)

    expect(writer.fragments).toHaveLength(1)
  })

  test('a track that starts late is held for the next fragment: nothing of it is lost', async () => {
    const { publisher, send, stored, writer, dropped } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    send('P', 500)
    publisher.describe(AUDIO)
    send('A', 510)
    send('P', 600)
    send('A', 620)
    send('K', 1000)
    send('A', 1010)
    await publisher.end()

    expect(stored()).toEqual(['K0 P500 P600', 'K1000 A510 A620 A1010'])
    expect(writer.fragments.map(({ start }) => start.tracks.length)).toEqual([1, 2])
    expect(dropped()).toEqual({})
  })

  test('held audio splits a GOP at the limit in its own order', async () => {
    const { publisher, send, stored, marks } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    send('P', 10_000)
    publisher.describe(AUDIO)
    for (const t of [15_000, 18_000, 20_000, 20_010]) send('A', t)
    await publisher.end()

    expect(stored()).toEqual(['K0 P10000', 'A15000 A18000 A20000 A20010'])
    expect(marks()[1]).toEqual([15_000, false, false])
  })

  test('new parameter sets come with a new header at their key sample', async () => {
    const { publisher, send, stored, writer, dropped } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    publisher.describe(VIDEO) // repeated, as encoders do
    send('P', 40)
    publisher.describe(OTHER_VIDEO)
    send('P', 80)
    send('K', 120)
    await publisher.end()

    expect(stored()).toEqual(['K0 P40', 'K120'])
    expect(dropped()).toEqual({ 'no-keyframe': 1 })
    const [before, after] = writer.fragments.map(({ start }) => start)
    expect(parseWholeHeader(before!.header).tracks[0]!.codecPrivate).toEqual(VIDEO.codecPrivate)
    expect(parseWholeHeader(after!.header).tracks[0]!.codecPrivate).toEqual(
      OTHER_VIDEO.codecPrivate,
    )
  })

  test('the header is the same bytes as long as the tracks are the same', async () => {
    const { publisher, send, writer } = setUp()
    describeBoth(publisher)
    for (let t = 0; t <= 6000; t += 2000) send('K', t)
    await publisher.end()

    expect(new Set(writer.fragments.map(({ start }) => start.header)).size).toBe(1)
  })

  test('counts samples of a track that nobody described', async () => {
    const { publisher, send, dropped } = setUp()
    publisher.describe(VIDEO)
    send('A', 0)
    await publisher.end()

    expect(dropped()).toEqual({ 'no-parameter-sets': 1 })
  })
})

describe('the start', () => {
  test.each([
    { rule: 'at once', paceMs: 0 },
    { rule: 'over a second', paceMs: 8 },
  ])('media that was buffered before lies in the past: 5 s, sent $rule', async ({ paceMs }) => {
    const { publisher, send, stored, marks, writer } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    for (let i = 0; i < 125; i++) send(i % 25 === 0 ? 'K' : 'P', i * 40, { at: i * paceMs })
    expect(writer.fragments).toHaveLength(0)
    const upTo = 124 * paceMs
    for (let i = 1; i < 50; i++) send(i === 1 ? 'K' : 'P', 4960 + i * 40, { at: upTo + i * 40 })
    await publisher.end()

    const samples = stored().flatMap((fragment) => fragment.split(' '))
    expect(samples).toHaveLength(174)
    expect(samples[0]).toBe(`K${upTo - 4960}`)
    expect(samples[124]).toBe(`P${upTo}`) // arrives as it is taken
    expect(marks().filter(([, discontinuity]) => discontinuity)).toHaveLength(1)
  })

  test('one that is late at first is anchored by the least delayed', async () => {
    const { publisher, send, marks } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0, { at: 1_900 }) // the network stood still
    for (let i = 1; i < 100; i++) send('P', i * 40, { at: Math.max(1_900, i * 40) })
    await publisher.end()

    expect(marks()[0]![0]).toBe(0)
  })

  test('opens after two seconds in any case', () => {
    const { publisher, send, writer } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    for (let i = 0; i < 100; i++) send(i === 0 ? 'K' : 'P', i * 40, { at: i * 20 })
    expect(writer.fragments).toHaveLength(0)
    send('P', 4_000, { at: 2_000 })

    expect(writer.fragments).toHaveLength(1)
  })

  test('opens when nothing more comes', async () => {
    const { publisher, send, settle, writer } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    await settle()

    expect(writer.fragments).toHaveLength(1)
  })

  test('new parameter sets meanwhile: what was held keeps its own', async () => {
    const { publisher, send, stored, writer } = setUp()
    describeBoth(publisher)
    send('K', 0)
    publisher.describe(OTHER_VIDEO)
    send('K', 40)
    await publisher.end()

    expect(stored()).toEqual(['K0', 'K40'])
    expect(writer.fragments.map(({ start }) => start.tracks[0])).toEqual([VIDEO, OTHER_VIDEO])
  })
})

describe('loss', () => {
  const tagsOf = (tags: Uint8Array | null) =>
    tags === null
      ? null
      : Buffer.from(tags)
          .toString('latin1')
          .match(/KINORA_LOSSES.*?(\d+)$/)?.[1]

  test('is counted, named in the Tags of its fragment, and stops nothing', async () => {
    const { publisher, send, settle, stored, marks, writer, observed } = setUp()
    describeBoth(publisher)
    send('K', 0)
    await settle()
    publisher.markLoss(VIDEO_TRACK)
    publisher.markLoss(VIDEO_TRACK) // two packets before one sample
    publisher.markLoss(9) // nobody's
    send('A', 300)
    send('P', 340)
    publisher.markLoss(AUDIO_TRACK)
    send('A', 380)
    send('K', 2_000)
    await publisher.end()

    expect(stored()).toEqual(['K0 A300 P340 A380', 'K2000'])
    expect(marks().map(([, discontinuity]) => discontinuity)).toEqual([true, false])
    expect(writer.tags.map(tagsOf)).toEqual(['2', null])
    expect(publisher.snapshot().losses).toBe(2)
    const text = await observed.metrics.registry.metrics()
    expect(text).toContain('kinora_ingest_losses_total{stream="x"} 2')
  })

  test('of more than a second is a gap, not a long sample', async () => {
    const { publisher, send, settle, stored, marks, writer } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    await settle()
    send('P', 300)
    publisher.markLoss(VIDEO_TRACK)
    send('P', 5_300)
    send('K', 5_340)
    await publisher.end()

    expect(stored()).toEqual(['K0 P300', 'P5300', 'K5340'])
    expect(marks()).toEqual([
      [0, true, true],
      [5_300, true, false],
      [5_340, false, true],
    ])
    expect(writer.ends[0]).toBe(600) // as long as the sample before it
  })
})

describe('key samples', () => {
  test('far apart: one warning names the GOP as measured', async () => {
    const { publisher, send, observed } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    for (let t = 0; t <= 24_000; t += 1_000) send(t % 8_000 === 0 ? 'K' : 'P', t)
    await publisher.end()

    const warnings = observed.recorder.items.filter(({ name }) => name === 'longGop')
    expect(warnings.map(({ fields }) => fields)).toEqual([
      { stream: 'x', gopMs: 8_000, maxFragmentMs: 20_000 },
    ])
    expect(publisher.snapshot().gop).toEqual({ lastMs: 8_000, maxMs: 8_000 })
  })

  test('farther than a fragment may be long: warned of at the split', async () => {
    const { publisher, send, observed } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    for (let t = 1_000; t <= 65_000; t += 1_000) send('P', t)
    await publisher.end()

    const warnings = observed.recorder.items.filter(({ name }) => name === 'longGop')
    expect(warnings.map(({ fields }) => fields['gopMs'])).toEqual([20_000])
  })

  test.each(['K', 'P'] as const)('none at all (%s): recorded all the same', async (kind) => {
    const { publisher, send, marks, dropped } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    for (let t = 0; t <= 45_000; t += 1_000) send(kind, t)
    await publisher.end()

    const [first, second] = marks()
    if (kind === 'K') {
      expect([first, second]).toEqual([
        [0, true, true],
        [2_000, false, true],
      ])
    } else {
      expect([first, second]).toEqual([
        [20_000, true, false],
        [40_000, false, false],
      ])
      expect(dropped()).toEqual({ 'no-keyframe': 20 })
    }
  })

  test('video that was announced and never comes does not cost the audio', async () => {
    const { publisher, send, stored, dropped } = setUp()
    describeBoth(publisher)
    for (let t = 0; t <= 41_000; t += 500) send('A', t)
    await publisher.end()

    expect(stored()[0]).toMatch(/^A18500 A19000 A19500 A20000 /)
    expect(stored()[1]).toMatch(/^A38500 /)
    expect(dropped()).toEqual({ 'no-keyframe': 37 })
  })
})

describe('other sessions', () => {
  const META: Track = {
    ...{ number: 3, kind: 'data', codecId: 'S_TEXT/ONVIF', codecPrivate: new Uint8Array(0) },
    ...{ timescale: 90_000, video: null, audio: null },
  }
  const write = (publisher: IngestPublisher, clock: ManualClock, track: Track, ms: number) => {
    clock.advance(Math.max(0, START + ms - clock.now()))
    const ticks = (ms * track.timescale) / 1000
    const { number: trackNumber } = track
    const data = new Uint8Array(1)
    const arrivedAt = clock.now()
    publisher.write({ trackNumber, pts: ticks, dts: ticks, isKey: true, data, arrivedAt })
  }

  test('metadata alone are cut by time', async () => {
    const { publisher, clock, writer, marks } = setUp()
    publisher.expect(['data'])
    publisher.describe(META)
    for (let t = 0; t <= 9_000; t += 1_500) write(publisher, clock, META, t)
    await publisher.end()

    expect(marks().map(([at]) => at)).toEqual([0, 3_000, 6_000, 9_000])
    expect(writer.fragments.every(({ start }) => start.startsWithKey)).toBe(true)
  })

  test('metadata that come seldom are not kept waiting for the next', async () => {
    const { publisher, clock, settle, stored, marks, writer } = setUp()
    publisher.expect(['data'])
    publisher.describe(META)
    write(publisher, clock, META, 0)
    await settle()
    expect(writer.tags).toHaveLength(0)
    await clock.sleeping(2_500)
    clock.advance(2_500)
    await new Promise((resolve) => setImmediate(resolve))
    expect(writer.tags).toHaveLength(1)
    write(publisher, clock, META, 9_000)
    await publisher.end()

    expect(stored()).toEqual(['K0', 'K9000'])
    expect(marks().map(([, discontinuity]) => discontinuity)).toEqual([true, false])
  })

  test('two audio tracks are waited for when two are announced', async () => {
    const { publisher, clock, send, writer } = setUp()
    const second = { ...AUDIO, number: 3 }
    publisher.expect(['video', 'audio', 'audio'])
    describeBoth(publisher)
    send('K', 0)
    send('A', 300)
    expect(writer.fragments).toHaveLength(0)
    publisher.describe(second)
    write(publisher, clock, second, 310)
    await publisher.end()

    expect(writer.fragments.map(({ start }) => start.tracks)).toEqual([[VIDEO, AUDIO, second]])
  })

  test('of two video tracks both are kept, and the first one cuts', async () => {
    const { publisher, clock, send, stored, writer } = setUp()
    const second = { ...VIDEO, number: 4 }
    publisher.expect(['video', 'video'])
    publisher.describe(VIDEO)
    publisher.describe(second)
    send('K', 0)
    write(publisher, clock, second, 10)
    send('P', 2_000)
    write(publisher, clock, second, 2_010)
    send('K', 3_000)
    await publisher.end()

    expect(writer.fragments[0]!.start.tracks).toEqual([VIDEO, second])
    expect(stored()).toEqual(['K0 K10 P2000 K2010', 'K3000'])
    expect(publisher.snapshot().gop).toEqual({ lastMs: 3_000, maxMs: 3_000 })
  })

  test('MJPEG: every sample is a key sample, and fragments are as long as usual', async () => {
    const { publisher, clock, marks } = setUp()
    const jpeg: Track = { ...VIDEO, codecId: 'V_MJPEG', codecPrivate: new Uint8Array(0) }
    publisher.expect(['video'])
    publisher.describe({ ...jpeg, timescale: 90_000 })
    for (let t = 0; t <= 5_000; t += 200) {
      write(publisher, clock, { ...jpeg, timescale: 90_000 }, t)
    }
    await publisher.end()

    expect(marks().map(([at]) => at)).toEqual([0, 2_000, 4_000])
    expect(publisher.snapshot().gop).toEqual({ lastMs: 200, maxMs: 200 })
  })
})

describe('time', () => {
  test('a jump ends the fragment; the next is marked and anchored to its arrival', async () => {
    const { publisher, send, stored, marks } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    send('P', 40)
    send('K', 5_000_000, { at: 90 })
    send('P', 5_000_040, { at: 130 })
    await publisher.end()

    expect(stored()).toEqual(['K0 P40', 'K90 P130'])
    expect(marks()).toEqual([
      [0, true, true],
      [90, true, true],
    ])
  })

  test('after a jump within a GOP recording goes on without a key sample', async () => {
    const { publisher, send, stored, marks } = setUp()
    describeBoth(publisher)
    send('K', 0)
    send('A', 10)
    send('A', 5_000_000, { at: 60 })
    send('P', 5_000_020, { at: 80 })
    send('K', 5_000_060, { at: 120 })
    await publisher.end()

    expect(stored()).toEqual(['K0 A10', 'P80 A60', 'K120'])
    expect(marks().slice(1)).toEqual([
      [80, true, false],
      [120, false, true],
    ])
  })

  test('a sample that no block of its fragment can time is dropped and counted', async () => {
    const { publisher, send, stored, dropped } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    send('P', 40, { pts: 40 + 32_728 })
    send('P', 80, { pts: 80 - 32_849 })
    send('P', 120, { pts: 120 + 32_647 })
    await publisher.end()

    // A picture is never believed to come more than a second ahead of its turn.
    expect(stored()).toEqual(['K-1000 P31767'])
    expect(dropped()).toEqual({ 'timestamp-out-of-range': 2 })
  })

  test('refuses a limit that block times cannot reach', () => {
    const { writer, observed, clock } = setUp()
    const deps = { ...observed, writer, clock }
    const limits = { fragmentTargetMs: 2000, maxFragmentMs: 32_767 }

    expect(
      () => new IngestPublisher(deps, { stream: 'x', trackClocks: 'shared', ...limits }),
    ).toThrow(RangeError)
  })
})

describe('an archive that cannot take it', () => {
  test.each([
    ['ArchiveQueueFull', 'archive-queue-full'],
    ['ArchiveWriteFailed', 'archive-failed'],
  ])('%s costs the fragment; the next key sample begins another', async (code, reason) => {
    const { publisher, send, settle, stored, writer, marks, dropped } = setUp()
    describeBoth(publisher)
    writer.failAt = (fragment, part) =>
      fragment === 1 && part > 3 ? new ServiceError('unavailable', code, 'full') : null
    send('K', 0)
    await settle()
    send('P', 40) // 1 Cluster start, 2 blocks of 2 parts each
    send('P', 80)
    send('P', 120)
    send('A', 121)
    writer.failAt = null
    send('K', 160)
    send('P', 200)
    await publisher.end()

    expect(stored()).toEqual(['K160 A121 P200'])
    expect(marks()).toEqual([[160, true, true]])
    expect(dropped()).toEqual({ [reason]: 3, 'no-keyframe': 1 })
  })

  test('what follows a fragment that was not persisted is a discontinuity', async () => {
    const { publisher, send, writer, marks } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    send('K', 0)
    writer.end = () => {
      MemoryWriter.prototype.end.call(writer, null).catch(() => undefined)
      return Promise.reject(new ServiceError('unavailable', 'ArchiveWriteFailed', 'disk'))
    }
    send('K', 2000)
    await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    send('K', 4000)
    await publisher.end()

    expect(marks().map(([, discontinuity]) => discontinuity)).toEqual([true, false, true])
  })

  test('a bug of ours is not taken for a full disk', () => {
    const { publisher, send, writer } = setUp()
    publisher.expect(['video'])
    publisher.describe(VIDEO)
    writer.failAt = () => new ServiceError('internal', 'Bug', 'ours')
    send('K', 0)

    expect(() => send('P', 250)).toThrow('ours')
  })
})

test('a snapshot says what comes in', async () => {
  const { publisher, send } = setUp()
  describeBoth(publisher)
  for (let t = 0; t < 3000; t += 100) {
    send(t === 0 ? 'K' : 'P', t, { bytes: 1000 })
    send('A', t + 50, { bytes: 250 })
  }

  expect(publisher.snapshot()).toEqual({
    tracks: [
      { kind: 'video', codec: 'avc1.42C00A', video: { widthPx: 64, heightPx: 64 }, audio: null },
      {
        kind: 'audio',
        codec: 'mp4a.40.2',
        video: null,
        audio: { sampleRateHz: 44_100, channels: 2 },
      },
    ],
    lastSampleAt: START + 2950,
    bitrateBps: 100_000,
    frameRate: 10,
    gop: null,
    clock: { source: 'arrival', driftPpm: null },
    losses: 0,
    dropped: {},
  })
})

test('counts bytes and samples by kind', async () => {
  const { publisher, send, observed } = setUp()
  describeBoth(publisher)
  send('K', 0, { bytes: 100 })
  send('A', 10, { bytes: 10 })
  send('P', 40, { bytes: 20 })
  await publisher.end()

  const text = await observed.metrics.registry.metrics()
  expect(text).toContain('kinora_ingest_media_bytes_total{stream="x"} 130')
  expect(text).toContain('kinora_ingest_samples_total{stream="x",kind="video"} 2')
  expect(text).toContain('kinora_ingest_samples_total{stream="x",kind="audio"} 1')
})
