import { expect, test } from 'vitest'
import { MediaWatchdog } from '../../../src/ingest/pull/media-watchdog.ts'

/** Judges every half second, as a pull does. @returns when and how it ended, in seconds */
function run(
  options: { hasVideo?: boolean; untilSeconds: number; excused?: (seconds: number) => boolean },
  seenAt: (seconds: number) => { keyFrames: number; samples: number },
): string {
  const { hasVideo = true, untilSeconds, excused } = options
  const watchdog = new MediaWatchdog({ hasVideo, firstMs: 15_000, stallMs: 5_000 }, 0)
  for (let ms = 500; ms <= untilSeconds * 1000; ms += 500) {
    if (excused?.(ms / 1000) ?? false) watchdog.excuse(ms)
    const verdict = watchdog.judge(ms, seenAt(ms / 1000))
    if (verdict !== 'alive') return `${verdict} at ${ms / 1000}`
  }
  return 'alive'
}

const every = (gop: number, until: number, at: number) => Math.floor(Math.min(at, until) / gop)

test.each([
  {
    rule: 'nothing comes',
    seen: () => ({ keyFrames: 0, samples: 0 }),
    is: 'no-media at 15',
  },
  {
    rule: 'samples come, no key frame does',
    seen: (at: number) => ({ keyFrames: 0, samples: at * 25 }),
    is: 'no-media at 15',
  },
  {
    rule: 'all stops',
    seen: (at: number) => ({ keyFrames: every(1, 20, at), samples: Math.min(at, 20) * 25 }),
    is: 'stalled at 25',
  },
  {
    rule: 'all stops with a GOP of 4 s',
    seen: (at: number) => ({ keyFrames: every(4, 20, at), samples: Math.min(at, 20) * 25 }),
    is: 'stalled at 32',
  },
  {
    rule: 'only key frames stop',
    seen: (at: number) => ({ keyFrames: every(1, 20, at), samples: at * 25 }),
    is: 'stalled at 50',
  },
  {
    rule: 'a smart codec stretches its GOP to 20 s',
    seen: (at: number) => ({
      keyFrames: every(1, 20, at) + Math.floor(Math.max(0, at - 20) / 20),
      samples: at * 25,
    }),
    is: 'alive',
  },
])('video, $rule: $is', ({ seen, is }) => {
  expect(run({ untilSeconds: 100 }, seen)).toBe(is)
})

test('sound alone counts samples', () => {
  const seen = (at: number) => ({ keyFrames: 0, samples: Math.min(at, 20) * 50 })
  expect(run({ hasVideo: false, untilSeconds: 100 }, seen)).toBe('stalled at 25')
})

test('what we did not read is nobody’s fault', () => {
  const seen = (at: number) => ({ keyFrames: every(1, 20, at), samples: Math.min(at, 20) * 25 })
  expect(run({ untilSeconds: 60, excused: (at) => at < 60 }, seen)).toBe('alive')
  expect(run({ untilSeconds: 60, excused: (at) => at < 40 }, seen)).toBe('stalled at 44.5')
})
