import { describe, expect, test } from 'vitest'
import { epochMs } from '../../../src/domain/time.ts'
import { checkManifestReload } from '../support/check-manifest.ts'
import { checkReload } from '../support/check-playlist.ts'
import { AUDIO, LARGER, SessionStand, START, type Row } from './session-stand.ts'

const HOUR = { from: START, to: START + 3_600_000 }
const LONG = { fragments: 1000, bound: 'asked' } as const
const rows = (count: number, row: Row = {}): Row[] => Array.from({ length: count }, () => row)
const uriOf = ({ fragmentNumber }: { fragmentNumber: string }) => `video-${fragmentNumber}.mp4`

describe('an ON_DEMAND session', () => {
  const onDemand = (range: { from: number; to: number }, change: object = {}) => ({
    mode: 'ON_DEMAND' as const,
    range,
    window: LONG,
    ...change,
  })

  test('lists the fragments that start in its range, both ends included', async () => {
    const stand = new SessionStand()
    const fragments = stand.addAll(rows(10))
    const range = { from: START + 2000, to: START + 8000 }

    const playlist = await stand.read(await stand.open(onDemand(range)))

    expect(playlist.segments.map(({ uri }) => uri)).toEqual(fragments.slice(1, 5).map(uriOf))
    expect(playlist).toMatchObject({ type: 'VOD', isEnded: true, mediaSequence: 0 })
  })

  test('lists the oldest of more than are asked for', async () => {
    const stand = new SessionStand()
    const fragments = stand.addAll(rows(10))
    const window = { fragments: 3, bound: 'asked' } as const

    const { segments } = await stand.read(await stand.open(onDemand(HOUR, { window })))

    expect(segments.map(({ uri }) => uri)).toEqual(fragments.slice(0, 3).map(uriOf))
  })

  test.each([
    { rule: 'a moment after the last', range: { from: START + 2001, to: START + 3000 } },
    { rule: 'before the first', range: { from: START - 5000, to: START - 1 } },
  ])('is not made without a fragment: $rule', async ({ range }) => {
    const stand = new SessionStand()
    stand.addAll(rows(2))

    await expect(stand.open(onDemand(range))).rejects.toMatchObject({
      kind: 'not-found',
      code: 'NoMedia',
    })
  })

  test('by the producer’s clock lists the oldest of what was ingested twice', async () => {
    const stand = new SessionStand()
    const first = stand.addAll(rows(4))
    stand.clock.advance(3_600_000)
    for (let i = 0; i < 4; i++) {
      stand.add({
        producerTimestamp: epochMs(first[i]!.producerTimestamp + 700),
        serverTimestamp: stand.clock.now(),
      })
    }

    const playlist = await stand.read(await stand.open(onDemand(HOUR)))

    expect(playlist.segments.map(({ uri }) => uri)).toEqual(first.map(uriOf))
  })

  test('changes its parameters in the middle', async () => {
    const stand = new SessionStand()
    stand.addAll([...rows(2), ...rows(2, { tracks: [LARGER, AUDIO] }), ...rows(2)])

    const session = await stand.open(onDemand(HOUR, { discontinuities: 'NEVER' }))
    const { segments } = await stand.read(session)
    const { periods } = await stand.manifest(session)

    expect(segments.flatMap(({ discontinuity }, i) => (discontinuity ? [i] : []))).toEqual([2, 4])
    expect(new Set(segments.map(({ map }) => map)).size).toBe(2)
    expect(periods.map((period) => period.segments.length)).toEqual([2, 2, 2])
  })

  test('as DASH closes gaps up: Periods follow each other', async () => {
    const stand = new SessionStand()
    stand.addAll([...rows(2), { gapMs: 60_000 }, ...rows(2)])

    const { root, periods } = await stand.manifest(await stand.open(onDemand(HOUR)))

    expect(periods.map(({ startMs }) => startMs)).toEqual([0, 4000])
    expect(root.attributes).toMatchObject({
      type: 'static',
      mediaPresentationDuration: 'PT10S',
    })
    expect(periods.map(({ offsetMs }) => offsetMs)).toEqual([START, START + 64_000])
  })

  test('shows times and numbers when it is asked to', async () => {
    const stand = new SessionStand()
    const [fragment] = stand.addAll(rows(1))
    const shown = { showTimestamps: true, showNumbers: true }

    const session = await stand.open(onDemand(HOUR, shown))
    const { segments } = await stand.read(session)
    const { periods } = await stand.manifest(session)

    expect(segments[0]!.dateTime).toBe('2026-01-02T00:00:00.000Z')
    const timeline = JSON.stringify(periods[0]!.sets[0])
    expect(timeline).toContain(`"kvs:fn":"${fragment!.fragmentNumber}"`)
    expect(timeline).toContain('"kvs:ts":"2026-01-02T00:00:00.000Z"')
  })
})

describe('a LIVE_REPLAY session', () => {
  const replay = (change: object = {}) => ({
    mode: 'LIVE_REPLAY' as const,
    range: { from: START, to: null },
    ...change,
  })

  test('begins at its start and gives a fragment out as its time passes', async () => {
    const stand = new SessionStand()
    const fragments = stand.addAll(rows(30))
    const session = await stand.open(replay())
    const seen: string[] = []
    let before = await stand.read(session)
    const first = before.segments.map(({ uri }) => uri)

    for (let i = 0; i < 20; i++) {
      stand.clock.advance(1000)
      const after = await stand.read(session)
      checkReload(before, after)
      seen.push(after.segments.at(-1)!.uri)
      before = after
    }

    expect(first).toEqual(fragments.slice(0, 3).map(uriOf))
    expect(seen.at(-1)).toBe(uriOf(fragments[12]!)) // ten more in twenty seconds
    expect(new Set(seen).size).toBe(11)
    expect(before.segments).toHaveLength(5)
    expect(before.isEnded).toBe(false)
  })

  test('does not wait through gaps, and means the same after a restart', async () => {
    const stand = new SessionStand()
    const fragments = stand.addAll([...rows(4), { gapMs: 600_000 }, ...rows(10)])
    const session = await stand.open(replay({ discontinuities: 'ON_DISCONTINUITY' }))
    await stand.read(session)
    stand.clock.advance(8000)

    const before = [await stand.media(session), await stand.manifest(session)]
    stand.restart()

    expect([await stand.media(session), await stand.manifest(session)]).toEqual(before)
    expect(before[0]).toContain(uriOf(fragments[6]!))
  })

  test('goes on into what comes while it plays', async () => {
    const stand = new SessionStand()
    stand.addAll(rows(4))
    const session = await stand.open(replay())
    stand.clock.advance(4000)
    await stand.read(session)
    const later = stand.add()

    const { segments } = await stand.read(session)

    expect(segments.at(-1)!.uri).toBe(uriOf(later))
  })

  test('ends where its range does', async () => {
    const stand = new SessionStand()
    const fragments = stand.addAll(rows(12))
    const session = await stand.open(replay({ range: { from: START, to: START + 10_000 } }))
    const before = await stand.manifest(session)
    stand.clock.advance(120_000)

    const playlist = await stand.read(session)
    const after = await stand.manifest(session)
    checkManifestReload(before, after)

    expect(playlist.isEnded).toBe(true)
    expect(playlist.type).toBeNull()
    expect(playlist.segments.at(-1)!.uri).toBe(uriOf(fragments[5]!))
    expect(after.root.attributes['mediaPresentationDuration']).toBeDefined()
    expect(after.root.attributes['minimumUpdatePeriod']).toBeUndefined()
  })
})
