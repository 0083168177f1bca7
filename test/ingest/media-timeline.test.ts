import { describe, expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import { MediaTimeline } from '../../src/ingest/media-timeline.ts'
import {
  AUDIO_TRACK,
  toAacTrack,
  toAvcTrack,
  VIDEO_TRACK,
} from '../../src/ingest/parameter-sets.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { AAC_CONFIG, AVC_CONFIG } from '../support/rtmp-client.ts'

const START = 1_700_000_000_000
const TRACKS = { v: toAvcTrack(AVC_CONFIG), a: toAacTrack(AAC_CONFIG) }
const DAY = 86_400_000

/** [track, media time, arrival after the start] to [wall time after the start, jumped]. */
type Step = readonly [track: 'v' | 'a', mediaMs: number, arrivalMs: number]

function place(steps: readonly Step[], timescale = 1000): [number, boolean][] {
  const clock = new ManualClock(START)
  const timeline = new MediaTimeline(clock, 'shared')
  return steps.map(([name, mediaMs, arrivalMs]) => {
    const ticks = (mediaMs * timescale) / 1000
    clock.advance(START + arrivalMs - clock.now())
    const sample = {
      trackNumber: name === 'v' ? VIDEO_TRACK : AUDIO_TRACK,
      pts: ticks,
      dts: ticks,
      isKey: true,
      data: new Uint8Array(1),
      arrivedAt: clock.now(),
    }
    const track = { ...TRACKS[name], timescale }
    const { dts, jumped } = timeline.place({ sample, track, atMs: clock.monotonicMs() }, true)
    return [dts - START, jumped]
  })
}

describe('MediaTimeline', () => {
  test.each<{ rule: string; steps: Step[]; placed: [number, boolean][] }>([
    {
      rule: 'media time moves the clock, arrival only starts it',
      steps: [
        ['v', 7000, 0],
        ['v', 7040, 300],
        ['v', 7080, 301],
      ],
      placed: [
        [0, false],
        [40, false],
        [80, false],
      ],
    },
    {
      rule: 'small steps backward are kept',
      steps: [
        ['v', 7000, 0],
        ['v', 6000, 40],
        ['v', 7040, 80],
      ],
      placed: [
        [0, false],
        [-1000, false],
        [40, false],
      ],
    },
    {
      rule: 'more than a second backward is a jump, anchored to its arrival',
      steps: [
        ['v', 7000, 0],
        ['v', 5999, 40],
        ['v', 6039, 90],
      ],
      placed: [
        [0, false],
        [40, true],
        [80, false],
      ],
    },
    {
      rule: 'ten seconds forward are a step',
      steps: [
        ['v', 0, 0],
        ['v', 10_000, 40],
      ],
      placed: [
        [0, false],
        [10_000, false],
      ],
    },
    {
      rule: 'more is a jump',
      steps: [
        ['v', 0, 0],
        ['v', 10_001, 40],
      ],
      placed: [
        [0, false],
        [40, true],
      ],
    },
    {
      rule: 'who jumps all the time is placed by arrival and cut once a second',
      steps: [
        ['v', 0, 0],
        ['v', 50_000, 200],
        ['v', 0, 400],
        ['v', 90_000, 600],
        ['v', 0, 1250],
      ],
      placed: [
        [0, false],
        [200, true],
        [400, false],
        [600, false],
        [1250, true],
      ],
    },
    {
      rule: 'the other track follows a jump without another',
      steps: [
        ['v', 0, 0],
        ['a', 10, 0],
        ['v', DAY, 40],
        ['a', DAY + 10, 50],
        ['v', DAY + 40, 80],
      ],
      placed: [
        [0, false],
        [10, false],
        [40, true],
        [50, false],
        [80, false],
      ],
    },
    {
      rule: 'what was under way at a jump keeps its place',
      steps: [
        ['v', 0, 0],
        ['a', 10, 0],
        ['v', DAY, 40],
        ['a', 33, 41],
        ['a', DAY + 20, 60],
      ],
      placed: [
        [0, false],
        [10, false],
        [40, true],
        [33, false],
        [60, false],
      ],
    },
    {
      rule: 'audio that was muted for long has not jumped while video went on',
      steps: [
        ['v', 0, 0],
        ['a', 0, 0],
        ['v', 9000, 9000],
        ['v', 18_000, 18_000],
        ['a', 18_020, 18_020],
      ],
      placed: [
        [0, false],
        [0, false],
        [9000, false],
        [18_000, false],
        [18_020, false],
      ],
    },
    {
      rule: 'a late track on the same clock fits in',
      steps: [
        ['v', 0, 0],
        ['v', 5000, 5000],
        ['a', 5010, 5020],
      ],
      placed: [
        [0, false],
        [5000, false],
        [5010, false],
      ],
    },
    {
      rule: 'a late track on a clock of its own is placed at its arrival and interrupts nothing',
      steps: [
        ['v', 50_000, 0],
        ['v', 59_000, 9000],
        ['a', 0, 9020],
        ['v', 59_040, 9040],
        ['a', 23, 9043],
      ],
      placed: [
        [0, false],
        [9000, false],
        [9020, false],
        [9040, false],
        [9043, false],
      ],
    },
  ])('$rule', ({ steps, placed }) => {
    expect(place(steps)).toEqual(placed)
    expect(place(steps, 90_000)).toEqual(placed)
  })

  test('a sample lasts as long as the last step of its track, at most a second', () => {
    const clock = new ManualClock(START)
    const timeline = new MediaTimeline(clock, 'shared')
    const durations = [0, 100, 150, 150, 5000].map((dts) => {
      const arrivedAt = epochMs(START)
      const data = new Uint8Array(1)
      const sample = { pts: dts, dts, isKey: true, data, trackNumber: 1, arrivedAt }
      return timeline.place({ sample, track: TRACKS.v, atMs: START }, true).durationMs
    })

    expect(durations).toEqual([40, 100, 50, 50, 1000])
  })
})
