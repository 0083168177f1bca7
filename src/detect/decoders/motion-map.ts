import { requireOutput } from './require-output.ts'
import type { MotionMapOutput } from '../manifest.ts'
import type { Candidate } from '../nms.ts'
import type { Outputs } from '../session.ts'

/** A connected set of changed cells; bounds in cells, right and bottom exclusive. */
type Region = {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
  readonly cells: number
  /** Sum of the shares of its cells: how many whole cells changed. */
  readonly mass: number
  readonly peak: number
  /** -1..1: all of it became darker, or brighter. */
  readonly polarity: number
}

/**
 * Reads a motion map [1, 2, rows, columns]: the changed share of each cell, and the same signed by
 * direction. Changed cells are joined to regions (with hysteresis: a region needs one strong cell
 * and grows over weak ones), near regions and the two edges of one moving surface are merged, and
 * small ones are left out. The score is the region's mean share, from its strongest cells.
 */
export function decodeMotionMap(
  outputs: Outputs,
  spec: MotionMapOutput,
  input: { readonly width: number; readonly height: number },
  minScore: number,
): Candidate[] {
  const [, , rows = 0, columns = 0] = outputs[spec.output]?.dims ?? []
  const data = requireOutput(outputs, spec.output, 2 * rows * columns)
  const map = { share: data.subarray(0, rows * columns), signed: data.subarray(rows * columns) }

  const regions = findRegions(map, columns, rows, spec)
  const merged = mergeAll(regions, (a, b) => areNear(a, b, spec.mergeGapCells) || areEdges(a, b))
  const cellWidth = input.width / columns
  const cellHeight = input.height / rows
  return merged
    .filter((region) => region.cells >= spec.minCells)
    .map((region) => ({
      label: 0,
      score: scoreOf(region),
      left: region.left * cellWidth,
      top: region.top * cellHeight,
      right: region.right * cellWidth,
      bottom: region.bottom * cellHeight,
    }))
    .filter((candidate) => candidate.score >= minScore)
}

function scoreOf(region: Region): number {
  return Math.min(1, (region.peak + region.mass / region.cells) / 2)
}

/** Flood fill over the eight neighbours. */
function findRegions(
  map: { readonly share: Float32Array; readonly signed: Float32Array },
  columns: number,
  rows: number,
  spec: MotionMapOutput,
): Region[] {
  const seen = new Uint8Array(columns * rows)
  const regions: Region[] = []
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] === 1 || map.share[start]! < spec.low) continue
    seen[start] = 1
    const stack = [start]
    const bounds = { left: columns, top: rows, right: 0, bottom: 0 }
    let cells = 0
    let mass = 0
    let signedMass = 0
    let peak = 0
    while (stack.length > 0) {
      const cell = stack.pop()!
      const x = cell % columns
      const y = (cell - x) / columns
      bounds.left = Math.min(bounds.left, x)
      bounds.right = Math.max(bounds.right, x + 1)
      bounds.top = Math.min(bounds.top, y)
      bounds.bottom = Math.max(bounds.bottom, y + 1)
      cells++
      mass += map.share[cell]!
      signedMass += map.signed[cell]!
      peak = Math.max(peak, map.share[cell]!)
      for (let ny = Math.max(0, y - 1); ny <= Math.min(rows - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(columns - 1, x + 1); nx++) {
          const neighbour = ny * columns + nx
          if (seen[neighbour] === 1 || map.share[neighbour]! < spec.low) continue
          seen[neighbour] = 1
          stack.push(neighbour)
        }
      }
    }
    if (peak >= spec.high)
      regions.push({ ...bounds, cells, mass, peak, polarity: signedMass / mass })
  }
  return regions
}

/** Merges pairs until none is left that belongs together. */
function mergeAll(
  regions: readonly Region[],
  together: (a: Region, b: Region) => boolean,
): Region[] {
  const merged: Region[] = []
  for (const region of regions) {
    let grown = region
    for (let i = 0; i < merged.length;) {
      if (together(grown, merged[i]!)) {
        grown = union(grown, merged[i]!)
        merged.splice(i, 1)
        i = 0 // a larger region may reach what the smaller one did not
      } else i++
    }
    merged.push(grown)
  }
  return merged
}

function union(a: Region, b: Region): Region {
  const mass = a.mass + b.mass
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
    cells: a.cells + b.cells,
    mass,
    peak: Math.max(a.peak, b.peak),
    polarity: (a.polarity * a.mass + b.polarity * b.mass) / mass,
  }
}

function areNear(a: Region, b: Region, gap: number): boolean {
  return gapBetween(a, b, 'x') <= gap && gapBetween(a, b, 'y') <= gap
}

/**
 * An evenly coloured surface changes only at its leading and its trailing edge: two strips of the
 * same extent across the motion, one brighter and one darker than before.
 */
function areEdges(a: Region, b: Region): boolean {
  const opposite = a.polarity * b.polarity < 0
  if (!opposite || Math.min(Math.abs(a.polarity), Math.abs(b.polarity)) < MIN_POLARITY) return false
  return facing(a, b, 'x') || facing(a, b, 'y')
}

const MIN_POLARITY = 0.6

/** Lie behind each other along `axis`, with the same extent across it within one cell. */
function facing(a: Region, b: Region, axis: 'x' | 'y'): boolean {
  const across = axis === 'x' ? 'y' : 'x'
  const [a0, a1] = extent(a, across)
  const [b0, b1] = extent(b, across)
  const length = Math.min(a1 - a0, b1 - b0)
  const gap = gapBetween(a, b, axis)
  if (Math.abs(a0 - b0) > 1 || Math.abs(a1 - b1) > 1) return false
  return length >= 2 && gap <= MAX_SURFACE_ASPECT * length
}

/** How much longer along its motion than across it a surface may be. */
const MAX_SURFACE_ASPECT = 3

/** Empty cells between two regions along an axis; 0 when they touch or overlap there. */
function gapBetween(a: Region, b: Region, axis: 'x' | 'y'): number {
  const [a0, a1] = extent(a, axis)
  const [b0, b1] = extent(b, axis)
  return Math.max(0, a0 - b1, b0 - a1)
}

function extent(region: Region, axis: 'x' | 'y'): readonly [number, number] {
  return axis === 'x' ? [region.left, region.right] : [region.top, region.bottom]
}
