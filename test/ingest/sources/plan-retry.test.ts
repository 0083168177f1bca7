import { expect, test } from 'vitest'
import { planRetryMs } from '../../../src/ingest/sources/plan-retry.ts'

const S = 1_000

test.each([
  {
    rule: 'begins with a second or two',
    reason: 'unreachable',
    failures: 1,
    from: 1 * S,
    to: 2 * S,
  },
  { rule: 'doubles', reason: 'stalled', failures: 2, from: 2 * S, to: 4 * S },
  { rule: 'doubles again', reason: 'no-media', failures: 4, from: 8 * S, to: 16 * S },
  { rule: 'ends at a minute', reason: 'tls', failures: 6, from: 30 * S, to: 60 * S },
  { rule: 'stays there for ever', reason: 'not-found', failures: 1e9, from: 30 * S, to: 60 * S },
  {
    rule: 'a wrong password waits',
    reason: 'unauthorised',
    failures: 1,
    from: 60 * S,
    to: 120 * S,
  },
  { rule: '... and longer', reason: 'unauthorised', failures: 9, from: 120 * S, to: 240 * S },
  { rule: 'a busy stream soon ends', reason: 'busy', failures: 20, from: 5 * S, to: 10 * S },
] as const)('$rule ($reason, $failures)', ({ reason, failures, from, to }) => {
  expect([0, 1].map((random) => planRetryMs(reason, failures, random))).toEqual([from, to])
})
