import { expect, test } from 'vitest'
import { decodeMotionMap } from '../../../src/detect/decoders/motion-map.ts'

const SPEC = {
  type: 'motion-map',
  output: 'motion',
  low: 0.12,
  high: 0.4,
  minCells: 2,
  mergeGapCells: 1,
} as const

/** `#` is a strong cell, `-` the same darker, `+` brighter, `o` a weak one. */
function boxesOf(rows: readonly string[]): string[] {
  const columns = rows[0]!.length
  const cells = rows.join('')
  const share = { '#': 0.9, '+': 0.9, '-': 0.9, o: 0.2, '.': 0 }
  const sign = { '#': 0, '+': 1, '-': -1, o: 0, '.': 0 }
  const data = new Float32Array(cells.length * 2)
  for (const [i, mark] of [...cells].entries()) {
    data[i] = share[mark as keyof typeof share]
    data[cells.length + i] = data[i] * sign[mark as keyof typeof sign]
  }
  const outputs = { motion: { dims: [1, 2, rows.length, columns], data } }
  const input = { width: columns * 8, height: rows.length * 8 }
  return decodeMotionMap(outputs, SPEC, input, 0.1)
    .map(({ left, top, right, bottom }) => [left, top, right, bottom].map((v) => v / 8).join(' '))
    .sort()
}

test.each([
  { rule: 'an empty map', rows: ['......', '......'], boxes: [] },
  { rule: 'weak cells alone', rows: ['.ooo..', '.ooo..'], boxes: [] },
  { rule: 'one strong cell is too small', rows: ['......', '..#...'], boxes: [] },
  { rule: 'a strong cell grows over weak ones', rows: ['......', '..#oo.'], boxes: ['2 1 5 2'] },
  { rule: 'corners touch', rows: ['#.....', '.#....', '..#...'], boxes: ['0 0 3 3'] },
  { rule: 'one empty cell between is bridged', rows: ['##.##.', '##.##.'], boxes: ['0 0 5 2'] },
  { rule: 'two empty cells are not', rows: ['##..##', '##..##'], boxes: ['0 0 2 2', '4 0 6 2'] },
  {
    rule: 'the edges of a plain surface that moves across are one thing',
    rows: ['.+....-.', '.+....-.', '.+....-.', '........'],
    boxes: ['1 0 7 3'],
  },
  {
    rule: 'and of one that moves down',
    rows: ['.+++..', '......', '......', '......', '.---..'],
    boxes: ['1 0 4 5'],
  },
  {
    rule: 'edges of the same direction are two things',
    rows: ['.+....+.', '.+....+.', '.+....+.'],
    boxes: ['1 0 2 3', '6 0 7 3'],
  },
  {
    rule: 'edges of another height are two things',
    rows: ['.+......', '.+......', '.+....-.', '.+....-.'],
    boxes: ['1 0 2 4', '6 2 7 4'],
  },
  {
    rule: 'a region that grew by a merge reaches the next',
    rows: ['##.##.##', '##.##.##'],
    boxes: ['0 0 8 2'],
  },
])('$rule', ({ rows, boxes }) => {
  expect(boxesOf(rows)).toEqual(boxes)
})

test('a model without that output is the manifest being wrong', () => {
  expect(() => decodeMotionMap({}, SPEC, { width: 8, height: 8 }, 0.1)).toThrow(
    expect.objectContaining({ code: 'ModelManifestInvalid' }),
  )
})
