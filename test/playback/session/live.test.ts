import { describe, expect, test } from 'vitest'
import { epochMs } from '../../../src/domain/time.ts'
import type { DiscontinuityMode } from '../../../src/playback/index.ts'
import { checkManifestReload } from '../support/check-manifest.ts'
import { checkReload, readMasterPlaylist } from '../support/check-playlist.ts'
import { AUDIO, LARGER, SessionStand, START, streamId, type Row } from './session-stand.ts'

/** What happens to a stream in an hour, made short: gaps, other parameters, damage, late pictures. */
const EVENTFUL: readonly Row[] = Array.from({ length: 60 }, (_, i): Row => {
  if (i % 17 === 16) return { gapMs: 7000, discontinuity: true }
  if (i % 11 === 10) return { gapMs: 300 } // nobody declared it
  if (i === 25 || i === 26) return { tracks: [LARGER, AUDIO] }
  if (i === 40) return { durationMs: 700 }
  if (i === 41) return { durationMs: 2080 } // sound that runs ahead
  if (i === 50) return { tracks: [AUDIO] } // the next has no picture, either
  return {}
})

const MODES: readonly DiscontinuityMode[] = ['ALWAYS', 'NEVER', 'ON_DISCONTINUITY']

describe('a LIVE session', () => {
  describe.each(MODES)('with discontinuities %s', (discontinuities) => {
    test.each(['video', 'audio'] as const)(
      'changes by the rules of RFC 8216 §6.2, whenever it is asked: %s',
      async (tracks) => {
        const stand = new SessionStand()
        stand.addAll([{}, {}, {}])
        const session = await stand.open({ discontinuities })
        let before = await stand.read(session, tracks)
        const numbers = new Map<string, number>()

        for (const [i, row] of EVENTFUL.entries()) {
          stand.add(row)
          if (i % 7 === 3) continue // players do not see every window
          const after = await stand.read(session, tracks)
          checkReload(before, after)
          for (const [k, { uri }] of after.segments.entries()) {
            const number = after.mediaSequence + k
            expect(numbers.get(uri) ?? number).toBe(number)
            numbers.set(uri, number)
          }
          before = after
        }

        expect(before.mediaSequence).toBeGreaterThan(50)
        expect(Math.max(...numbers.values())).toBe(61)
      },
    )

    test('means the same after a restart', async () => {
      const stand = new SessionStand()
      stand.addAll([{}, {}, {}])
      const session = await stand.open({ discontinuities })
      stand.addAll(EVENTFUL.slice(0, 45))
      const before = [await stand.media(session), await stand.media(session, 'audio')]

      stand.restart()

      expect([await stand.media(session), await stand.media(session, 'audio')]).toEqual(before)
    })

    test('pictures and sound have the same numbers', async () => {
      const stand = new SessionStand()
      stand.addAll(EVENTFUL.slice(0, 30))
      const session = await stand.open({ discontinuities })
      stand.addAll(EVENTFUL.slice(30))

      const [video, audio] = [await stand.read(session), await stand.read(session, 'audio')]

      expect(audio.mediaSequence).toBe(video.mediaSequence)
      const shape = ({ segments }: typeof video) =>
        segments.map(({ durationS, discontinuities: at }) => [durationS, at])
      expect(shape(audio)).toEqual(shape(video))
    })
  })

  test.each([
    { rule: 'ALWAYS: before every fragment', mode: 'ALWAYS', marks: [1, 2, 3, 4] },
    { rule: 'NEVER: only where decoders begin anew', mode: 'NEVER', marks: [4] },
    { rule: 'ON_DISCONTINUITY: at gaps, too', mode: 'ON_DISCONTINUITY', marks: [2, 3, 4] },
  ] as const)('$rule', async ({ mode, marks }) => {
    const stand = new SessionStand()
    const rows = [{}, {}, { gapMs: 51 }, { discontinuity: true }, { tracks: [LARGER, AUDIO] }]
    stand.addAll(rows)

    const { segments } = await stand.read(await stand.open({ discontinuities: mode }))

    expect(segments.flatMap(({ discontinuity }, i) => (discontinuity ? [i] : []))).toEqual(marks)
  })

  test('by the server’s clock what arrives late is a gap', async () => {
    const stand = new SessionStand()
    stand.addAll([{}, {}])
    stand.add({ serverTimestamp: epochMs(stand.clock.now() + 60) })

    const byServer = await stand.read(await stand.open({ clock: 'server' }))
    const byProducer = await stand.read(await stand.open())

    expect(byServer.segments.map(({ discontinuity }) => discontinuity)).toEqual([
      false,
      false,
      true,
    ])
    expect(byProducer.segments.some(({ discontinuity }) => discontinuity)).toBe(false)
  })

  test('durations add up where sound runs ahead of pictures', async () => {
    const stand = new SessionStand()
    for (let i = 0; i < 100; i++) {
      const began = START + i * 2000
      stand.add({ producerTimestamp: epochMs(began), durationMs: 2080 })
    }
    const session = await stand.open({
      mode: 'ON_DEMAND',
      range: { from: START, to: START + 1_000_000 },
      window: { fragments: 1000, bound: 'usual' },
    })

    const { segments } = await stand.read(session)

    const total = segments.reduce((sum, { durationS }) => sum + durationS, 0)
    expect(total).toBeCloseTo(200.08, 3)
  })

  test('never removes too early: three target durations stay', async () => {
    const stand = new SessionStand()
    stand.addAll([
      { durationMs: 9000 },
      ...Array.from({ length: 40 }, () => ({ durationMs: 1000 })),
    ])
    const session = await stand.open({ window: { fragments: 40, bound: 'usual' } })
    const usual = { ...session, window: { fragments: 5, bound: 'usual' } } as const
    const asked = { ...session, window: { fragments: 5, bound: 'asked' } } as const
    stand.add({ durationMs: 1000 })

    const { segments, targetDurationS } = await stand.read(usual)

    const listedS = segments.reduce((sum, { durationS }) => sum + durationS, 0)
    expect(listedS).toBeGreaterThanOrEqual(3 * targetDurationS)
    expect((await stand.read(asked)).segments).toHaveLength(5)
  })

  test('lists what is sent again once', async () => {
    const stand = new SessionStand()
    const [, second] = stand.addAll([{}, {}])
    const session = await stand.open()
    await stand.read(session)
    stand.add({ producerTimestamp: second!.producerTimestamp })
    stand.clock.advance(-2000)
    stand.add()

    const { segments, mediaSequence } = await stand.read(session)

    expect(mediaSequence).toBe(0)
    expect(segments.map(({ uri }) => uri)).toContain(`video-${second!.fragmentNumber}.mp4`)
    expect(segments).toHaveLength(3)
  })

  test('has a gap where a chunk is damaged', async () => {
    const stand = new SessionStand()
    stand.addAll([{}, {}, { tracks: [LARGER, AUDIO] }, {}])
    const damaged = (await stand.archive.newest(streamId, 2))[0]!
    stand.archive.unreadable.add(damaged.fragmentNumber)

    const { segments, version } = await stand.read(await stand.open())

    expect(segments.map(({ gap }) => gap)).toEqual([false, false, true, false])
    expect(version).toBe(8)
  })

  test('has a gap in the pictures where there is only sound', async () => {
    const stand = new SessionStand()
    stand.addAll([{}, { tracks: [AUDIO] }, {}])
    const session = await stand.open()

    const gaps = async (tracks: 'video' | 'audio') =>
      (await stand.read(session, tracks)).segments.map(({ gap }) => gap)

    expect(await gaps('video')).toEqual([false, true, false])
    expect(await gaps('audio')).toEqual([false, false, false])
  })

  describe('without media', () => {
    test('waits: a gap, then what comes', async () => {
      const stand = new SessionStand()
      const session = await stand.open()

      const waiting = await stand.read(session, 'all')
      const master = readMasterPlaylist(await stand.master(session))
      stand.addAll([{}, {}])
      const playing = await stand.read(session, 'all')

      expect(waiting.segments).toMatchObject([{ gap: true, map: null }])
      expect(master.variants).toMatchObject([{ uri: 'media-all.m3u8' }])
      expect(master.variants[0]!['CODECS']).toBeUndefined()
      checkReload(waiting, playing)
      expect(playing.segments.map(({ gap }) => gap)).toEqual([true, false, false])
    })

    test('as DASH waits in an empty Period', async () => {
      const stand = new SessionStand()
      const session = await stand.open()

      const waiting = await stand.manifest(session)
      stand.addAll([{}, {}])
      const playing = await stand.manifest(session)

      expect(waiting.periods).toMatchObject([{ segments: [], sets: [] }])
      expect(playing.periods.map(({ segments }) => segments.length)).toEqual([2])
    })

    test('goes on after a pause of minutes, and expects what was there', async () => {
      const stand = new SessionStand()
      stand.addAll([{}, {}])
      const session = await stand.open()
      const before = await stand.read(session)
      stand.clock.advance(600_000)
      const paused = await stand.read(session)
      const later = await stand.open()
      const master = readMasterPlaylist(await stand.master(later))
      stand.add()

      expect(paused).toEqual(before)
      checkReload(paused, await stand.read(session))
      expect(master.variants[0]).toMatchObject({ CODECS: 'avc1.4D4015,mp4a.40.2' })
      expect((await stand.read(later)).segments.map(({ gap }) => gap)).toEqual([true, false])
    })
  })

  test('as DASH keeps its Periods where they are', async () => {
    const stand = new SessionStand()
    stand.addAll([{}, {}, {}])
    const session = await stand.open({ clock: 'server' })
    let before = await stand.manifest(session)
    const periods = new Set<string>()

    for (const row of EVENTFUL) {
      stand.add(row)
      const after = await stand.manifest(session)
      checkManifestReload(before, after)
      for (const { id } of after.periods) periods.add(id)
      before = after
    }
    stand.restart()

    expect((await stand.manifest(session)).periods).toEqual(before.periods)
    expect(periods.size).toBeGreaterThan(8)
  })
})
