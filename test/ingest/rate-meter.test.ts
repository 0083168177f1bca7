import { expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import { RateMeter } from '../../src/ingest/rate-meter.ts'

const fill = (seconds: number) => {
  const meter = new RateMeter()
  for (let ms = 0; ms < seconds * 1000; ms += 100) meter.add(epochMs(1_000_000 + ms), 125, 1)
  return meter
}

test.each([
  ['nothing yet', 0, 0, { bitrateBps: 0, frameRate: 0 }],
  ['in the first second, what there is', 1, 999, { bitrateBps: 10_000, frameRate: 10 }],
  ['whole seconds', 3, 3000, { bitrateBps: 10_000, frameRate: 10 }],
  ['the last five', 60, 60_000, { bitrateBps: 10_000, frameRate: 10 }],
  ['fades when nothing comes', 60, 64_000, { bitrateBps: 2_000, frameRate: 2 }],
  ['and is 0 after five seconds', 60, 66_000, { bitrateBps: 0, frameRate: 0 }],
])('%s', (_rule, seconds, atMs, rates) => {
  expect(fill(seconds).read(epochMs(1_000_000 + atMs))).toEqual(rates)
})
