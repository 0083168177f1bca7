import type { EpochMs } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import { ElementId } from '../../media/matroska/element-id.ts'
import { toSamples, type StoredSample } from '../../media/matroska/scanner.ts'
import { readUnsigned } from '../../media/matroska/value.ts'
import { readElementHead, UNKNOWN_SIZE } from '../../media/matroska/vint.ts'
import { clusterStart, concat } from '../../media/matroska/writer.ts'
import { toWallTimes } from '../wall-times.ts'

/** Reads the samples of a fragment while it grows, each piece of it once. */
export class LiveSamples {
  readonly #tracks: readonly Track[]
  readonly #startsAt: EpochMs
  /** Stands before each piece; `null` until the fragment's own was read. */
  #clusterStart: Uint8Array | null = null
  /** From the producer's timecodes to the wall. */
  #offsetMs: number | null = null

  constructor(tracks: readonly Track[], startsAt: EpochMs) {
    this.#tracks = tracks
    this.#startsAt = startsAt
  }

  /**
   * At wall times, in decode order.
   *
   * @param bytes whole elements: first the Cluster's start with its Timecode, then blocks
   * @throws MalformedMediaError
   */
  read(bytes: Uint8Array): readonly StoredSample[] {
    let blocks = bytes
    if (this.#clusterStart === null) {
      const start = findBlocks(bytes)
      if (start === null) return []
      this.#clusterStart = clusterStart(start.timecode)
      blocks = bytes.subarray(start.blocksAt)
    }
    const samples = toSamples(concat([this.#clusterStart, blocks]), this.#tracks)
    if (samples.length === 0) return samples
    if (this.#offsetMs === null) {
      this.#offsetMs = toWallTimes(samples, this.#startsAt)[0]!.ptsMs - samples[0]!.ptsMs
    }
    const offsetMs = this.#offsetMs
    if (offsetMs === 0) return samples
    return samples.map((sample) => ({ ...sample, ptsMs: sample.ptsMs + offsetMs }))
  }
}

/** `null` when the Cluster's Timecode has not come. */
function findBlocks(bytes: Uint8Array): { timecode: number; blocksAt: number } | null {
  for (let at = 0; at < bytes.length;) {
    const head = readElementHead(bytes, at)
    if (head === null) return null
    const end = head.dataOffset + (head.size === UNKNOWN_SIZE ? 0 : head.size)
    if (head.id === ElementId.Timecode) {
      return { timecode: readUnsigned(bytes, head), blocksAt: end }
    }
    at = head.id === ElementId.Cluster ? head.dataOffset : end
  }
  return null
}
