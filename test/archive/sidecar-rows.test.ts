import { describe, expect, test } from 'vitest'
import { timeSpanOf } from '../../src/archive/chunk-span.ts'
import {
  decodeSidecar,
  encodeRow,
  ROW_BYTES,
  sidecarHeader,
  SIDECAR_HEADER_BYTES,
  type FragmentRow,
} from '../../src/archive/fragment-row.ts'
import { SidecarRows } from '../../src/archive/sidecar-rows.ts'
import { epochMs } from '../../src/domain/time.ts'

const T = Date.UTC(2026, 0, 1)

function rowAt(i: number, change: Partial<FragmentRow> = {}): FragmentRow {
  return {
    ...{ counter: 2 ** 40 + i * 3, random28: i, sequence: i, discontinuitySequence: 0 },
    ...{ serverTimestamp: epochMs(T + i * 2000 + 40), producerTimestamp: epochMs(T + i * 2000) },
    ...{ offset: 1000 + i * 500, length: 400, durationMs: 2000, arrivalSpanMs: 1900 },
    ...{ sampleCount: 50, discontinuity: false, recovered: false, startsWithKey: true },
    ...{ hasProducerTags: false, deleted: false, checksum: i },
    ...change,
  }
}

function rowsAt(count: number): FragmentRow[] {
  return Array.from({ length: count }, (_, i) => rowAt(i))
}

function toBytes(rows: readonly FragmentRow[]): Buffer {
  return Buffer.concat([sidecarHeader(), ...rows.map(encodeRow)])
}

function factsOf(rows: readonly FragmentRow[]) {
  const last = rows.at(-1)!
  const chunkBytes = last.offset + last.length
  return { fragments: rows.length, lastCounter: last.counter, chunkBytes }
}

test.each([1, 2, 511, 512, 513, 1300])('%i rows are those that were written', (count) => {
  const rows = rowsAt(count)

  expect(SidecarRows.parse(toBytes(rows), factsOf(rows))?.all()).toEqual(rows)
  expect(SidecarRows.of(rows).all()).toEqual(rows)
})

test('one flipped bit anywhere, and they are none', () => {
  const rows = rowsAt(5)
  const facts = factsOf(rows)
  const bytes = toBytes(rows)
  expect(SidecarRows.parse(Buffer.from(bytes), facts)).not.toBeNull()

  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Buffer.from(bytes)
    damaged[bit >> 3]! ^= 1 << (bit & 7)
    expect(SidecarRows.parse(damaged, facts)).toBeNull()
  }
})

test.each([
  { rule: 'a row too few', of: (rows: FragmentRow[]) => rows.slice(0, -1) },
  { rule: 'a row too many', of: (rows: FragmentRow[]) => [...rows, rowAt(9)] },
  { rule: 'of another chunk', of: (rows: FragmentRow[]) => rows.with(-1, rowAt(8)) },
  {
    rule: 'two rows exchanged',
    of: (rows: FragmentRow[]) => [rows[1]!, rows[0]!, ...rows.slice(2)],
  },
  {
    rule: 'fragments overlap',
    of: (rows: FragmentRow[]) => rows.with(1, rowAt(1, { length: 501 })),
  },
  { rule: 'past the end', of: (rows: FragmentRow[]) => rows.with(-1, rowAt(4, { length: 401 })) },
])('refused: $rule', ({ of }) => {
  const rows = rowsAt(5)

  expect(SidecarRows.parse(toBytes(of(rows)), factsOf(rows))).toBeNull()
})

test('a sound row in the place of another does not pass for it', () => {
  const rows = rowsAt(3)
  const bytes = toBytes(rows)
  bytes.copy(bytes, SIDECAR_HEADER_BYTES, SIDECAR_HEADER_BYTES + ROW_BYTES)

  expect(SidecarRows.parse(bytes, factsOf(rows))).toBeNull()
})

describe('what overlaps a range is what decoding every row finds', () => {
  const times = [0, 5000, -3 * T, 4000, 2 ** 45, -1, 0, 123]
  const rows = times.map((at, i) =>
    rowAt(i, {
      producerTimestamp: epochMs(T + at),
      serverTimestamp: epochMs(Math.abs(at)),
      durationMs: i * 700,
      arrivalSpanMs: i === 2 ? 0 : 900,
    }),
  )
  const sidecar = SidecarRows.of(rows)

  test.each(['producer', 'server'] as const)('by %s time', (by) => {
    const edges = [...times.flatMap((at) => [at, at + T, T - 1, at + T + 1]), -Infinity, Infinity]
    for (const from of edges) {
      for (const to of edges) {
        const expected = rows.filter((row) => {
          const span = timeSpanOf(row, by)
          return span.from < to && span.to > from
        })
        expect(sidecar.overlapping({ by, from, to })).toEqual(expected)
      }
    }
  })

  test('and the same bytes decode to it row by row', () => {
    expect(decodeSidecar(toBytes(rows), Infinity)).toEqual(rows)
  })
})

test('from a counter, there or not', () => {
  const rows = rowsAt(4)
  const sidecar = SidecarRows.of(rows)

  expect([...sidecar.fromCounter(0)]).toEqual(rows)
  expect([...sidecar.fromCounter(rows[1]!.counter)]).toEqual(rows.slice(1))
  expect([...sidecar.fromCounter(rows[1]!.counter + 1)]).toEqual(rows.slice(2))
  expect([...sidecar.fromCounter(rows[3]!.counter + 1)]).toEqual([])
  expect([...SidecarRows.of([]).fromCounter(0)]).toEqual([])
})
