import { describe, expect, test } from 'vitest'
import { Catalogue, type FinishedChunk } from '../../src/archive/catalogue.ts'
import { toLengthClass } from '../../src/archive/catalogue-keys.ts'
import {
  parseNote,
  toChunkId,
  toChunkPath,
  firstCounterOf,
} from '../../src/archive/chunk-layout.ts'
import {
  decodeRow,
  encodeRow,
  ROW_BYTES,
  sidecarHeader,
  type FragmentRow,
} from '../../src/archive/fragment-row.ts'
import { maxChunkAgeMs, planRotation } from '../../src/archive/rotation.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import { randomNumbers } from '../support/archive-media.ts'
import { scratchMetaStore } from '../support/scratch.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

describe('rotation', () => {
  test.each([
    { hours: 0, minutes: 1 },
    { hours: 0.1, minutes: 1 },
    { hours: 1, minutes: 5 },
    { hours: 2, minutes: 10 },
    { hours: 87_600, minutes: 10 },
  ])('a chunk of a stream kept for $hours h lasts $minutes min', ({ hours, minutes }) => {
    expect(maxChunkAgeMs(hours * HOUR_MS)).toBe(minutes * MINUTE_MS)
  })

  const fits = {
    sameHeader: true,
    openedAt: epochMs(1e12),
    serverTimestamp: epochMs(1e12 + MINUTE_MS),
    retentionMs: HOUR_MS,
    chunkBytes: 999,
    maxChunkBytes: 1000,
    fragments: 30,
  }
  test.each([
    { rule: 'joins the open chunk', change: {}, reason: null },
    { rule: 'another header', change: { sameHeader: false }, reason: 'header' },
    { rule: 'just before its age', change: { openedAt: epochMs(1e12 - 239_999) }, reason: null },
    { rule: 'at its age', change: { openedAt: epochMs(1e12 - 240_000) }, reason: 'age' },
    { rule: 'a clock set back far', change: { openedAt: epochMs(2e12) }, reason: 'age' },
    { rule: 'at its size', change: { chunkBytes: 1000 }, reason: 'size' },
    { rule: 'out of reserved numbers', change: { fragments: 65_536 }, reason: 'fragments' },
  ])('$rule', ({ change, reason }) => {
    expect(planRotation({ ...fits, ...change })).toBe(reason)
  })
})

describe('row', () => {
  const row: FragmentRow = {
    counter: 2 ** 52 + 1,
    serverTimestamp: epochMs(1_700_000_000_123),
    random28: 0xfffffff,
    discontinuity: true,
    recovered: false,
    startsWithKey: true,
    hasProducerTags: false,
    deleted: false,
    producerTimestamp: epochMs(-5),
    offset: 2 ** 40 + 3,
    length: 0xfffffff0,
    durationMs: 2000,
    arrivalSpanMs: 1999,
    sampleCount: 50,
    sequence: 4_000_000_000,
    discontinuitySequence: 17,
    checksum: 0xfffffffe,
  }

  test('comes back as it was, from any place', () => {
    const bytes = Buffer.concat([Buffer.alloc(3), encodeRow(row)])

    expect(bytes).toHaveLength(3 + ROW_BYTES)
    expect(decodeRow(bytes, 3)).toEqual(row)
  })

  test('has its fields where the design draws them', () => {
    const bytes = Buffer.from(encodeRow(row))

    expect(bytes.readBigUInt64LE(0)).toBe(2n ** 52n + 1n)
    expect(bytes.readUInt32LE(20)).toBe(1 | 4 | 32)
    expect(bytes.readBigInt64LE(24)).toBe(-5n)
    expect(bytes.readUInt32LE(64)).toBe(row.checksum)
    expect(bytes.subarray(68, 76).every((byte) => byte === 0)).toBe(true)
    expect(Buffer.from(sidecarHeader()).toString('latin1', 0, 8)).toBe('KINORAIX')
  })

  test('one flipped bit anywhere, or one byte less, and it is none', () => {
    const bytes = encodeRow(row)
    for (let bit = 0; bit < ROW_BYTES * 8; bit++) {
      const damaged = Uint8Array.from(bytes)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeRow(damaged)).toBeNull()
    }
    expect(decodeRow(bytes.subarray(1))).toBeNull()
  })

  test('a Void of another writer is no note of ours', () => {
    expect(parseNote(new Uint8Array(100))).toBeNull()
    expect(parseNote(Buffer.from('KINORAFR', 'latin1'))).toBeNull()
    expect(parseNote(Buffer.from('KINORAAB', 'latin1'))).toEqual({ kind: 'abandoned' })
  })
})

