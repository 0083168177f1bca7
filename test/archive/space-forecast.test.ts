import { expect, test } from 'vitest'
import {
  forecastDiskFull,
  forecastStream,
  type StreamGrowth,
} from '../../src/archive/space-forecast.ts'

const HOUR_MS = 3_600_000

function growth(change: Partial<StreamGrowth>): StreamGrowth {
  return {
    bytes: 1000,
    quotaBytes: null,
    writeBytesPerSecond: 10,
    retentionMs: HOUR_MS,
    oldestAgeMs: 0,
    ...change,
  }
}

test.each([
  { rule: 'a new stream grows for its retention', stream: {}, retention: 3600, quota: null },
  {
    rule: 'a stream without media too',
    stream: { oldestAgeMs: null },
    retention: 3600,
    quota: null,
  },
  {
    rule: 'an older one for the rest of it',
    stream: { oldestAgeMs: HOUR_MS / 4 },
    retention: 2700,
    quota: null,
  },
  {
    rule: 'one that is there stays there',
    stream: { oldestAgeMs: HOUR_MS + 5 },
    retention: 0,
    quota: null,
  },
  {
    rule: 'a quota is reached at the rate',
    stream: { quotaBytes: 1500 },
    retention: 3600,
    quota: 50,
  },
  { rule: 'a quota may be reached', stream: { quotaBytes: 500 }, retention: 3600, quota: 0 },
  {
    rule: 'nothing is reached when nothing comes',
    stream: { writeBytesPerSecond: 0, quotaBytes: 5000 },
    retention: null,
    quota: null,
  },
])('$rule', ({ stream, retention, quota }) => {
  expect(forecastStream(growth(stream))).toEqual({
    retentionReachedInSeconds: retention,
    quotaReachedInSeconds: quota,
  })
})

test.each([
  { rule: 'fills at the rate', streams: [{}], free: 1000, seconds: 100 },
  { rule: 'fills at all rates together', streams: [{}, {}], free: 1000, seconds: 50 },
  { rule: 'is full below the minimum', streams: [], free: 0, seconds: 0 },
  { rule: 'never fills without streams', streams: [], free: 1, seconds: null },
  {
    rule: 'never fills when all streams stop growing before',
    streams: [{}],
    free: 36_001,
    seconds: null,
  },
  { rule: 'fills at the last moment', streams: [{}], free: 36_000, seconds: 3600 },
  {
    rule: 'fills more slowly once a stream has reached its retention',
    streams: [{ oldestAgeMs: HOUR_MS - 10_000 }, {}],
    free: 300, // 20/s for 10 s, then 10/s
    seconds: 20,
  },
  {
    rule: 'fills more slowly once a stream has reached its quota',
    streams: [{ quotaBytes: 1100 }, {}],
    free: 300,
    seconds: 20,
  },
  {
    rule: 'never fills by streams that are where they stay',
    streams: [{ oldestAgeMs: HOUR_MS }, { quotaBytes: 900 }],
    free: 1,
    seconds: null,
  },
])('a disk $rule', ({ streams, free, seconds }) => {
  const disk = { freeBytes: 500 + free, minFreeBytes: 500 }

  expect(forecastDiskFull(streams.map(growth), disk)).toBe(seconds)
})
