import type { StreamId } from './stream.ts'
import { epochMs, type EpochMs } from './time.ts'

/** 47 decimal digits, rising in order of ingestion and as strings; see {@link toFragmentNumber}. */
export type FragmentNumber = string & { readonly __brand: 'FragmentNumber' }

/** The archive's unit: self-contained media that starts with a key sample; one Matroska Cluster. */
export type Fragment = {
  readonly streamId: StreamId
  readonly fragmentNumber: FragmentNumber
  /** Wall time of the earliest presented sample by the producer's clock. */
  readonly producerTimestamp: EpochMs
  /** Wall time of the first byte by ours. */
  readonly serverTimestamp: EpochMs
  /** From the earliest sample's start to the latest sample's end. */
  readonly durationMs: number
  /** From the first byte's arrival to the last one's. */
  readonly arrivalSpanMs: number
  /** Bytes in its chunk: leading Tags, Cluster, the producer's Tags. */
  readonly sizeBytes: number
  readonly sampleCount: number
  /** Position among the persisted fragments of the stream, without holes; HLS media sequence. */
  readonly sequence: number
  /** How many discontinuities there were up to and including this fragment. */
  readonly discontinuitySequence: number
  /** Its media time does not continue its predecessor's. */
  readonly discontinuity: boolean
  /** False only where a GOP longer than the limit had to be split. */
  readonly startsWithKey: boolean
  /** Its tail was cut off by a crash and the complete samples were kept. */
  readonly recovered: boolean
  readonly place: ChunkPlace
}

/** Where a fragment's bytes are. */
export type ChunkPlace = {
  readonly chunkId: string
  /** Byte offset in the chunk file. */
  readonly offset: number
}

/**
 * The fragment number's layout, as the service's public values decode:
 * `1 << 156 | counter << 92 | serverTimestamp ms << 28 | random 28 bits`.
 * Constant width for any counter below 1.7e18, and it carries the time.
 */
export function toFragmentNumber(parts: FragmentNumberParts): FragmentNumber {
  const value =
    (1n << 156n) |
    (BigInt(parts.counter) << 92n) |
    (BigInt(parts.serverTimestamp) << 28n) |
    BigInt(parts.random28)
  return value.toString() as FragmentNumber
}

export type FragmentNumberParts = {
  readonly counter: number
  readonly serverTimestamp: EpochMs
  readonly random28: number
}

/** `null` when `text` is not a number of this layout. */
export function parseFragmentNumber(text: string): FragmentNumberParts | null {
  if (!/^[0-9]{47}$/.test(text)) return null
  const value = BigInt(text)
  if (value >> 156n !== 1n) return null
  const counter = (value >> 92n) & 0xffff_ffff_ffff_ffffn
  const timestamp = (value >> 28n) & 0xffff_ffff_ffff_ffffn
  if (counter > BigInt(Number.MAX_SAFE_INTEGER)) return null
  if (timestamp > BigInt(Number.MAX_SAFE_INTEGER)) return null
  return {
    counter: Number(counter),
    serverTimestamp: epochMs(Number(timestamp)),
    random28: Number(value & 0xfff_ffffn),
  }
}

/** By which fragments of a stream are in order. */
export function counterOf({ fragmentNumber }: Pick<Fragment, 'fragmentNumber'>): number {
  return parseFragmentNumber(fragmentNumber)!.counter
}

/** The number after which this fragment is the first; `null` when it is no fragment's. */
export function predecessorOf(fragmentNumber: FragmentNumber): FragmentNumber | null {
  const parts = parseFragmentNumber(fragmentNumber)
  if (parts === null || parts.counter === 0) return null
  return toFragmentNumber({ ...parts, counter: parts.counter - 1 })
}
