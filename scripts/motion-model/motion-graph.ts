import { OnnxGraph, type Value } from './onnx-graph.ts'

export const WIDTH_PX = 416
export const HEIGHT_PX = 240
/** Side of a cell of the motion map, in pixels of the input. */
export const CELL_PX = 8

const COLUMNS = WIDTH_PX / CELL_PX
const ROWS = HEIGHT_PX / CELL_PX
/** Side of a cell at half resolution. */
const POOL = CELL_PX / 2

/** Rounds of the robust fit; the weights hardly move after four. */
const FIT_ROUNDS = 5
/** Keeps the gain at 1 where the picture is too flat to tell (grey levels squared). */
const GAIN_PRIOR = 4
/** How far the light may change locally between two frames before it counts as motion. */
const MAX_LOCAL_OFFSET = 8
/** Cells in the window that a local change of light is averaged over. */
const LOCAL_WINDOW = 13
/** Differences below this are never motion (grey levels of the blurred picture). */
const MIN_TOLERANCE = 8
/** Tolerance in mean absolute deviations of the noise: 4.5 are 3.6 standard deviations. */
const NOISE_TOLERANCE = 4.5
/** Tolerance beside an edge, as a part of its height: coding jitter and a trembling camera. */
const EDGE_TOLERANCE = 0.25
/** Below this part of the largest difference nearby it is the blur of an edge, not the edge. */
const BLURRED_EDGE = 0.4
/** From "not motion" to "surely motion". */
const SOFTNESS = 12
/** When more of the picture changed than this, the scene or the light did, not things in it. */
const MAX_CHANGED = 0.6

/**
 * The motion detector as arithmetic. In: two RGB frames [2, 3, 240, 416], 0..1, the earlier one
 * first. Out: `motion` [1, 2, 30, 52] per cell of 8 x 8 pixels: the part of it that changed, 0..1,
 * and the same signed by the direction (brighter or darker), -1..1.
 *
 *   1. luma, 5 x 5 binomial blur, half resolution
 *   2. gain and offset of the light between the frames: a line fitted over cell means, with
 *      weights that leave out what moved (iteratively reweighted least squares)
 *   3. what is left of the light locally: weighted mean of the residual in a window, limited
 *   4. residual = later frame - predicted frame; tolerance = noise + edges + clipped pixels
 *   5. share of each cell that is beyond the tolerance
 *   6. nothing at all when most of the picture changed at once
 */
export function buildMotionModel(): Uint8Array {
  const g = new OnnxGraph()
  const frames = g.input('frames', [2, 3, HEIGHT_PX, WIDTH_PX])

  const luma = lumaAtHalfResolution(g, frames)
  const [before, after] = [slice(g, luma, 0, 0), slice(g, luma, 0, 1)]

  const fit = fitLight(g, averagePool(g, before), averagePool(g, after))
  const offset = localOffset(g, fit.residual, fit.weights)
  const predicted = clip(g, sum(g, g.op('Mul', [before, fit.gain]), fit.offset, offset), 0, 255)
  const residual = g.op('Sub', [after, predicted])
  const size = g.op('Abs', [residual])

  const still = sum(
    g,
    g.op('Max', [g.op('Mul', [noiseOf(g, size), NOISE_TOLERANCE]), MIN_TOLERANCE]),
    g.op('Mul', [g.op('Min', [localRange(g, predicted), localRange(g, after)]), EDGE_TOLERANCE]),
    clippedTolerance(g, before, fit),
  )
  const tolerance = g.op('Max', [still, g.op('Mul', [largestNear(g, size, 5), BLURRED_EDGE])])
  const moved = clip(g, g.op('Div', [g.op('Sub', [size, tolerance]), SOFTNESS]), 0, 1)
  const share = averagePool(g, moved)
  const signed = averagePool(g, g.op('Mul', [moved, g.op('Sign', [residual])]))

  const map = g.op('Concat', [share, signed], { axis: { i: 1 } })
  g.output('motion', g.op('Mul', [map, stillness(g, share)]), [1, 2, ROWS, COLUMNS])
  return g.toBytes('kinora-motion', 'Motion map of two frames; see scripts/motion-model.')
}

/** BT.601 luma 0..255 of RGB 0..1 under a binomial 5 x 5, every second pixel. */
function lumaAtHalfResolution(g: OnnxGraph, frames: Value): Value {
  const padded = g.op('Pad', [frames, g.integers([0, 0, 2, 2, 0, 0, 2, 2])], {
    mode: { s: 'edge' },
  })
  const binomial = [1, 4, 6, 4, 1]
  const weights = [0.299, 0.587, 0.114].flatMap((channel) =>
    binomial.flatMap((y) => binomial.map((x) => (255 * channel * y * x) / 256)),
  )
  return g.op('Conv', [padded, g.floats(weights, [1, 3, 5, 5])], {
    kernel_shape: { ints: [5, 5] },
    strides: { ints: [2, 2] },
  })
}

type LightFit = {
  readonly gain: Value
  readonly offset: Value
  /** Of the cell means, and how far each cell was believed, 0..1. */
  readonly residual: Value
  readonly weights: Value
}

