import { expect, test } from 'vitest'
import { IteratorAges } from '../../src/datastream/iterator-ages.ts'
import { epochMs } from '../../src/domain/time.ts'

const SECOND = 1000

test.each([
  {
    rule: 'one that lags is not hidden by one that is caught up',
    polls: [['a', 900, 0] as const, ['b', 0, 1] as const],
    oldest: 900,
  },
  {
    rule: 'the next oldest counts when the oldest caught up',
    polls: [['a', 900, 0] as const, ['b', 40, 1] as const, ['a', 0, 2] as const],
    oldest: 40,
  },
  {
    rule: 'a reader that did not come back for as long as an iterator is good counts no more',
    polls: [['a', 900, 0] as const, ['b', 40, 301] as const],
    oldest: 40,
  },
])('$rule', ({ polls, oldest }) => {
  const ages = new IteratorAges()

  const told = polls.map(([shard, ms, seconds]) =>
    ages.polled(shard, { ms, polledAt: epochMs(seconds * SECOND) }),
  )

  expect(told.at(-1)).toBe(oldest)
})

test('a shard that is gone counts no more', () => {
  const ages = new IteratorAges()
  ages.polled('a', { ms: 900, polledAt: epochMs(400 * SECOND) })
  ages.polled('b', { ms: 40, polledAt: epochMs(401 * SECOND) })

  ages.forget('a')

  expect(ages.polled('b', { ms: 30, polledAt: epochMs(402 * SECOND) })).toBe(30)
})
