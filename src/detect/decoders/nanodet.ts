import { requireOutput } from './require-output.ts'
import type { NanodetOutput } from '../manifest.ts'
import type { Candidate } from '../nms.ts'
import type { Outputs } from '../session.ts'

/**
 * Reads a NanoDet head. Per level, `scores` is [1, cells, labels] (already sigmoid) and `boxes`
 * [1, cells, 4 x bins]: for each side (left, top, right, bottom) a distribution over distances of
 * 0..bins-1 strides from the cell's centre (Generalized Focal Loss, arXiv:2006.04388); the distance
 * is its expectation.
 */
export function decodeNanodet(
  outputs: Outputs,
  spec: NanodetOutput,
  input: { readonly width: number; readonly height: number },
  labels: number,
  minScore: number,
): Candidate[] {
  const candidates: Candidate[] = []
  for (const { stride, scores: scoresName, boxes: boxesName } of spec.levels) {
    const columns = Math.ceil(input.width / stride)
    const cells = columns * Math.ceil(input.height / stride)
    const scores = requireOutput(outputs, scoresName, cells * labels)
    const boxes = requireOutput(outputs, boxesName, cells * 4 * spec.bins)
    for (let cell = 0; cell < cells; cell++) {
      let best = 0
      for (let label = 1; label < labels; label++) {
        if (scores[cell * labels + label]! > scores[cell * labels + best]!) best = label
      }
      const score = scores[cell * labels + best]!
      if (score < minScore) continue
      const centreX = ((cell % columns) + 0.5) * stride
      const centreY = (Math.floor(cell / columns) + 0.5) * stride
      const side = (k: number) => expectedBin(boxes, (cell * 4 + k) * spec.bins, spec.bins) * stride
      candidates.push({
        label: best,
        score,
        left: centreX - side(0),
        top: centreY - side(1),
        right: centreX + side(2),
        bottom: centreY + side(3),
      })
    }
  }
  return candidates
}

/** The mean of a softmax distribution over 0..bins-1. */
function expectedBin(logits: Float32Array, from: number, bins: number): number {
  let peak = -Infinity
  for (let i = 0; i < bins; i++) peak = Math.max(peak, logits[from + i]!)
  let total = 0
  let weighted = 0
  for (let i = 0; i < bins; i++) {
    const weight = Math.exp(logits[from + i]! - peak)
    total += weight
    weighted += weight * i
  }
  return weighted / total
}
