import { expect, test } from 'vitest'
import type { NanodetOutput } from '../../../src/detect/manifest.ts'
import { decodeNanodet } from '../../../src/detect/decoders/nanodet.ts'

const SPEC: NanodetOutput = {
  type: 'nanodet',
  bins: 8,
  levels: [{ stride: 16, scores: 's', boxes: 'b' }],
}
const INPUT = { width: 64, height: 32 } // 4 x 2 cells
const LABELS = 2

function outputs(cell: number, scores: readonly number[], sides: readonly (readonly number[])[]) {
  const scoreData = new Float32Array(8 * LABELS)
  scoreData.set(scores, cell * LABELS)
  const boxData = new Float32Array(8 * 32)
  sides.forEach((logits, side) => boxData.set(logits, (cell * 4 + side) * 8))
  return { s: { dims: [1, 8, LABELS], data: scoreData }, b: { dims: [1, 8, 32], data: boxData } }
}

/** A distribution that is sure of one bin. */
const sure = (bin: number) => Array.from({ length: 8 }, (_, i) => (i === bin ? 100 : 0))

test('sides are expected distances from the middle of the cell', () => {
  // Cell 5 is column 1, row 1: its middle is (24, 24).
  const halfway = [100, 100, 0, 0, 0, 0, 0, 0] // 0 or 1 stride: half a stride
  const found = decodeNanodet(
    outputs(5, [0.2, 0.7], [sure(1), halfway, sure(2), sure(0)]),
    SPEC,
    INPUT,
    LABELS,
    0.4,
  )

  expect(found).toHaveLength(1)
  expect(found[0]!.label).toBe(1)
  expect(found[0]!.score).toBeCloseTo(0.7)
  expect(found[0]!.left).toBeCloseTo(8)
  expect(found[0]!.top).toBeCloseTo(16)
  expect(found[0]!.right).toBeCloseTo(56)
  expect(found[0]!.bottom).toBeCloseTo(24)
})

test('what is below the limit gives no box', () => {
  const quiet = outputs(0, [0.39, 0.1], [sure(1), sure(1), sure(1), sure(1)])
  expect(decodeNanodet(quiet, SPEC, INPUT, LABELS, 0.4)).toEqual([])
})

test('a missing output is the manifest being wrong', () => {
  const { s } = outputs(0, [1, 0], [])
  expect(() => decodeNanodet({ s }, SPEC, INPUT, LABELS, 0.4)).toThrow(
    expect.objectContaining({ code: 'ModelManifestInvalid' }),
  )
})
