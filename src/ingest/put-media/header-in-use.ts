import { CODEC_AVC, CODEC_HEVC, type Track } from '../../domain/track.ts'
import { parseBlock } from '../../media/matroska/block.ts'
import { withCodecPrivate } from '../../media/matroska/codec-private.ts'
import { parseWholeHeader, type MatroskaHeader } from '../../media/matroska/scanner.ts'
import type { StreamEvent } from '../../media/matroska/stream-reader.ts'
import { readElementHead } from '../../media/matroska/vint.ts'
import { concat, simpleBlockHead } from '../../media/matroska/writer.ts'
import { annexBToLengthPrefixed } from '../../media/nal/nal-units.ts'
import { deriveCodecPrivate, hasCodecPrivate, isAnnexB } from './parameter-set-reader.ts'

export type BlockEvent = StreamEvent & { readonly type: 'block' }

/**
 * The header that fragments are kept with: the producer's, made up for what players need and it lacks.
 *
 * - An H.264 or H.265 track without a readable CodecPrivate gets one from the parameter sets of its
 *   first key frame, and another one when later key frames bring others.
 * - Frames with start codes between their NAL units get lengths, as Matroska has them.
 */
export class HeaderInUse {
  #bytes: Uint8Array
  #tracks: ReadonlyMap<number, Track>
  readonly timecodeScaleNs: number
  /** Of tracks whose CodecPrivate is ours to make: whether it is made. */
  readonly #derived = new Map<number, boolean>()
  readonly #awaited = new Set<number>()
  /** Of tracks that may have start codes; decided by their first block. */
  readonly #hasStartCodes = new Map<number, boolean | null>()

  constructor(bytes: Uint8Array, { tracks, timecodeScaleNs }: MatroskaHeader) {
    this.#bytes = bytes
    this.#tracks = byNumber(tracks)
    this.timecodeScaleNs = timecodeScaleNs
    for (const track of tracks) {
      if (track.codecId !== CODEC_AVC && track.codecId !== CODEC_HEVC) continue
      this.#hasStartCodes.set(track.number, null)
      if (hasCodecPrivate(track)) continue
      this.#derived.set(track.number, false)
      this.#derive(track, track.codecPrivate)
    }
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }

  get tracks(): ReadonlyMap<number, Track> {
    return this.#tracks
  }

  /** A fragment begins. */
  beginFragment(): void {
    for (const [track, isMade] of this.#derived) if (!isMade) this.#awaited.add(track)
  }

  /** No track's first frame of the fragment might still bring its parameter sets. */
  get isSettled(): boolean {
    return this.#awaited.size === 0
  }

  /** Looks into a block where that may be needed. @returns the block as it is to be kept */
  take(block: BlockEvent): Uint8Array {
    const { trackNumber, bytes, isKey } = block
    this.#awaited.delete(trackNumber)
    let hasStartCodes = this.#hasStartCodes.get(trackNumber)
    if (hasStartCodes === undefined) return bytes
    const isDerived = isKey && this.#derived.has(trackNumber)
    if (hasStartCodes === false && !isDerived) return bytes

    const { frames } = parseBlock(bytes, readElementHead(bytes, 0)!)
    const [frame] = frames
    if (frame === undefined || frames.length > 1) return bytes
    if (hasStartCodes === null) {
      hasStartCodes = isAnnexB(frame)
      this.#hasStartCodes.set(trackNumber, hasStartCodes)
    }
    if (isDerived) this.#derive(this.#tracks.get(trackNumber)!, frame)
    return hasStartCodes && isAnnexB(frame) ? withLengths(block, frame) : bytes
  }

  #derive({ number, codecId, codecPrivate }: Track, media: Uint8Array): void {
    const record = deriveCodecPrivate(codecId, media)
    if (record === null) return
    this.#derived.set(number, true)
    if (Buffer.compare(record, codecPrivate) === 0) return
    this.#bytes = withCodecPrivate(this.#bytes, number, record)
    this.#tracks = byNumber(parseWholeHeader(this.#bytes).tracks)
  }
}

function withLengths({ trackNumber, relativeTicks, isKey }: BlockEvent, frame: Uint8Array) {
  const payload = annexBToLengthPrefixed(frame)
  const payloadLength = payload.length
  return concat([
    simpleBlockHead({ trackNumber, relativeMs: relativeTicks, isKey, payloadLength }),
    payload,
  ])
}

function byNumber(tracks: readonly Track[]): ReadonlyMap<number, Track> {
  return new Map(tracks.map((track) => [track.number, track]))
}
