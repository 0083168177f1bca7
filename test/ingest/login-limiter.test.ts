import { expect, test } from 'vitest'
import { LoginLimiter } from '../../src/ingest/index.ts'
import { ManualClock } from '../support/manual-clock.ts'

function exhaust(limiter: LoginLimiter, address: string): number {
  let failures = 0
  for (; limiter.mayTry(address) && failures < 1000; failures++) limiter.failed(address)
  return failures
}

test('an address that fails too often must wait, and others need not', () => {
  const clock = new ManualClock()
  const limiter = new LoginLimiter(clock)

  expect(exhaust(limiter, '192.0.2.1')).toBe(30)
  expect(limiter.mayTry('192.0.2.2')).toBe(true)
  clock.advance(1_999)
  expect(limiter.mayTry('192.0.2.1')).toBe(false)
  clock.advance(1)
  expect(limiter.mayTry('192.0.2.1')).toBe(true)
})

test.each([
  {
    rule: 'IPv4, also as a socket for both families writes it',
    a: '192.0.2.1',
    b: '::ffff:192.0.2.1',
    same: true,
  },
  { rule: 'a /64 of IPv6', a: '2001:db8:1:2::1', b: '2001:db8:1:2:3:4:5:6', same: true },
  { rule: 'another /64', a: '2001:db8:1:2::1', b: '2001:db8:1:3::1', same: false },
  { rule: 'short forms of the same', a: '2001:db8::1', b: '2001:db8:0:0:9::', same: true },
])('$rule: the same peer is $same', ({ a, b, same }) => {
  const limiter = new LoginLimiter(new ManualClock())
  exhaust(limiter, a)
  expect(limiter.mayTry(b)).toBe(!same)
})

test('forgets the oldest when very many fail, and never those that fail now', () => {
  const limiter = new LoginLimiter(new ManualClock())
  exhaust(limiter, '192.0.2.1')
  for (let i = 0; i < 10_000; i++) limiter.failed(`10.0.${i >> 8}.${i & 255}`)

  expect(limiter.mayTry('192.0.2.1')).toBe(true)
  exhaust(limiter, '192.0.2.9')
  expect(limiter.mayTry('192.0.2.9')).toBe(false)
})
