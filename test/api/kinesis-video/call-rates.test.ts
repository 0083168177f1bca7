import { expect, test } from 'vitest'
import {
  createCallRates,
  DOCUMENTED_RATES,
  type CallRate,
} from '../../../src/api/kinesis-video/call-rates.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { ManualClock } from '../../support/manual-clock.ts'

function start(rates: readonly CallRate[]) {
  const clock = new ManualClock()
  const metrics = createMetrics()
  const calls = createCallRates(rates, { clock, metrics })
  /** How many of `count` calls at once are let through. */
  const passed = (count: number, operation: string, resource = 'a') => {
    let passed = 0
    for (let i = 0; i < count; i++) {
      try {
        calls.take(operation, resource)
        passed += 1
      } catch (error) {
        expect(error).toMatchObject({
          kind: 'limit-exceeded',
          code: 'ClientLimitExceededException',
        })
      }
    }
    return passed
  }
  return { clock, metrics, passed }
}

test('without rates everything passes', () => {
  expect(start([]).passed(1000, 'CreateStream')).toBe(1000)
})

test.each([
  { operation: 'UpdateStream', perStream: 5, account: 50 },
  { operation: 'DescribeStream', perStream: 5, account: 300 },
  { operation: 'StartEdgeConfigurationUpdate', perStream: 1, account: 10 },
  { operation: 'PutMedia', perStream: 5, account: Infinity },
  { operation: 'GetHLSStreamingSessionURL', perStream: 25, account: Infinity },
])('$operation: $perStream per stream, $account in all', ({ operation, perStream, account }) => {
  const { clock, passed } = start(DOCUMENTED_RATES)

  expect(passed(400, operation, 'one')).toBe(perStream)
  clock.advance(1000)
  let all = 0
  for (let stream = 0; stream < 400; stream++) all += passed(1, operation, `s${stream}`)
  expect(all).toBe(Math.min(400, account))
})

test('operations about no stream have no rate per stream', () => {
  expect(start(DOCUMENTED_RATES).passed(100, 'ListStreams', '*')).toBe(50)
})

test('operations do not take from each other', () => {
  const { passed } = start(DOCUMENTED_RATES)

  expect(passed(10, 'UpdateStream')).toBe(5)
  expect(passed(10, 'TagStream')).toBe(5)
})

test('own rates stand above the documented ones, and may be below one a second', () => {
  const own: CallRate = { operations: ['GetClip'], per: 'stream', callsPerSecond: 0.5 }
  const { clock, passed } = start([...DOCUMENTED_RATES, own])

  expect(passed(10, 'GetClip')).toBe(1)
  clock.advance(1999)
  expect(passed(10, 'GetClip')).toBe(0)
  clock.advance(1001)
  expect(passed(10, 'GetClip')).toBe(1)
})

test('a refused call is counted and takes nothing', async () => {
  const rates: CallRate[] = [
    { operations: ['*'], per: 'account', callsPerSecond: 10 },
    { operations: ['*'], per: 'stream', callsPerSecond: 1 },
  ]
  const { metrics, passed } = start(rates)

  expect(passed(100, 'GetClip', 'one')).toBe(1)
  expect(passed(1, 'GetClip', 'two')).toBe(1)
  const { values } = await metrics.httpThrottled.get()
  expect(values).toEqual([
    expect.objectContaining({
      value: 99,
      labels: { edge: 'kinesis-video', operation: 'GetClip' },
    }),
  ])
})