test('chunk ids sort by their first counter, and tell it', () => {
  const ids = [1, 9, 10, 4_000_000_000].map((counter) => toChunkId(counter, epochMs(1e12)))

  expect([...ids].sort()).toEqual(ids)
  expect(ids.map(firstCounterOf)).toEqual([1, 9, 10, 4_000_000_000])
  expect(toChunkPath(toStreamId('a', 1), ids[0]!, epochMs(1_700_000_000_000))).toBe(
    `a~1/20231114/${ids[0]}.mkv`,
  )
})

describe('catalogue', () => {
  test.each([
    [0, 0],
    [1, 0],
    [2, 1],
    [3, 2],
    [600_000, 20],
    [2 ** 50, 50],
  ])('an interval of %i ms is of class %i', (length, lengthClass) => {
    expect(toLengthClass(length)).toBe(lengthClass)
  })

  test('finds every chunk that overlaps a span, in order, whatever their lengths', async () => {
    const catalogue = new Catalogue(await scratchMetaStore())
    const streamId = toStreamId('yard', 1)
    const random = randomNumbers(11)
    const chunks: FinishedChunk[] = []
    for (let i = 1; i <= 120; i++) {
      const from = random(2_000_000) - 1_000_000
      const producer = { from, to: from + 1 + random([2, 1000, 600_000, 2e9][random(4)]!) }
      const server = { from: i * 1000, to: i * 1000 + 999 }
      const chunk = finished(i, { server, producer })
      chunks.push(chunk)
      await catalogue.finishChunk(streamId, chunk)
    }

    for (let round = 0; round < 200; round++) {
      const from = random(2_400_000) - 1_200_000
      const span = { from, to: from + 1 + random([1, 5000, 500_000][random(3)]!) }
      const found: number[] = []
      let last = -Infinity
      for await (const chunk of catalogue.chunksByTime(streamId, 'producer', span)) {
        expect(chunk.from).toBeGreaterThanOrEqual(last)
        last = chunk.from
        found.push(chunk.firstCounter)
      }
      const expected = chunks
        .filter(({ span: { producer } }) => producer.from < span.to && producer.to > span.from)
        .map(({ firstCounter }) => firstCounter)
      expect(found.sort((a, b) => a - b)).toEqual(expected)
    }
  })

  test('sums follow chunks that come and go, once each', async () => {
    const catalogue = new Catalogue(await scratchMetaStore())
    const streamId = toStreamId('yard', 1)
    const span = { server: { from: 1, to: 2 }, producer: { from: 1, to: 2 } }
    await Promise.all([1, 2, 3].map((i) => catalogue.finishChunk(streamId, finished(i, span))))

    const dropped = await Promise.all([1, 1, 2].map((i) => catalogue.dropChunk(streamId, i)))

    expect(dropped.map((garbage) => garbage?.path)).toEqual(['p1', undefined, 'p2'])
    expect(catalogue.stream(streamId)).toMatchObject({ chunks: 1, bytes: 10, nextCounter: 4 })
    expect(await catalogue.garbage()).toHaveLength(2)
  })

  function finished(
    firstCounter: number,
    span: Pick<FinishedChunk['span'], 'server' | 'producer'>,
  ): FinishedChunk {
    return {
      ...{ state: 'finished', chunkId: `c${firstCounter}`, path: `p${firstCounter}`, firstCounter },
      ...{ firstSequence: 0, discontinuitiesBefore: 0, openedAt: epochMs(0), headerBytes: 1 },
      bytes: 10,
      span: {
        ...{ ...span, fragments: 1, lastCounter: firstCounter, lastSequence: 0 },
        ...{ discontinuitySequence: 0, lastServerTimestamp: span.server.from },
      },
    }
  }
})
