import { ServiceError } from '../../domain/errors.ts'
import { Interpolator } from '../../media/pcm/interpolator.ts'
import {
  AacEncoder,
  AAC_LOOKAHEAD_FRAMES,
  AudioDecoder,
  type DecodedSound,
} from '../../platform/av.ts'
import { AAC_FRAME_TICKS, type AacSound, type SoundCall } from './sound-call.ts'
import { placeSound, type DecodedBlock, type SoundLine, type Stretch } from './sound-line.ts'

/**
 * The AAC of one fragment's sound, a function of it and of what leads to it. For worker threads.
 *
 * 1. All sound of a stream lies on one line of ticks since 1970, and block n of the AAC is the ticks from
 *    1024 n on: whoever makes a block makes it at the same place.
 * 2. A fragment's blocks are those whose window and look-ahead end within it, and within no fragment
 *    before it. So its last pictures are heard in the next fragment's blocks, and no block waits for
 *    media that is not there yet.
 * 3. The encoder starts some blocks earlier, and these are thrown away: where two fragments' blocks
 *    meet, both encoders have heard the same and chosen the same windows, so their halves add up
 *    (ISO/IEC 14496-3 §4.6.11.3.3).
 *
 * @throws ServiceError `malformed-media`/`UndecodableMedia` when nothing can be decoded
 */
export function transcodeSound({ source, sampleRateHz, fragments }: SoundCall): AacSound {
  const origin = toOrigin(fragments[0]![0]!.ptsMs, sampleRateHz)
  const toTick = (ptsMs: number) => Math.round(ticksOf(ptsMs, sampleRateHz) - origin)

  using decoder = new AudioDecoder(source)
  let decodedRateHz = source.sampleRateHz
  const decoded = fragments.map((blocks) =>
    blocks.flatMap(({ ptsMs, data }): DecodedBlock[] => {
      const sound = decoder.decode(data)
      if (sound === null) return []
      decodedRateHz = sound.sampleRateHz
      return [{ at: toTick(ptsMs), channels: withChannels(sound, source.channels) }]
    }),
  )
  if (decoded.at(-1)!.length === 0) {
    throw new ServiceError('malformed-media', 'UndecodableMedia', 'No sound could be decoded.')
  }
  const rates = { sampleRateHz: decodedRateHz, ticksPerSecond: sampleRateHz }
  const line = placeSound(
    decoded.filter((blocks) => blocks.length > 0),
    rates,
  )
  const interpolator = new Interpolator(sampleRateHz / decodedRateHz)
  const reachTicks = Math.ceil((interpolator.reach * sampleRateHz) / decodedRateHz)
  const { first, last } = planBlocks(line, reachTicks)
  const startTick = (first - WARM_UP_BLOCKS) * AAC_FRAME_TICKS
  const endTick = (last + AAC_LOOKAHEAD_FRAMES) * AAC_FRAME_TICKS
  const channels = render(line.stretches, { interpolator, startTick, endTick }, source.channels)
  return {
    baseDecodeTime: origin + first * AAC_FRAME_TICKS,
    blocks: encode(channels, { first, last, sampleRateHz }),
  }
}

/** As many as the encoder's choice of windows depends on, and some more. */
const WARM_UP_BLOCKS = 6

/** A whole block's place, a little before the sound. */
function toOrigin(ptsMs: number, sampleRateHz: number): number {
  const block = Math.floor(ticksOf(ptsMs, sampleRateHz) / AAC_FRAME_TICKS)
  return (block - WARM_UP_BLOCKS - AAC_LOOKAHEAD_FRAMES) * AAC_FRAME_TICKS
}

/** Not in floats: since 1970 that is more than they hold. */
function ticksOf(ptsMs: number, ticksPerSecond: number): number {
  const product = BigInt(ptsMs) * BigInt(ticksPerSecond)
  return Number(product / 1000n) + Number(product % 1000n) / 1000
}

/** Rule 2; `last` is less than `first` when the fragment is too short for any. */
function planBlocks(line: SoundLine, reachTicks: number): { first: number; last: number } {
  const lastWithin = (end: number) =>
    Math.floor((end - reachTicks) / AAC_FRAME_TICKS) - AAC_LOOKAHEAD_FRAMES
  const first = line.continues ? lastWithin(line.from) + 1 : Math.floor(line.from / AAC_FRAME_TICKS)
  return { first, last: Math.max(first - 1, lastWithin(line.end)) }
}

function withChannels({ channels }: DecodedSound, count: number): readonly Float32Array[] {
  return Array.from({ length: count }, (_, i) => channels[i] ?? channels[0]!)
}

/** The line's ticks from `startTick` on; silent where there is no sound. */
function render(
  stretches: readonly Stretch[],
  range: {
    readonly interpolator: Interpolator
    readonly startTick: number
    readonly endTick: number
  },
  channelCount: number,
): readonly Float32Array[] {
  const { interpolator, startTick, endTick } = range
  const length = Math.max(0, endTick - startTick)
  const rendered = Array.from({ length: channelCount }, () => new Float32Array(length))
  for (const { channels, knots } of stretches) {
    for (const [i, knot] of knots.slice(0, -1).entries()) {
      const next = knots[i + 1]!
      const step = (next.sample - knot.sample) / (next.tick - knot.tick)
      const from = Math.max(startTick, Math.ceil(knot.tick))
      for (let tick = from; tick < Math.min(endTick, next.tick); tick++) {
        const position = knot.sample + (tick - knot.tick) * step
        for (const [channel, samples] of channels.entries()) {
          const value = interpolator.at(samples, position)
          rendered[channel]![tick - startTick] = Math.max(-1, Math.min(1, value))
        }
      }
    }
  }
  return rendered
}

function encode(
  channels: readonly Float32Array[],
  wanted: { readonly first: number; readonly last: number; readonly sampleRateHz: number },
): readonly Uint8Array[] {
  const { first, last, sampleRateHz } = wanted
  if (last < first) return []
  using encoder = new AacEncoder({ sampleRateHz, channels: channels.length })
  const blocks: Uint8Array[] = []
  const start = first - WARM_UP_BLOCKS
  for (let frame = start; frame < last + AAC_LOOKAHEAD_FRAMES; frame++) {
    const at = (frame - start) * AAC_FRAME_TICKS
    const samples = channels.map((channel) => channel.subarray(at, at + AAC_FRAME_TICKS))
    for (const { index, data } of encoder.encode(samples, frame)) {
      if (index >= first && index <= last) blocks.push(data)
    }
  }
  return blocks
}
