import { describe, expect, test } from 'vitest'
import {
  END_INDEX,
  parseSequenceNumber,
  renderSequenceNumber,
  type SequenceNumber,
} from '../../src/datastream/sequence-number.ts'

describe('sequence numbers', () => {
  test('follow the documented layout, digit by digit', () => {
    const text = renderSequenceNumber({
      shardNumber: 0x1234_5678,
      shardCreatedAt: 0x1_2345_6789,
      index: 0xabcdee,
      recordedAt: 0x0_6543_2100,
    })

    expect(BigInt(text).toString(16)).toBe(
      ['2', '123456789', '8', '0000000000abcdef', '00', '065432100', '12345678', '2'].join(''),
    )
  })

  test('of neighbouring shards of one creation differ by 16^36 + 16 where they start', () => {
    const start = (shardNumber: number) =>
      BigInt(
        renderSequenceNumber({ shardNumber, shardCreatedAt: 1.7e9, index: -1, recordedAt: 1.7e9 }),
      )

    for (let shard = 0; shard < 15; shard++) {
      expect(start(shard + 1) - start(shard)).toBe(22300745198530623141535718272648361505980432n)
    }
  })

  test('round-trip, have 56 digits, and keep the order of the index whatever the times are', () => {
    const random = createRandom(20_261)
    for (let i = 0; i < 2000; i++) {
      const number: SequenceNumber = {
        shardNumber: Math.floor(random() * 2 ** 32),
        shardCreatedAt: Math.floor(random() * 2 ** 36),
        index: Math.floor(random() * (2 ** 53 - 2)),
        recordedAt: Math.floor(random() * 2 ** 36),
      }
      const text = renderSequenceNumber(number)
      const next = {
        ...number,
        index: number.index + 1,
        recordedAt: Math.floor(random() * 2 ** 36),
      }

      expect(text).toMatch(/^\d{56}$/)
      expect(parseSequenceNumber(text)).toEqual(number)
      expect(BigInt(renderSequenceNumber(next)) > BigInt(text)).toBe(true)
    }
  })

  test('the end of a closed shard is above every record', () => {
    const shard = { shardNumber: 3, shardCreatedAt: 1_700_000_000, recordedAt: 1_700_000_001 }
    const end = renderSequenceNumber({ ...shard, index: END_INDEX })

    expect(BigInt(end).toString(16).slice(11, 27)).toBe('7fffffffffffffff')
    expect(parseSequenceNumber(end)).toEqual({ ...shard, index: END_INDEX })
    expect(BigInt(end) > BigInt(renderSequenceNumber({ ...shard, index: 2 ** 53 - 2 }))).toBe(true)
  })

  const good = renderSequenceNumber({
    shardNumber: 1,
    shardCreatedAt: 1.7e9,
    index: 5,
    recordedAt: 1.7e9,
  })
  test.each([
    '',
    '0',
    '-1',
    'abc',
    ` ${good}`,
    `0${good}`,
    `${good}0`,
    good.slice(1),
    (BigInt(good) + 1n).toString(), // another version
    (BigInt(good) + 16n).toString(), // another shard than its low digit says
    '9'.repeat(129),
    '9'.repeat(100_000),
  ])('what was never given out is refused: %.60s', (text) => {
    expect(() => parseSequenceNumber(text)).toThrow(
      expect.objectContaining({ code: 'InvalidArgumentException' }) as Error,
    )
  })
})

/** Mulberry32: the same numbers on every run. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
