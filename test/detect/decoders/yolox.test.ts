import { expect, test } from 'vitest'
import type { Candidate } from '../../../src/detect/nms.ts'
import type { YoloxOutput } from '../../../src/detect/manifest.ts'
import { decodeYolox } from '../../../src/detect/decoders/yolox.ts'

const SPEC: YoloxOutput = { type: 'yolox', output: 'out', strides: [8, 16] }
const INPUT = { width: 32, height: 16 }
const LABELS = 3
/** 4 x 2 cells of stride 8, then 2 x 1 of stride 16. */
const CELLS = 10

function outputs(cells: Readonly<Record<number, readonly number[]>>) {
  const data = new Float32Array(CELLS * (5 + LABELS))
  for (const [cell, values] of Object.entries(cells)) data.set(values, Number(cell) * (5 + LABELS))
  return { out: { dims: [1, CELLS, 5 + LABELS], data } }
}

/** Left, top, right, bottom to a thousandth of a pixel. */
const edges = ({ left, top, right, bottom }: Candidate) =>
  [left, top, right, bottom].map((value) => Math.round(value * 1000) / 1000)

test('a cell tells a box from its corner, its stride and exponents', () => {
  // Cell 6 is column 2, row 1 of stride 8; cell 9 is column 1 of stride 16.
  const found = decodeYolox(
    outputs({
      6: [0.5, 0.25, Math.log(2), 0, 0.8, 0.1, 0.9, 0.2],
      9: [0, 0.5, 0, Math.log(0.5), 1, 0, 0, 0.6],
    }),
    SPEC,
    INPUT,
    LABELS,
    0.3,
  )

  expect(found).toHaveLength(2)
  expect(found.map(({ label }) => label)).toEqual([1, 2])
  expect(edges(found[0]!)).toEqual([12, 6, 28, 14])
  expect(found[0]!.score).toBeCloseTo(0.72)
  expect(edges(found[1]!)).toEqual([8, 4, 24, 12])
})

test.each([
  { rule: 'objectness below the limit', values: [0, 0, 0, 0, 0.29, 1, 1, 1] },
  { rule: 'the product below the limit', values: [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5] },
  { rule: 'numbers that are none', values: [0, 0, 0, 0, NaN, NaN, NaN, NaN] },
])('$rule gives no box', ({ values }) => {
  expect(decodeYolox(outputs({ 0: values }), SPEC, INPUT, LABELS, 0.3)).toEqual([])
})

test('a model of another shape is the manifest being wrong', () => {
  const wrong = { out: { dims: [1, 7, 8], data: new Float32Array(56) } }
  const run = (found: Parameters<typeof decodeYolox>[0]) => () =>
    decodeYolox(found, SPEC, INPUT, LABELS, 0.3)

  expect(run(wrong)).toThrow(expect.objectContaining({ code: 'ModelManifestInvalid' }))
  expect(run({})).toThrow(expect.objectContaining({ code: 'ModelManifestInvalid' }))
})
