import type { Archive } from '../../archive/index.ts'
import type { ServiceError } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { toMovieHeader } from '../../media/fmp4/init-segment.ts'
import { toMovieIndex, type RandomAccessPoint } from '../../media/fmp4/movie-index.ts'
import { BytePool } from '../../platform/byte-pool.ts'
import { storedFragments, type FragmentSource } from '../audio/index.ts'
import { toClipSegment, type ClipSegment } from './clip-segment.ts'
import type { ClipFormat } from './clip-format.ts'
import { clipSteps, type ClipLimits, type ClipRange, type ClipStep } from './clip-timeline.ts'
import { isUnreadable, planClip, type ClipPlan } from './plan-clip.ts'

/** MP4 files of ranges of the archive, made while they are sent. */
export interface Clips {
  /**
   * Looks through the index of the range, and at one fragment of each of its chunks.
   *
   * @throws ServiceError `not-found`/`NoMedia`; `invalid-argument`/`UnsupportedStreamMediaTypeException`,
   *   `MissingCodecPrivateDataException`, `InvalidCodecPrivateDataException`,
   *   `InvalidMediaFrameException`; `data-loss` when none of it can be read
   */
  open(streamId: StreamId, range: ClipRange, signal: AbortSignal): Promise<Clip>
  /** Parts are taken from it: they may be given back when they are sent. */
  readonly memory: BytePool
}

export type Clip = {
  /** As its header says. */
  readonly durationMs: number
  /** To be read once. Fragments that cannot be read are left out, and the clip goes on behind. */
  readonly parts: AsyncIterable<ClipPart>
}

export type ClipPart = {
  readonly bytes: Uint8Array
  /** Whose media this is; `null` for the header and the index at the end. */
  readonly fragment: Fragment | null
}

export type ClipsOptions = {
  readonly archive: Archive
  /** How fragments are read; by default as they are stored, without sound that is not AAC. */
  readonly source?: FragmentSource
  /** Where a clip ends early; nowhere, when left out. */
  readonly limits?: ClipLimits
  /** A fragment was left out of a clip that is being sent. */
  readonly onLeftOut: (fragment: Fragment, error: ServiceError) => void
}

/** For a few clips at once; a fragment is half a megabyte as a rule. */
const SPARE_MEMORY_BYTES = 32 * 1024 * 1024
const NO_LIMITS: ClipLimits = { maxFragments: null, maxBytes: null }

export function createClips({
  archive,
  source = storedFragments(archive),
  limits = NO_LIMITS,
  onLeftOut,
}: ClipsOptions): Clips {
  const memory = new BytePool(SPARE_MEMORY_BYTES)

  async function* partsOf(plan: ClipPlan): AsyncGenerator<ClipPart, void, undefined> {
    const { streamId, range, format } = plan
    const [video] = format.movieTracks
    const header = toMovieHeader(format.movieTracks, plan)
    yield { bytes: header, fragment: null }

    let offset = header.length
    const points: RandomAccessPoint[] = []
    const steps = clipSteps(archive, streamId, {
      range,
      limits: { maxFragments: plan.fragments, maxBytes: null }, // what came since is none of it
      admit: async (fragment) => !plan.leftOut.has(fragment),
    })
    for await (const { fragment, made, failure } of makeAhead(steps, format)) {
      if (made === null) {
        onLeftOut(fragment, failure)
        continue
      }
      if (made.entry !== null) {
        points.push({ time: made.entry.time, moofOffset: offset + made.entry.moofAt })
      }
      offset += made.bytes.length
      yield { bytes: made.bytes, fragment }
    }
    yield { bytes: toMovieIndex(video!.id, 1, points), fragment: null }
  }

  /** The next fragment is read while this one is sent. */
  async function* makeAhead(
    steps: AsyncIterable<ClipStep>,
    format: ClipFormat,
  ): AsyncGenerator<MadeFragment> {
    let sequence = 0
    let before: Promise<MadeFragment> | null = null
    for await (const step of steps) {
      const making = make(step, { format, sequence: ++sequence })
      making.catch(() => undefined) // it is awaited later, if anybody still wants it
      if (before !== null) yield await before
      before = making
    }
    if (before !== null) yield await before
  }

  async function make(
    step: ClipStep,
    options: Parameters<typeof toClipSegment>[2],
  ): Promise<MadeFragment> {
    const { fragment } = step
    try {
      const stored = await source.read(fragment, memory)
      try {
        const { parts, entry } = toClipSegment(step, stored, options)
        return { fragment, made: { bytes: memory.gather(parts), entry }, failure: null }
      } finally {
        memory.giveBack(stored.bytes)
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error
      return { fragment, made: null, failure: error }
    }
  }

  return {
    memory,
    async open(streamId, range, signal) {
      const plan = await planClip({ archive, source }, { streamId, range, limits, signal })
      return { durationMs: plan.durationMs, parts: partsOf(plan) }
    },
  }
}

/** A fragment as it is sent, or why it is left out. */
type MadeFragment = { readonly fragment: Fragment } & (
  | {
      readonly made: { readonly bytes: Uint8Array; readonly entry: ClipSegment['entry'] }
      readonly failure: null
    }
  | { readonly made: null; readonly failure: ServiceError }
)
