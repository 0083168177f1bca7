import { expect, test } from 'vitest'
import { BytePool } from '../../src/platform/byte-pool.ts'

const MIB = 1024 * 1024

test.each([0, 1, 65_535, 65_536, 65_537, 511_231, MIB, MIB + 1, 8 * MIB, 8 * MIB + 1])(
  '%d bytes are as many',
  (byteLength) => {
    expect(new BytePool(MIB).take(byteLength).length).toBe(byteLength)
  },
)

test('what is given back is taken again, by who needs about as much', () => {
  const pool = new BytePool(4 * MIB)
  const first = pool.take(500_000)
  pool.giveBack(first)

  const small = pool.take(100_000)
  const again = pool.take(510_000)

  expect(small.buffer).not.toBe(first.buffer)
  expect(again.buffer).toBe(first.buffer)
})

test('what is in use is nobody else’s, and given back twice it is handed out once', () => {
  const pool = new BytePool(4 * MIB)
  const first = pool.take(500_000)
  expect(pool.take(500_000).buffer).not.toBe(first.buffer)

  pool.giveBack(first)
  pool.giveBack(first.subarray(10, 20))

  expect(pool.take(500_000).buffer).toBe(first.buffer)
  expect(pool.take(500_000).buffer).not.toBe(first.buffer)
})

test('bytes from elsewhere are not taken over', () => {
  const pool = new BytePool(4 * MIB)
  const foreign = new Uint8Array(65_536)

  pool.giveBack(foreign)

  expect(pool.take(65_536).buffer).not.toBe(foreign.buffer)
})

test('no more is kept than was said', () => {
  const pool = new BytePool(2 * MIB)
  const taken = [pool.take(MIB), pool.take(MIB), pool.take(MIB)]
  for (const bytes of taken) pool.giveBack(bytes)

  const again = [pool.take(MIB), pool.take(MIB), pool.take(MIB)]

  const known = again.filter(({ buffer }) => taken.some((bytes) => bytes.buffer === buffer))
  expect(known.length).toBe(2)
})

test('parts are gathered in one piece', () => {
  const pool = new BytePool(MIB)

  const gathered = pool.gather([Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)])

  expect([...gathered]).toEqual([1, 2, 3])
})

test('small pieces need no large blocks, where that is said', () => {
  const pool = new BytePool(MIB, 4096)

  expect(pool.take(1).buffer.byteLength).toBe(4096)
  expect(pool.take(4097).buffer.byteLength).toBe(8192)
})
