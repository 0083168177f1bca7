import { expect, test } from 'vitest'
import { TokenBucket } from '../../src/platform/token-bucket.ts'
import { epochMs } from '../../src/domain/time.ts'

const at = (ms: number) => epochMs(1_000_000 + ms)

test('a second’s worth passes at once, then as much as time brings', () => {
  const bucket = new TokenBucket(10, at(0))
  for (let i = 0; i < 10; i++) {
    expect(bucket.admits(1, at(0))).toBe(true)
    bucket.take(1, at(0))
  }

  expect([bucket.admits(1, at(0)), bucket.admits(1, at(99)), bucket.admits(1, at(100))]).toEqual([
    false,
    false,
    true,
  ])
  expect(bucket.admits(10, at(999))).toBe(false)
  expect(bucket.admits(10, at(60_000))).toBe(true)
})

test('what is larger than the bucket passes when it is full, and the debt is paid off', () => {
  const bucket = new TokenBucket(10, at(0))
  expect(bucket.admits(50, at(0))).toBe(true)
  bucket.take(50, at(0))

  expect(bucket.debtMs(at(0))).toBe(4000)
  expect(bucket.admits(1, at(4099))).toBe(false)
  expect(bucket.admits(1, at(4100))).toBe(true)
  expect(bucket.debtMs(at(4100))).toBe(0)
})

test('a clock that goes back neither brings nor takes', () => {
  const bucket = new TokenBucket(10, at(0))
  bucket.take(10, at(0))
  expect(bucket.admits(1, at(-5000))).toBe(false)
  expect(bucket.admits(1, at(-4900))).toBe(true)
})
