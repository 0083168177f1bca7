/** Sound of one stored block, decoded. */
export type DecodedBlock = {
  /** On the new rate's line of ticks; see {@link placeSound}. */
  readonly at: number
  /** One array per channel. */
  readonly channels: readonly Float32Array[]
}

/** Sound without a hole. */
export type Stretch = {
  readonly channels: readonly Float32Array[]
  /** Where on the line which sample is; between two knots evenly. Both rise. */
  readonly knots: readonly Knot[]
}

export type Knot = { readonly tick: number; readonly sample: number }

export type SoundLine = {
  readonly stretches: readonly Stretch[]
  /** Where the last fragment begins and ends. */
  readonly from: number
  readonly end: number
  /** It goes on where the fragment before it ends. */
  readonly continues: boolean
}

export type LineRates = {
  /** Of the decoded sound. */
  readonly sampleRateHz: number
  /** Of the line: ticks per second. */
  readonly ticksPerSecond: number
}

/**
 * Places the sound of consecutive fragments on one line, each by itself and its predecessor alone, so
 * that it comes out the same whichever of them is the last:
 *
 * 1. A fragment begins where its first block says, and lasts as long as its samples do: times of blocks
 *    are whole milliseconds, and a sender's clock is not ours.
 * 2. What its beginning and its predecessor's end lie apart is taken up by its first samples, which
 *    are played a little faster or slower (2.5 % at most for 50 ms): nothing is cut out or put in, and
 *    nothing clicks.
 * 3. Blocks that are further from where the ones before them end begin a new stretch: sound was lost.
 *
 * @param fragments at least one, each of at least one block; all blocks have as many channels
 */
export function placeSound(
  fragments: readonly (readonly DecodedBlock[])[],
  rates: LineRates,
): SoundLine {
  const ticksPerSample = rates.ticksPerSecond / rates.sampleRateHz
  const toTicks = (ms: number) => (ms * rates.ticksPerSecond) / 1000
  const stretches: OpenStretch[] = []
  let end = -Infinity
  let from = 0
  let isContinued = false

  for (const blocks of fragments) {
    for (const [i, run] of toRuns(blocks, ticksPerSample, toTicks(HOLE_MS)).entries()) {
      const lengthTicks = run.samples * ticksPerSample
      const apart = run.at - end
      const last = stretches.at(-1)
      const joins = i === 0 && last !== undefined && Math.abs(apart) <= toTicks(JOIN_MS)
      const start = joins ? end : Math.max(run.at, end)
      const stretch = joins ? last : { blocks: [], knots: [], samples: 0 }
      if (!joins) stretches.push(stretch)
      const bentTicks = Math.max(toTicks(BEND_MS), BEND_FACTOR * Math.abs(apart))
      const bent = joins ? Math.min(run.samples, Math.ceil(bentTicks / ticksPerSample)) : 0
      // Where it is so short that it would end before it begins, it is placed behind instead.
      const fits = joins && apart + bent * ticksPerSample > 0
      const base = joins && !fits ? end : joins ? run.at : start
      stretch.knots.push({ tick: start, sample: stretch.samples })
      if (fits) {
        stretch.knots.push({ tick: base + bent * ticksPerSample, sample: stretch.samples + bent })
      }
      stretch.blocks.push(...run.blocks)
      stretch.samples += run.samples
      if (i === 0) {
        from = start
        isContinued = joins
      }
      end = base + lengthTicks
      stretch.knots.push({ tick: end, sample: stretch.samples })
    }
  }
  return { stretches: stretches.map(toStretch), from, end, continues: isContinued }
}

/** By how much blocks within a fragment may be early or late and still be neighbours. */
const HOLE_MS = 40
/** The same between fragments, whose clock may have been corrected. */
export const JOIN_MS = 50
/** Over how much sound such a correction is spread, at least, and as a multiple of it. */
const BEND_MS = 100
const BEND_FACTOR = 40

type Run = { readonly at: number; readonly blocks: DecodedBlock[]; samples: number }
type OpenStretch = { readonly blocks: DecodedBlock[]; readonly knots: Knot[]; samples: number }

/** Blocks that follow one another without a hole. */
function toRuns(
  blocks: readonly DecodedBlock[],
  ticksPerSample: number,
  holeTicks: number,
): readonly Run[] {
  const runs: Run[] = []
  for (const block of blocks) {
    const open = runs.at(-1)
    const samples = block.channels[0]!.length
    const expected = open === undefined ? 0 : open.at + open.samples * ticksPerSample
    if (open !== undefined && Math.abs(block.at - expected) <= holeTicks) {
      open.blocks.push(block)
      open.samples += samples
    } else runs.push({ at: block.at, blocks: [block], samples })
  }
  return runs
}

function toStretch({ blocks, knots, samples }: OpenStretch): Stretch {
  const count = blocks[0]!.channels.length
  const channels = Array.from({ length: count }, (_, channel) => {
    const whole = new Float32Array(samples)
    let at = 0
    for (const block of blocks) {
      whole.set(block.channels[channel]!, at)
      at += block.channels[channel]!.length
    }
    return whole
  })
  return { channels, knots }
}
