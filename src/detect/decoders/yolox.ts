import { requireOutput } from './require-output.ts'
import type { YoloxOutput } from '../manifest.ts'
import type { Candidate } from '../nms.ts'
import type { Outputs } from '../session.ts'

type Grid = { readonly width: number; readonly height: number }

/**
 * Reads a YOLOX head (arXiv:2107.08430): output [1, cells, 5 + labels], cells row by row, one
 * level of `strides` after the other. A cell holds x and y in cells from its own corner, the
 * logarithm of width and height in cells, objectness and label scores (both already sigmoid).
 */
export function decodeYolox(
  outputs: Outputs,
  spec: YoloxOutput,
  input: Grid,
  labels: number,
  minScore: number,
): Candidate[] {
  const row = 5 + labels
  const levels = spec.strides.map((stride) => ({
    stride,
    columns: Math.ceil(input.width / stride),
    rows: Math.ceil(input.height / stride),
  }))
  const cells = levels.reduce((sum, level) => sum + level.columns * level.rows, 0)
  const data = requireOutput(outputs, spec.output, cells * row)

  const candidates: Candidate[] = []
  let at = 0
  for (const { stride, columns, rows } of levels) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++, at += row) {
        const objectness = data[at + 4]!
        if (objectness < minScore) continue // a label's score is at most 1
        let best = -1
        let bestScore = 0
        for (let label = 0; label < labels; label++) {
          const score = objectness * data[at + 5 + label]!
          if (score > bestScore) {
            best = label
            bestScore = score
          }
        }
        if (best < 0 || bestScore < minScore) continue
        const centreX = (data[at]! + x) * stride
        const centreY = (data[at + 1]! + y) * stride
        const halfWidth = (Math.exp(data[at + 2]!) * stride) / 2
        const halfHeight = (Math.exp(data[at + 3]!) * stride) / 2
        candidates.push({
          label: best,
          score: bestScore,
          left: centreX - halfWidth,
          top: centreY - halfHeight,
          right: centreX + halfWidth,
          bottom: centreY + halfHeight,
        })
      }
    }
  }
  return candidates
}
