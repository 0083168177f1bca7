import { expect, test } from 'vitest'
import { GatheredBytes, WriteMemory } from '../../src/archive/write-memory.ts'

/** Bytes that tell where they were, so that none can be lost, doubled or swapped unnoticed. */
function counting(length: number, from: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (from + i) % 251)
}

test.each([
  { rule: 'nothing', lengths: [] },
  { rule: 'empty parts', lengths: [0, 0] },
  { rule: 'heads and audio frames', lengths: new Array<number>(300).fill(150) },
  { rule: 'a picture between small parts', lengths: [20, 8, 90_000, 8, 300, 8, 300] },
  { rule: 'pictures one after the other', lengths: [8, 5000, 8, 5000, 8, 4095, 4096, 4097] },
  { rule: 'small parts that fill the memory to its end', lengths: new Array<number>(9).fill(2048) },
  { rule: 'one that does not fit behind the others', lengths: [4000, 4000, 4000, 4000, 4000] },
])('$rule: they come out as they went in', ({ lengths }) => {
  const bytes = new GatheredBytes(new WriteMemory())
  const parts = lengths.map((length, i) => counting(length, i * 7))

  for (const part of parts) bytes.add(part)

  expect(bytes.byteLength).toBe(lengths.reduce((sum, length) => sum + length, 0))
  expect(Buffer.concat(bytes.parts).equals(Buffer.concat(parts))).toBe(true)
})

test('small neighbours become one part, in the order of all', () => {
  const bytes = new GatheredBytes(new WriteMemory())

  for (const length of [20, 8, 90_000, 8, 300, 8, 300, 5000]) bytes.add(counting(length, 0))

  expect(bytes.parts.map(({ length }) => length)).toEqual([28, 90_000, 616, 5000])
})

test('what is added after a look at the parts comes behind them', () => {
  const bytes = new GatheredBytes(new WriteMemory())
  bytes.add(counting(10, 0))
  expect(bytes.parts.length).toBe(1)

  bytes.add(counting(10, 10))

  expect(Buffer.concat(bytes.parts).equals(counting(20, 0))).toBe(true)
})

test('memory is used again only when it was released, and once', () => {
  const memory = new WriteMemory()
  const gather = (from: number) => {
    const bytes = new GatheredBytes(memory)
    bytes.add(counting(100, from))
    return bytes
  }
  const kept = gather(0)
  const released = gather(1)
  released.release()
  released.release()

  const [first, second] = [gather(2), gather(3)]

  expect(Buffer.concat(kept.parts).equals(counting(100, 0))).toBe(true)
  expect(Buffer.concat(first.parts).equals(counting(100, 2))).toBe(true)
  expect(Buffer.concat(second.parts).equals(counting(100, 3))).toBe(true)
})
