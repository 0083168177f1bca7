import type { FragmentStart, FragmentWriter } from '../../src/archive/index.ts'
import type { Fragment, FragmentNumber } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import { CODEC_AVC, type Track } from '../../src/domain/track.ts'
import { clusterStart, simpleBlockHead, toMatroskaHeader } from '../../src/media/matroska/writer.ts'

export const VIDEO_TRACK: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: Uint8Array.from(Buffer.from('0142c01effe1000467640000010004cafebabe', 'hex')),
  timescale: 1000,
  video: { widthPx: 64, heightPx: 48 },
  audio: null,
}
export const HEADER = toMatroskaHeader([VIDEO_TRACK])

export type MadeFragment = {
  /** Wall time of its first byte by the server's clock. */
  readonly at: number
  /** By the producer's; the server's when left out. */
  readonly producerAt?: number
  readonly durationMs?: number
  readonly frames?: number
  readonly frameBytes?: number
  readonly header?: Uint8Array
  readonly discontinuity?: boolean
  readonly producerTags?: Uint8Array | null
}

/** The elements that a producer sends: a Cluster's start, then one block per part. */
export function clusterParts(fragment: MadeFragment): readonly Uint8Array[] {
  const { at, producerAt = at, durationMs = 2000, frames = 5, frameBytes = 40 } = fragment
  const parts: Uint8Array[] = [clusterStart(Math.max(producerAt, 0))]
  for (let i = 0; i < frames; i++) {
    const relativeMs = Math.floor((durationMs * i) / frames)
    const payload = new Uint8Array(frameBytes).fill(i + 1)
    parts.push(
      simpleBlockHead({ trackNumber: 1, relativeMs, isKey: i === 0, payloadLength: frameBytes }),
      payload,
    )
  }
  return parts
}

export function fragmentStart(fragment: MadeFragment): FragmentStart {
  const { at, producerAt = at, header = HEADER, discontinuity = false } = fragment
  return {
    header,
    tracks: [VIDEO_TRACK],
    producerTimestamp: epochMs(producerAt),
    serverTimestamp: epochMs(at),
    discontinuity,
    startsWithKey: true,
  }
}

/** Begins a fragment and appends all of it. */
export function appendFragment(writer: FragmentWriter, fragment: MadeFragment): FragmentNumber {
  const { at, producerAt = at, durationMs = 2000, frames = 5 } = fragment
  const number = writer.begin(fragmentStart(fragment))
  writer.append(clusterParts(fragment), {
    samples: frames,
    producerEnd: epochMs(producerAt + durationMs),
    arrivedAt: epochMs(at + durationMs),
  })
  return number
}

/** One whole fragment; resolves when it is persisted. */
export function writeFragment(writer: FragmentWriter, fragment: MadeFragment): Promise<Fragment> {
  appendFragment(writer, fragment)
  return writer.end(fragment.producerTags ?? null)
}

/** Fixed numbers that look random (xorshift32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
