import { expect, test } from 'vitest'
import { handleWithRetries } from '../../src/consume/handle-with-retries.ts'
import { MalformedMediaError, ServiceError } from '../../src/domain/errors.ts'
import { ManualClock } from '../support/manual-clock.ts'

const BROKEN = new Error('broken')
const AWAY = new ServiceError('unavailable', 'LogWriteFailed', 'The disk is full.')
const CRASHED = new ServiceError('unavailable', 'WorkerCrashed', 'It ended.')

/** Fails with each of the errors in turn, then works; the clock follows every wait. */
async function run(errors: readonly Error[], retries: number | null) {
  const clock = new ManualClock()
  const left = [...errors]
  const delays: number[] = []
  let calls = 0
  const givenUp = await handleWithRetries(
    async () => {
      calls += 1
      const error = left.shift()
      if (error !== undefined) throw error
    },
    {
      policy: { retries, firstDelayMs: 100, maxDelayMs: 400 },
      clock,
      stopping: new AbortController().signal,
      signal: new AbortController().signal,
      onRetry: ({ retryInMs }) => {
        delays.push(retryInMs)
        void clock.sleeping(retryInMs).then(() => clock.advance(retryInMs))
      },
    },
  )
  return { calls, delays, reason: givenUp?.reason ?? null }
}

const times = (count: number) => Array.from({ length: count }, () => BROKEN)

test.each([
  { rule: 'works at once', errors: [], retries: 2, calls: 1, delays: [], reason: null },
  {
    rule: 'doubles the pause up to the longest',
    errors: times(5),
    retries: null,
    calls: 6,
    delays: [100, 200, 400, 400, 400],
    reason: null,
  },
  {
    rule: 'gives up after the retries',
    errors: times(9),
    retries: 2,
    calls: 3,
    delays: [100, 200],
    reason: 'failed',
  },
  {
    rule: 'waits a dependency out, however often it is away',
    errors: [...Array.from({ length: 5 }, () => AWAY), BROKEN],
    retries: 1,
    calls: 7,
    delays: [100, 200, 400, 400, 400, 400],
    reason: null,
  },
  {
    rule: 'counts a crashed worker, which the work itself may have crashed',
    errors: Array.from({ length: 5 }, () => CRASHED),
    retries: 1,
    calls: 2,
    delays: [100],
    reason: 'failed',
  },
  {
    rule: 'does not try malformed media again',
    errors: [new MalformedMediaError('x', { offset: 0, path: 'EBML' })],
    retries: null,
    calls: 1,
    delays: [],
    reason: 'malformed-media',
  },
  {
    rule: 'does not try lost bytes again',
    errors: [new ServiceError('data-loss', 'FragmentUnreadable', 'short')],
    retries: null,
    calls: 1,
    delays: [],
    reason: 'unreadable',
  },
  {
    rule: 'knows that the retention was faster',
    errors: [new ServiceError('not-found', 'FragmentNotFound', 'gone')],
    retries: null,
    calls: 1,
    delays: [],
    reason: 'expired',
  },
])('$rule', async ({ rule: _rule, errors, retries, ...expected }) => {
  expect(await run(errors, retries)).toEqual(expected)
})

test.each(['stopping', 'signal'] as const)(
  'an abort of %s ends the wait with its reason and calls nobody again',
  async (name) => {
    const clock = new ManualClock()
    const ends = { stopping: new AbortController(), signal: new AbortController() }
    let calls = 0
    const handled = handleWithRetries(
      async () => {
        calls += 1
        throw BROKEN
      },
      {
        policy: { retries: null, firstDelayMs: 100, maxDelayMs: 100 },
        clock,
        stopping: ends.stopping.signal,
        signal: ends.signal.signal,
        onRetry: () => undefined,
      },
    )
    await clock.sleeping(100)

    ends[name].abort(new Error('stop'))

    await expect(handled).rejects.toThrow('stop')
    expect(calls).toBe(1)
  },
)

test('a handler under way when stopping may finish', async () => {
  const stopping = new AbortController()

  const givenUp = await handleWithRetries(async () => stopping.abort(), {
    policy: { retries: 0, firstDelayMs: 1, maxDelayMs: 1 },
    clock: new ManualClock(),
    stopping: stopping.signal,
    signal: new AbortController().signal,
    onRetry: () => undefined,
  })

  expect(givenUp).toBeNull()
})
