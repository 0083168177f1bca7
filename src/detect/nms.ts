/** A scored box in the pixels of the model's input. */
export type Candidate = {
  /** Index into the manifest's labels. */
  readonly label: number
  readonly score: number
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/**
 * Non-maximum suppression within each label: of boxes that overlap by more than `maxIou`, the best
 * stays. Across labels nothing is suppressed: a van may be a car and a truck. Best first.
 */
export function suppressOverlaps(candidates: readonly Candidate[], maxIou: number): Candidate[] {
  const byScore = candidates.toSorted((a, b) => b.score - a.score)
  const kept: Candidate[] = []
  for (const candidate of byScore) {
    const covered = kept.some((k) => k.label === candidate.label && iou(k, candidate) > maxIou)
    if (!covered) kept.push(candidate)
  }
  return kept
}

function iou(a: Candidate, b: Candidate): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left)
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
  if (width <= 0 || height <= 0) return 0
  const shared = width * height
  return shared / (area(a) + area(b) - shared)
}

function area(box: Candidate): number {
  return (box.right - box.left) * (box.bottom - box.top)
}