/** after = gain x before + offset over cell means, by iteratively reweighted least squares. */
function fitLight(g: OnnxGraph, before: Value, after: Value): LightFit {
  let weights = g.floats(new Array<number>(ROWS * COLUMNS).fill(1), [1, 1, ROWS, COLUMNS])
  let fit: LightFit | null = null
  for (let round = 0; round < FIT_ROUNDS; round++) {
    const total = g.op('Add', [meanOf(g, weights), 1e-6])
    const weighted = (value: Value) =>
      g.op('Div', [meanOf(g, g.op('Mul', [weights, value])), total])
    const meanBefore = weighted(before)
    const meanAfter = weighted(after)
    const fromMean = g.op('Sub', [before, meanBefore])
    const variance = weighted(g.op('Mul', [fromMean, fromMean]))
    const covariance = weighted(g.op('Mul', [fromMean, g.op('Sub', [after, meanAfter])]))
    const slope = g.op('Div', [
      g.op('Add', [covariance, GAIN_PRIOR]),
      g.op('Add', [variance, GAIN_PRIOR]),
    ])
    const gain = clip(g, slope, 0.05, 5)
    const offset = g.op('Sub', [meanAfter, g.op('Mul', [gain, meanBefore])])
    const predicted = clip(g, sum(g, g.op('Mul', [before, gain]), offset), 0, 255)
    const residual = g.op('Sub', [after, predicted])
    // Geman and McClure's weight: a cell at the scale counts a quarter, one far off nothing.
    const scale = g.op('Add', [g.op('Mul', [weighted(g.op('Abs', [residual])), 2]), 1])
    const ratio = g.op('Div', [residual, scale])
    const root = g.op('Div', [1, g.op('Add', [g.op('Mul', [ratio, ratio]), 1])])
    weights = g.op('Mul', [root, root])
    fit = { gain, offset, residual, weights }
  }
  return fit!
}

/** What the fit leaves over a wide window: a shadow that moves on, a lamp that warms up. */
function localOffset(g: OnnxGraph, residual: Value, weights: Value): Value {
  const margin = (LOCAL_WINDOW - 1) / 2
  const window = (value: Value) =>
    g.op('AveragePool', [value], {
      kernel_shape: { ints: [LOCAL_WINDOW, LOCAL_WINDOW] },
      pads: { ints: [margin, margin, margin, margin] },
    })
  const mean = g.op('Div', [
    window(g.op('Mul', [residual, weights])),
    g.op('Add', [window(weights), 1e-3]),
  ])
  const limited = clip(g, mean, -MAX_LOCAL_OFFSET, MAX_LOCAL_OFFSET)
  return g.op('Resize', [limited, '', g.floats([1, 1, POOL, POOL], [4])], {
    mode: { s: 'linear' },
    coordinate_transformation_mode: { s: 'half_pixel' },
  })
}

/** Mean absolute residual of what does not move: a mean that is limited by itself, three times. */
function noiseOf(g: OnnxGraph, size: Value): Value {
  let limit: Value = g.scalar(20)
  let noise: Value = limit
  for (let round = 0; round < 3; round++) {
    noise = meanOf(g, g.op('Min', [size, limit]))
    limit = g.op('Mul', [noise, 2.5])
  }
  return noise
}

/** Largest less smallest value among a pixel and its neighbours. */
function localRange(g: OnnxGraph, value: Value): Value {
  return g.op('Add', [largestNear(g, value, 3), largestNear(g, g.op('Neg', [value]), 3)])
}

function largestNear(g: OnnxGraph, value: Value, side: number): Value {
  const margin = (side - 1) / 2
  return g.op('MaxPool', [value], {
    kernel_shape: { ints: [side, side] },
    pads: { ints: [margin, margin, margin, margin] },
  })
}

/** A pixel that was black or white may have been anything beyond: a line predicts it badly. */
function clippedTolerance(g: OnnxGraph, before: Value, fit: LightFit): Value {
  const white = clip(g, g.op('Sub', [before, 246]), 0, 1)
  const black = clip(g, g.op('Sub', [9, before]), 0, 1)
  const change = g.op('Add', [
    g.op('Mul', [g.op('Abs', [g.op('Sub', [fit.gain, 1])]), 255]),
    g.op('Abs', [fit.offset]),
  ])
  return g.op('Mul', [g.op('Add', [white, black]), change])
}

/** 1 while a minor part of the picture changed, 0 when nearly all of it did. */
function stillness(g: OnnxGraph, share: Value): Value {
  const changed = meanOf(g, clip(g, g.op('Mul', [g.op('Sub', [share, 0.1]), 10]), 0, 1))
  return clip(g, g.op('Mul', [g.op('Sub', [MAX_CHANGED + 0.05, changed]), 10]), 0, 1)
}

function averagePool(g: OnnxGraph, value: Value): Value {
  return g.op('AveragePool', [value], {
    kernel_shape: { ints: [POOL, POOL] },
    strides: { ints: [POOL, POOL] },
  })
}

function meanOf(g: OnnxGraph, value: Value): Value {
  return g.op('ReduceMean', [value], { axes: { ints: [0, 1, 2, 3] }, keepdims: { i: 1 } })
}

function slice(g: OnnxGraph, value: Value, axis: number, at: number): Value {
  return g.op('Slice', [value, g.integers([at]), g.integers([at + 1]), g.integers([axis])])
}

function clip(g: OnnxGraph, value: Value, min: number, max: number): Value {
  return g.op('Clip', [value, g.scalar(min), g.scalar(max)])
}

function sum(g: OnnxGraph, first: Value, ...others: readonly Value[]): Value {
  return others.reduce((left, right) => g.op('Add', [left, right]), first)
}
