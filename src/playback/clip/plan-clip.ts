import type { Archive } from '../../archive/index.ts'
import { ServiceError, type ErrorKind } from '../../domain/errors.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'
import type { FragmentSource } from '../audio/index.ts'
import { checkFrames } from './check-frames.ts'
import { ClipFormat } from './clip-format.ts'
import { clipSteps, type ClipLimits, type ClipRange } from './clip-timeline.ts'
import { requireClipTracks } from './clip-tracks.ts'

/** All that must be known of a clip before its first byte. */
export type ClipPlan = {
  readonly streamId: StreamId
  readonly range: ClipRange
  readonly format: ClipFormat
  readonly fragments: number
  readonly durationMs: number
  /** Producer time of its first fragment. */
  readonly createdAt: EpochMs
  /** Fragments that are none of it: unreadable, or without video. */
  readonly leftOut: LeftOut
}

/**
 * Goes through the index of the range, and reads a fragment of each chunk for its header. A fragment
 * that cannot be read, and a chunk without video, are left out as long as there is another.
 *
 * @throws ServiceError as `Clips.open` says; the signal's reason
 */
export async function planClip(
  { archive, source }: { readonly archive: Archive; readonly source: FragmentSource },
  {
    streamId,
    range,
    limits,
    signal,
  }: {
    readonly streamId: StreamId
    readonly range: ClipRange
    readonly limits: ClipLimits
    readonly signal: AbortSignal
  },
): Promise<ClipPlan> {
  const format = new ClipFormat()
  const leftOut = new LeftOut()
  const checked = new Set<string>()
  let failure: unknown = null

  const admit = async (fragment: Fragment): Promise<boolean> => {
    const { chunkId } = fragment.place
    if (leftOut.has(fragment)) return false
    if (checked.has(chunkId)) return true
    signal.throwIfAborted()
    let tracks
    try {
      const stored = await archive.read(fragment)
      tracks = requireClipTracks(source.toPlayed(stored.tracks))
      checkFrames(stored, tracks[0]!)
    } catch (error) {
      if (isUnreadable(error)) leftOut.fragments.add(fragment.fragmentNumber)
      else if (isOfItsHeader(error)) leftOut.chunks.add(chunkId)
      else throw error
      failure ??= error
      return false
    }
    format.add(tracks, fragment.producerTimestamp)
    checked.add(chunkId)
    return true
  }

  let fragments = 0
  let durationMs = 0
  let createdAt = epochMs(0)
  for await (const step of clipSteps(archive, streamId, { range, limits, admit })) {
    if (fragments === 0) createdAt = step.fragment.producerTimestamp
    fragments++
    durationMs = step.endMs
  }
  if (fragments === 0) throw failure ?? noMedia()
  return { streamId, range, format, fragments, durationMs, createdAt, leftOut }
}

/** What a clip is made without. */
export class LeftOut {
  readonly fragments = new Set<string>()
  readonly chunks = new Set<string>()

  has({ fragmentNumber, place }: Fragment): boolean {
    return this.chunks.has(place.chunkId) || this.fragments.has(fragmentNumber)
  }
}

/** Its bytes are gone or damaged, for this fragment alone. */
export function isUnreadable(error: unknown): error is ServiceError {
  return error instanceof ServiceError && UNREADABLE.has(error.kind)
}

const UNREADABLE: ReadonlySet<ErrorKind> = new Set(['data-loss', 'not-found', 'malformed-media'])

/** What is true of all fragments of its chunk, and not of the range. */
function isOfItsHeader(error: unknown): boolean {
  return error instanceof ServiceError && OF_A_HEADER.has(error.code)
}

const OF_A_HEADER: ReadonlySet<string> = new Set([
  'UnsupportedStreamMediaTypeException',
  'MissingCodecPrivateDataException',
  'InvalidCodecPrivateDataException',
])

function noMedia(): ServiceError {
  return new ServiceError('not-found', 'NoMedia', 'No fragment of the stream begins in the range.')
}
