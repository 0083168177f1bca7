import { expect, test } from 'vitest'
import { suppressOverlaps, type Candidate } from '../../src/detect/nms.ts'

const box = (label: number, score: number, left: number, size = 100): Candidate => ({
  label,
  score,
  left,
  top: 0,
  right: left + size,
  bottom: size,
})

test.each([
  {
    rule: 'the best of boxes that overlap stays',
    candidates: [box(0, 0.5, 0), box(0, 0.9, 10), box(0, 0.7, 20)],
    kept: [0.9],
  },
  {
    rule: 'boxes of other labels are left alone',
    candidates: [box(2, 0.8, 0), box(7, 0.6, 0)],
    kept: [0.8, 0.6],
  },
  {
    rule: 'an overlap of the limit or less is two things',
    candidates: [box(0, 0.9, 0), box(0, 0.8, 50)], // IoU 1/3
    kept: [0.9, 0.8],
  },
  {
    rule: 'what a suppressed box covered is not suppressed by it',
    candidates: [box(0, 0.9, 0), box(0, 0.8, 40), box(0, 0.7, 80)],
    kept: [0.9, 0.7],
  },
  {
    rule: 'boxes without area suppress nothing',
    candidates: [box(0, 0.9, 0, 0), box(0, 0.8, 0, 0)],
    kept: [0.9, 0.8],
  },
  { rule: 'nothing in, nothing out', candidates: [], kept: [] },
])('$rule', ({ candidates, kept }) => {
  expect(suppressOverlaps(candidates, 0.4).map(({ score }) => score)).toEqual(kept)
})
